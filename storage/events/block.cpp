#include "storage/events/block.hpp"

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/codec/column_filter.hpp"
#include "storage/events/keys.hpp"

namespace plumbline::storage::events {
namespace {

constexpr std::string_view magic = "PLEB";
constexpr std::size_t frame_bytes = 4 + 1 + 4;  // magic, version, header size
constexpr std::size_t crc_bytes = 4;

enum Extra : std::uint8_t { has_ints = 1, has_floats = 2, has_filter = 4, extras_all = 7 };

// A filter for every column that has strings, but the ids: those are found through the id index.
std::optional<std::string> filter_of(const Column& column, codec::TypeSet types) {
  if ((types & codec::type_bit(4)) == 0 || id_kind_of(column.name)) return std::nullopt;
  std::vector<std::uint64_t> words;
  const std::string* last = nullptr;
  for (const model::Value& v : column.values) {
    const auto* text = std::get_if<std::string>(&v);
    if (text == nullptr || (last != nullptr && *last == *text)) continue;  // runs of one value are common
    codec::collect_words(*text, words);
    last = text;
  }
  return codec::make_filter(std::move(words));
}

void put_column(ByteWriter& header, const Column& column, const codec::EncodedColumn& encoded) {
  header.sized(column.name);
  header.u8(encoded.types);
  header.varint(encoded.bytes.size());
  header.le32(crc32c(encoded.bytes));
  const auto filter = filter_of(column, encoded.types);
  header.u8(static_cast<std::uint8_t>((encoded.ints ? Extra::has_ints : 0) | (encoded.floats ? Extra::has_floats : 0) |
                                      (filter ? Extra::has_filter : 0)));
  if (encoded.ints) {
    header.zigzag(encoded.ints->first);
    header.zigzag(encoded.ints->second);
  }
  if (encoded.floats) {
    header.f64(encoded.floats->first);
    header.f64(encoded.floats->second);
  }
  if (filter) header.sized(*filter);
}

std::unexpected<Error> corrupt(std::string_view what) { return fail(Code::corrupt, std::string(what)); }

bool get_column(ByteReader& header, BlockColumn& column, std::uint64_t& size) {
  column.name = header.sized();
  column.types = header.u8();
  size = header.varint();
  column.crc = header.le32();
  const std::uint8_t extras = header.u8();
  if ((extras & Extra::has_ints) != 0) {
    const std::int64_t least = header.zigzag();
    column.ints.emplace(least, header.zigzag());
  }
  if ((extras & Extra::has_floats) != 0) {
    const double least = header.f64();
    column.floats.emplace(least, header.f64());
  }
  if ((extras & Extra::has_filter) != 0) column.filter = header.sized();
  return header.ok() && extras <= Extra::extras_all && column.types != 0 && column.types <= codec::type_bits_all;
}

}  // namespace

std::string build_block(EventKind kind, const Labels& stream, std::span<const std::int64_t> times,
                        std::span<const Column> columns) {
  PLUMBLINE_CHECK(!times.empty() && times.size() <= block_rows_max, "a block has rows, and not too many");
  ByteWriter header;
  header.u8(static_cast<std::uint8_t>(kind));
  header.varint(times.size());
  header.zigzag(times.front());
  header.varint(static_cast<std::uint64_t>(times.back()) - static_cast<std::uint64_t>(times.front()));
  header.sized(stream.encode());
  ByteWriter payload;
  const std::string time_bytes = codec::encode_times(times);
  header.varint(time_bytes.size());
  header.le32(crc32c(time_bytes));
  payload.raw(time_bytes);
  header.varint(columns.size());
  for (const Column& column : columns) {
    PLUMBLINE_CHECK(column.values.size() == times.size(), "a column has a value per row");
    const codec::EncodedColumn encoded = codec::encode_column(column.values);
    put_column(header, column, encoded);
    payload.raw(encoded.bytes);
  }
  ByteWriter out;
  out.raw(magic);
  out.u8(block_version);
  out.le32(static_cast<std::uint32_t>(frame_bytes + header.size() + crc_bytes));
  out.raw(header.str());
  out.le32(crc32c(out.str()));
  out.raw(payload.str());
  return out.take();
}

Result<BlockView> BlockView::open(std::string_view bytes, Verify verify) {
  if (bytes.size() < frame_bytes + crc_bytes || !bytes.starts_with(magic)) return corrupt("not an event block");
  ByteReader frame(bytes.substr(magic.size(), frame_bytes - magic.size()));
  const std::uint8_t version = frame.u8();
  const std::uint32_t header_size = frame.le32();
  if (header_size < frame_bytes + crc_bytes || header_size > bytes.size()) return corrupt("truncated header");
  const std::string_view checked = bytes.substr(0, header_size - crc_bytes);
  ByteReader crc(bytes.substr(checked.size(), crc_bytes));
  if (verify == Verify::yes && crc.le32() != crc32c(checked)) return corrupt("the header's checksum does not match");
  if (version > block_version)
    return fail(Code::unsupported, fmt::format("block version {} is newer than this program's {}", version, block_version));

  BlockView view;
  view.verify_ = verify;
  ByteReader header(checked.substr(frame_bytes));
  const std::optional<EventKind> kind = model::event_kind_of(header.u8());
  view.rows_ = header.varint();
  view.min_time_ = header.zigzag();
  view.max_time_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(view.min_time_) + header.varint());
  Result<Labels> stream = Labels::decode(header.sized());
  if (!header.ok() || !stream || !kind) return corrupt("damaged header");
  view.kind_ = *kind;
  view.stream_ = std::move(*stream);
  if (view.rows_ == 0 || view.rows_ > block_rows_max) return corrupt("impossible number of rows");

