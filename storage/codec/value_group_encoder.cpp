#include <algorithm>
#include <unordered_map>

#include <zstd.h>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/codec/group_column.hpp"
#include "storage/codec/group_models.hpp"
#include "storage/codec/tans.hpp"
#include "storage/codec/value_group.hpp"
#include "storage/codec/value_group_format.hpp"

namespace plumbline::storage::codec {

namespace format = group_format;

struct ValueGroupEncoder::Impl {
  struct Column {
    std::size_t length = 0;
    ColumnForm form;
    std::size_t begin = 0;  // of its residuals
    std::size_t model = 0;
    std::size_t distance = 0;  // to the earlier column with the same residuals; 0: none
    std::string exceptions;
    bool coded() const {
      return length > 0 && (form.kind == ColumnKind::decimals || form.kind == ColumnKind::floats);
    }
  };
  struct FreeContext {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  };

  std::vector<Column> columns;
  std::vector<std::uint64_t> residuals;
  std::vector<std::uint8_t> tokens;
  std::size_t values = 0;
  std::unordered_map<std::uint64_t, std::size_t> column_of;  // by hash of the tokens: the first such column
  ModelChooser chooser;
  ColumnScratch scratch;
  std::unique_ptr<ZSTD_CCtx, FreeContext> context{ZSTD_createCCtx()};
  std::string deflated;

  // Whether these residuals, the scratch's, are those of the other column in all respects.
  bool can_copy(const Column& c, const Column& other) const {
    return c.length == other.length && !c.form.has_exceptions && !other.form.has_exceptions &&
           std::equal(scratch.residuals.begin(), scratch.residuals.end(),
                      residuals.begin() + static_cast<std::ptrdiff_t>(other.begin));
  }
  std::string header(std::span<const Model> models, std::span<const std::size_t> sizes) const;
  std::string_view deflate(std::string_view bytes);
};

ValueGroupEncoder::ValueGroupEncoder() : impl_(std::make_unique<Impl>()) {}
ValueGroupEncoder::~ValueGroupEncoder() = default;
ValueGroupEncoder::ValueGroupEncoder(ValueGroupEncoder&&) noexcept = default;
ValueGroupEncoder& ValueGroupEncoder::operator=(ValueGroupEncoder&&) noexcept = default;
std::size_t ValueGroupEncoder::columns() const {
  return impl_->columns.size();
}
std::size_t ValueGroupEncoder::values() const {
  return impl_->values;
}

void ValueGroupEncoder::add(std::span<const double> values) {
  Impl& d = *impl_;
  d.values += values.size();
  PLUMBLINE_CHECK(values.size() <= column_values_max && d.columns.size() < group_columns_max &&
                      d.values <= group_values_max,
                  "a group within its limits");
  Impl::Column& column = d.columns.emplace_back();
  column.length = values.size();
  if (values.empty()) return;
  column.form = analyze_column(values, d.scratch);
  if (!column.coded()) return;
  if (column.form.has_exceptions) column.exceptions = d.scratch.exceptions;
  const std::uint64_t hash =
      hash64({reinterpret_cast<const char*>(d.scratch.tokens.data()), d.scratch.tokens.size()});
  const auto [found, added] = d.column_of.try_emplace(hash, d.columns.size() - 1);
  if (!added && d.can_copy(column, d.columns[found->second])) {
    column.distance = d.columns.size() - 1 - found->second;
    return;
  }
  column.begin = d.residuals.size();
  d.residuals.insert(d.residuals.end(), d.scratch.residuals.begin(), d.scratch.residuals.end());
  d.tokens.insert(d.tokens.end(), d.scratch.tokens.begin(), d.scratch.tokens.end());
  d.chooser.add(d.scratch.histogram);
}

std::string ValueGroupEncoder::Impl::header(std::span<const Model> models,
                                            std::span<const std::size_t> sizes) const {
  ByteWriter out;
  out.varint(columns.size());
  for (std::size_t i = 0; i < columns.size();) {
    std::size_t end = i;
    while (end < columns.size() && columns[end].length == columns[i].length) ++end;
    out.varint(end - i);
    out.varint(columns[i].length);
    i = end;
  }
  BitWriter bits;
  for (const Model& m : models) write_model(bits, m);
  out.varint(models.size());
  out.sized(bits.str());
  // Like stands by like, for zstd's sake.
  const auto each = [&](auto&& write) {
    for (const Column& c : columns)
      if (c.length > 0) write(c);
  };
  each([&](const Column& c) {
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(c.form.kind) |
                                     static_cast<unsigned>(c.form.order << format::order_shift) |
                                     (c.form.is_signed ? format::flag_signed : 0u) |
                                     (c.form.has_exceptions ? format::flag_exceptions : 0u) |
                                     (c.form.divisor != 1 ? format::flag_divisor : 0u) |
                                     (c.form.exponent != 0 ? format::flag_exponent : 0u)));
  });
  each([&](const Column& c) {
    if (c.form.exponent != 0)
      out.u8(static_cast<std::uint8_t>(c.form.exponent | static_cast<unsigned>(c.form.rule)
                                                             << format::rule_shift));
  });
  each([&](const Column& c) {
    if (c.coded()) out.u8(c.distance > 0 ? format::copied : static_cast<std::uint8_t>(c.model));
  });
  each([&](const Column& c) {
    if (c.distance > 0) out.varint(c.distance);
  });
  each([&](const Column& c) {
    if (c.form.divisor != 1) out.varint(c.form.divisor);
  });
  each([&](const Column& c) {
    if (c.form.is_signed) out.zigzag(c.form.center);
  });
  each([&](const Column& c) {
    if (c.form.kind == ColumnKind::constant_decimal || c.form.kind == ColumnKind::decimals)
      out.zigzag(c.form.first);
    else
      out.le64(static_cast<std::uint64_t>(c.form.first));
  });
  for (const std::size_t s : sizes) out.varint(s);
  return out.take();
}

