#include <algorithm>
#include <optional>

#include "daemon/base/bytes.hpp"
#include "daemon/base/compression.hpp"
#include "storage/codec/decimal.hpp"
#include "storage/codec/group_column.hpp"
#include "storage/codec/tans.hpp"
#include "storage/codec/value_group.hpp"
#include "storage/codec/value_group_format.hpp"

namespace plumbline::storage::codec {

namespace format = group_format;

namespace {

// A header's largest: every field of every column, and the models.
constexpr std::size_t column_header_max = 64;
constexpr std::size_t model_bytes_max = 512;

}  // namespace

struct ValueGroupDecoder::Impl {
  struct Column {
    std::size_t length = 0;
    ColumnForm form;
    std::size_t model = 0;  // or `copied`
    std::size_t distance = 0;
    std::string_view payload;
    bool coded() const {
      return length > 0 && (form.kind == ColumnKind::decimals || form.kind == ColumnKind::floats);
    }
  };

  std::vector<Column> columns;
  std::vector<Model> models;
  std::vector<std::unique_ptr<TansDecoder>> decoders;  // made when first needed
  std::vector<std::uint64_t> residuals;
  std::vector<std::uint8_t> tokens;
  std::string padded;

  bool read_header(std::string_view header, std::string_view payload);
  bool read_lengths(ByteReader& in);
  bool read_models(ByteReader& in);
};

ValueGroupDecoder::ValueGroupDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ValueGroupDecoder::~ValueGroupDecoder() = default;
ValueGroupDecoder::ValueGroupDecoder(ValueGroupDecoder&&) noexcept = default;
ValueGroupDecoder& ValueGroupDecoder::operator=(ValueGroupDecoder&&) noexcept = default;
std::size_t ValueGroupDecoder::columns() const {
  return impl_->columns.size();
}
std::size_t ValueGroupDecoder::length(std::size_t column) const {
  return impl_->columns[column].length;
}

bool ValueGroupDecoder::Impl::read_lengths(ByteReader& in) {
  const std::uint64_t count = in.varint();
  if (!in.ok() || count > group_columns_max) return false;
  columns.resize(count);
  for (std::size_t i = 0; i < count;) {
    const std::uint64_t run = in.varint();
    const std::uint64_t length = in.varint();
    if (!in.ok() || run == 0 || run > count - i || length > column_values_max) return false;
    for (const std::size_t end = i + run; i < end; ++i) columns[i].length = length;
  }
  return true;
}

bool ValueGroupDecoder::Impl::read_models(ByteReader& in) {
  const std::uint64_t count = in.varint();
  const std::string_view bytes = in.sized();
  if (!in.ok() || count > format::models_max) return false;
  BitReader bits(bytes);
  models.resize(count);
  for (Model& m : models)
    if (!read_model(bits, m)) return false;
  decoders.resize(count);
  return bits.left() < 8;
}

bool ValueGroupDecoder::Impl::read_header(std::string_view header, std::string_view payload) {
  ByteReader in(header);
  if (!read_lengths(in) || !read_models(in)) return false;
  std::vector<std::uint8_t> flags(columns.size());
  bool sound = true;
  const auto each = [&](auto&& read) {
    for (std::size_t i = 0; i < columns.size() && in.ok() && sound; ++i)
      if (columns[i].length > 0) read(columns[i], flags[i]);
  };
  each([&](Column& c, std::uint8_t& f) {
    f = in.u8();
    c.form.kind = static_cast<ColumnKind>(f & format::kind_mask);
    c.form.order = (f >> format::order_shift) & 3;
    c.form.is_signed = (f & format::flag_signed) != 0;
    c.form.has_exceptions = (f & format::flag_exceptions) != 0;
    const bool decimal = c.form.kind == ColumnKind::decimals;
    sound = c.form.order < 3 && (!c.form.has_exceptions || decimal) &&
            ((f & format::flag_exponent) == 0 || decimal || c.form.kind == ColumnKind::constant_decimal) &&
            (c.coded() || (f & (format::flag_divisor | format::flag_signed)) == 0) &&
            (!c.coded() || c.length > 1);
  });
  each([&](Column& c, std::uint8_t f) {
    if ((f & format::flag_exponent) == 0) return;
    const std::uint8_t byte = in.u8();
    c.form.exponent = byte & format::exponent_mask;
    c.form.rule = static_cast<decimal::Rule>(byte >> format::rule_shift);
    sound = c.form.exponent <= decimal::exponent_max && byte >> format::rule_shift < decimal::rules;
  });
  each([&](Column& c, std::uint8_t) {
    if (!c.coded()) return;
    c.model = in.u8();
    sound = c.model < models.size() || c.model == format::copied;
  });
  each([&](Column& c, std::uint8_t) {
    if (!c.coded() || c.model != format::copied) return;
    c.distance = in.varint();
    const auto index = static_cast<std::size_t>(&c - columns.data());
    sound = c.distance > 0 && c.distance <= index && !c.form.has_exceptions;
    if (!sound) return;
    const Column& source = columns[index - c.distance];
    sound =
        source.coded() && source.distance == 0 && source.length == c.length && !source.form.has_exceptions;
    c.model = source.model;
  });
  each([&](Column& c, std::uint8_t f) {
    if ((f & format::flag_divisor) != 0) c.form.divisor = in.varint();
  });
  each([&](Column& c, std::uint8_t) {
    if (c.coded() && c.form.is_signed) c.form.center = in.zigzag();
  });
  each([&](Column& c, std::uint8_t) {
    if (c.form.kind == ColumnKind::constant_decimal || c.form.kind == ColumnKind::decimals)
      c.form.first = in.zigzag();
    else
      c.form.first = static_cast<std::int64_t>(in.le64());
  });
  std::size_t at = 0;
  each([&](Column& c, std::uint8_t) {
    if (!c.coded()) return;
    if (c.distance > 0) {
      c.payload = (&c - c.distance)->payload;
      return;
    }
    const std::uint64_t size = in.varint();
    sound = size <= payload.size() - at;
    if (!sound) return;
    c.payload = payload.substr(at, size);
    at += size;
  });
  return sound && in.ok() && in.done() && at == payload.size();
}

Result<ValueGroupDecoder> ValueGroupDecoder::open(std::string_view bytes) {
  ByteReader in(bytes);
  const std::uint8_t version = in.u8();
  if (in.ok() && version > format::version)
    return fail(Code::unsupported, "value group of version " + std::to_string(version) +
                                       ", this reads up to " + std::to_string(format::version));
  const std::uint64_t size = in.varint();
  const std::string_view stored = in.sized();
  if (!in.ok() || version == 0 || size < stored.size() ||
      size > group_columns_max * column_header_max + format::models_max * model_bytes_max)
    return fail(Code::corrupt, "value group without a header");
  auto impl = std::make_unique<Impl>();
  std::string inflated;
  std::string_view header = stored;
  if (stored.size() != size) {
    auto plain = unzstd(stored, size);
    if (!plain || plain->size() != size) return fail(Code::corrupt, "value group with a damaged header");
    inflated = std::move(*plain);
    header = inflated;
  }
  if (!impl->read_header(header, in.raw(in.left())))
    return fail(Code::corrupt, "value group whose header makes no sense");
  return ValueGroupDecoder(std::move(impl));
}

Status ValueGroupDecoder::read(std::size_t column, std::span<double> out) {
  Impl& d = *impl_;
  if (column >= columns() || d.columns[column].length != out.size())
    return fail(Code::corrupt, "value column of another length");
  if (out.empty()) return {};
  const Impl::Column& c = d.columns[column];
  if (!c.coded()) {
    restore_column(c.form, {}, out);
    return {};
  }
  std::string_view stream = c.payload;
  std::string_view exceptions;
  if (c.form.has_exceptions) {
    ByteReader in(stream);
    exceptions = in.sized();
    stream = in.raw(in.left());
    if (!in.ok()) return fail(Code::corrupt, "value column with damaged exceptions");
  }
  auto& decoder = d.decoders[c.model];
  if (!decoder) decoder = std::make_unique<TansDecoder>(d.models[c.model]);
  if (d.residuals.size() < c.length) d.residuals.resize(c.length);
  const auto residuals = std::span(d.residuals).first(c.length - 1);
  if (!decoder->decode(stream, residuals, d.padded, d.tokens))
    return fail(Code::corrupt, "value column that does not add up");
  restore_column(c.form, residuals, out);
  if (c.form.has_exceptions) {
    ByteReader in(exceptions);
    if (!read_exceptions(in, out) || !in.done())
      return fail(Code::corrupt, "value column with damaged exceptions");
  }
  return {};
}

}  // namespace plumbline::storage::codec