  std::string_view payload = bytes.substr(header_size);
  const auto take = [&](std::uint64_t size, std::string_view& out) {
    if (size > payload.size()) return false;
    out = payload.substr(0, size);
    payload.remove_prefix(size);
    return true;
  };
  const std::uint64_t times_size = header.varint();
  view.times_crc_ = header.le32();
  if (!header.ok() || !take(times_size, view.times_)) return corrupt("truncated times");
  const std::uint64_t count = header.varint();
  // A column's description takes at least eight bytes.
  if (!header.ok() || count > header.left() / 8 || (view.rows_ > 1 && count > block_cells_max / view.rows_))
    return corrupt("impossible number of columns");
  view.columns_.resize(count);
  for (BlockColumn& column : view.columns_) {
    std::uint64_t size = 0;
    if (!get_column(header, column, size)) return corrupt("damaged description of a column");
    if (!take(size, column.bytes)) return corrupt(fmt::format("column '{}' is truncated", column.name));
  }
  if (!header.done()) return corrupt("bytes left over in the header");
  if (!payload.empty()) return corrupt(fmt::format("{} bytes after the last column", payload.size()));
  return view;
}

const BlockColumn* BlockView::find(std::string_view name) const {
  for (const BlockColumn& c : columns_)
    if (c.name == name) return &c;
  return nullptr;
}

Result<std::vector<std::int64_t>> BlockView::times() const {
  if (verify_ == Verify::yes && crc32c(times_) != times_crc_) return corrupt("the times' checksum does not match");
  std::vector<std::int64_t> times;
  PLUMBLINE_CHECK_OK(codec::decode_times(times_, rows_, times));
  return times;
}

Status BlockView::decode(const BlockColumn& column, std::size_t first, std::size_t last,
                         std::vector<model::Value>& out) const {
  if (verify_ == Verify::yes && crc32c(column.bytes) != column.crc)
    return corrupt(fmt::format("the checksum of column '{}' does not match", column.name));
  if (auto status = codec::decode_column(column.bytes, column.types, rows_, first, last, out); !status)
    return fail(status.error().in(fmt::format("column '{}'", column.name)));
  return {};
}

bool BlockView::may_contain_words(std::string_view column, std::string_view text) const {
  const BlockColumn* found = find(column);
  if (found == nullptr) return false;
  if (!found->filter) return (found->types & codec::type_bit(4)) != 0;
  bool possible = true;
  codec::for_each_word(text, [&](std::string_view word) { possible = possible && codec::may_contain(*found->filter, word); });
  return possible;
}

void fuzz_block(std::string_view bytes) {
  for (const Verify verify : {Verify::yes, Verify::no}) {
    const Result<BlockView> view = BlockView::open(bytes, verify);
    if (!view) continue;
    const auto times = view->times();
    static_cast<void>(view->may_contain_words("line", "a word"));
    for (const BlockColumn& column : view->columns()) {
      std::vector<model::Value> values;
      const Status status = view->decode(column, 0, view->rows(), values);
      PLUMBLINE_CHECK(!status || values.size() == view->rows(), "a decoded column has a value per row");
    }
  }
}

}  // namespace plumbline::storage::events