std::string_view ValueGroupEncoder::Impl::deflate(std::string_view bytes) {
  deflated.resize(std::max(deflated.size(), ZSTD_compressBound(bytes.size())));
  const std::size_t n =
      ZSTD_compressCCtx(context.get(), deflated.data(), deflated.size(), bytes.data(), bytes.size(), 3);
  PLUMBLINE_CHECK(ZSTD_isError(n) == 0, "ZSTD_compressBound is a bound");
  return {deflated.data(), n};
}

std::string ValueGroupEncoder::finish() {
  Impl& d = *impl_;
  std::vector<std::size_t> model_of;
  const std::vector<Model> models = d.chooser.choose(model_of);
  std::vector<TansEncoder> encoders;
  encoders.reserve(models.size());
  for (const Model& m : models) encoders.emplace_back(m);

  std::string payload;
  std::vector<std::size_t> sizes;
  for (Impl::Column& c : d.columns) {
    if (!c.coded() || c.distance > 0) continue;
    c.model = model_of[sizes.size()];
    const std::size_t begin = payload.size();
    if (c.form.has_exceptions) {
      ByteWriter exceptions;
      exceptions.sized(c.exceptions);
      payload += exceptions.str();
    }
    encoders[c.model].encode(std::span(d.tokens).subspan(c.begin, c.length - 1),
                             std::span(d.residuals).subspan(c.begin, c.length - 1), payload);
    sizes.push_back(payload.size() - begin);
  }
  const std::string header = d.header(models, sizes);
  const std::string_view deflated = d.deflate(header);
  const bool smaller = deflated.size() < header.size();
  ByteWriter out;
  out.u8(format::version);
  out.varint(header.size());
  out.varint(smaller ? deflated.size() : header.size());
  out.raw(smaller ? deflated : std::string_view(header));
  out.raw(payload);

  d.columns.clear();
  d.residuals.clear();
  d.tokens.clear();
  d.column_of.clear();
  d.values = 0;
  d.chooser.clear();
  d.scratch.exponent = 0;
  return out.take();
}

}  // namespace plumbline::storage::codec
