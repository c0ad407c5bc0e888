#include "storage/series/segment_format.hpp"

#include <charconv>
#include <algorithm>

#include <fmt/format.h>

#include "daemon/base/compression.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::size_t frame_bytes = 6;
constexpr std::size_t unpacked_max = 16u << 20;  // a directory is some 100 bytes a chunk at worst, 65,535 chunks at most

struct Date {
  std::int64_t year;
  unsigned month;
  unsigned day;
};
// Of days since 1970-01-01; days_from_civil backwards. std::chrono's year ends at 32767, our days do not.
Date civil(std::uint32_t days) {
  const std::int64_t z = std::int64_t{days} + 719468;
  const std::int64_t era = z / 146097;
  const auto doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<std::int64_t>(yoe) + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * mp + 2) / 5 + 1};
}

}  // namespace

std::string segment_name(std::uint32_t day, std::uint64_t seal, std::uint32_t generation) {
  const Date date = civil(day);
  const std::string rewritten = generation == 0 ? "" : fmt::format("-{:x}", generation);
  return fmt::format("{:04}{:02}{:02}-{:016x}{}.sst", date.year, date.month, date.day, seal, rewritten);
}

std::uint32_t segment_generation(const std::string& name) {
  constexpr std::size_t plain = 8 + 1 + 16;  // date, dash, seal
  if (name.size() <= plain || name[plain] != '-') return 0;
  std::uint32_t out = 0;
  std::from_chars(name.data() + plain + 1, name.data() + name.size(), out, 16);
  return out;
}

Result<std::vector<std::string>> orphan_segments(const kv::TableFiles& files, const std::vector<std::string>& live) {
  PLUMBLINE_TRY(std::vector<std::string> names, files.list());
  std::erase_if(names, [&](const std::string& name) { return std::ranges::find(live, name) != live.end(); });
  return names;
}

std::string_view name_of(Record record) {
  switch (record) {
    case Record::info: return "info";
    case Record::times: return "times";
    case Record::directory: return "directory";
    case Record::payload: return "payload";
    case Record::histograms: return "histograms";
    case Record::tier_info: return "tier info";
    case Record::tier_buckets: return "tier buckets";
  }
  return "unknown";
}

std::string record_key(std::uint16_t vshard, std::uint32_t number) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.be32(number);
  return out.take();
}

std::string info_key() { return record_key(0xffff, 0xffff'ffff); }

std::string frame_record(Record kind, std::string_view body, std::uint8_t version) {
  ByteWriter out;
  out.u8(version);
  out.u8(static_cast<std::uint8_t>(kind));
  out.raw(body);
  out.le32(crc32c(out.str()));
  return out.take();
}

Result<std::string_view> unframe_record(Record kind, std::string_view value) {
  if (value.size() < frame_bytes) return fail(Code::corrupt, "record of " + std::to_string(value.size()) + " bytes");
  ByteReader tail(value.substr(value.size() - 4));
  if (crc32c(value.substr(0, value.size() - 4)) != tail.le32())
    return fail(Code::corrupt, "record does not match its checksum");
  ByteReader in(value);
  const std::uint8_t version = in.u8();
  if (version > segment_version_histograms)
    return fail(Code::unsupported, "record of version " + std::to_string(version) + ", this Plumbline reads up to " +
                                       std::to_string(segment_version_histograms));
  const std::uint8_t found = in.u8();
  if (version == 0 || found != static_cast<std::uint8_t>(kind))
    return fail(Code::corrupt, "record of kind " + std::to_string(found) + " where " + std::string(name_of(kind)) +
                                   " should stand");
  return value.substr(2, value.size() - frame_bytes);
}

std::string pack(std::string_view bytes) {
  const std::string small = zstd(bytes, 3);
  const bool packed = small.size() < bytes.size();
  std::string out(1, packed ? 1 : 0);
  out += packed ? std::string_view(small) : bytes;
  return out;
}

Result<std::string> unpack(std::string_view bytes) {
  if (bytes.empty() || bytes[0] > 1) return fail(Code::corrupt, "record of unknown packing");
  if (bytes[0] == 0) return std::string(bytes.substr(1));
  auto out = unzstd(bytes.substr(1), unpacked_max);
  if (!out) return fail(Code::corrupt, out.error().message);
  return out;
}

std::uint64_t NumberReader::long_varint() {
  std::uint64_t v = 0;
  for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
    const std::uint64_t byte = *at_++;
    if (shift == 63 && byte > 1) break;  // does not fit 64 bits
    v |= (byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
  ok_ = false;
  at_ = end_;
  return 0;
}

double NumberReader::f64() {
  ByteReader in(raw(8));
  return in.f64();
}

std::string_view NumberReader::raw(std::size_t n) {
  if (n > left()) {
    ok_ = false;
    at_ = end_;
    return {};
  }
  const std::string_view out(reinterpret_cast<const char*>(at_), n);
  at_ += n;
  return out;
}

void put_column(ByteWriter& out, const std::vector<std::uint64_t>& column) {
  const bool equal = std::ranges::all_of(column, [&](std::uint64_t v) { return v == column.front(); });
  out.u8(equal ? 0 : 1);
  if (equal) return out.varint(column.empty() ? 0 : column.front());
  for (const std::uint64_t v : column) out.varint(v);
}

// The caller bounds `length`: an equal column costs two bytes whatever it is.
std::vector<std::uint64_t> get_column(NumberReader& in, std::size_t length) {
  if (in.u8() == 0) return std::vector<std::uint64_t>(length, in.varint());
  std::vector<std::uint64_t> out(length);
  for (auto& v : out) v = in.varint();
  return out;
}

namespace {

void put_ids(ByteWriter& out, const Roaring& ids) {
  std::string bytes(ids.getSizeInBytes(), '\0');
  ids.write(bytes.data());
  out.sized(bytes);
}

Result<Roaring> get_ids(std::string_view bytes) {
  try {
    return Roaring::readSafe(bytes.data(), bytes.size());
  } catch (const std::exception& e) {
    return fail(Code::corrupt, std::string("info record whose ids do not read: ") + e.what());
  }
}

}  // namespace

std::string encode_index(const SegmentIndex& index) {
  ByteWriter out;
  out.varint(index.info.day);
  out.varint(index.info.seal);
  out.zigzag(index.info.min_t);
  out.zigzag(index.info.max_t);
  out.varint(index.info.series);
  out.varint(index.info.samples);
  out.varint(index.groups.size());
  std::uint32_t vshard = 0;
  std::uint32_t number = 0;
  for (const GroupPlace& g : index.groups) {
    out.varint(g.first - vshard);
    out.varint(g.last - g.first);
    out.varint(g.number - number);
    vshard = g.first;
    number = g.number;
  }
  out.varint(index.times.size());
  vshard = number = 0;
  for (const TimesPlace& t : index.times) {
    out.varint(t.vshard - vshard);
    out.varint(t.number - number);
    vshard = t.vshard;
    number = t.number;
  }
  put_ids(out, index.ids);
  if (index.histograms.empty()) return out.take();
  out.varint(index.info.histograms);
  out.varint(index.histograms.size());
  vshard = number = 0;
  for (const HistogramsPlace& h : index.histograms) {
    out.varint(h.key_vshard - vshard);
    out.varint(h.number - number);
    out.varint(h.first);
    out.varint(h.last - h.first);
    vshard = h.key_vshard;
    number = h.number;
  }
  put_ids(out, index.histogram_ids);
  return out.take();
}

Result<SegmentIndex> decode_index(std::string_view body) {
  ByteReader in(body);
  SegmentIndex out;
  out.info.day = static_cast<std::uint32_t>(in.varint());
  out.info.seal = in.varint();
  out.info.min_t = in.zigzag();
  out.info.max_t = in.zigzag();
  out.info.series = in.varint();
  out.info.samples = in.varint();
  std::uint64_t vshard = 0;
  std::uint64_t number = 0;
  bool sound = true;
  // One step on from `at`, to below `end`. A step so large that the sum wraps would run backwards: it is damage.
  const auto step = [&](std::uint64_t at, std::uint64_t end) {
    const std::uint64_t by = in.varint();
    sound = sound && by < end - at;
    return sound ? at + by : at;
  };
  for (std::uint64_t i = 0, n = in.varint(); i < n && in.ok() && sound; ++i) {
    vshard = step(vshard, kv::vshards);
    const std::uint64_t last = step(vshard, kv::vshards);
    number = step(number, 0xffff'fffe);
    out.groups.push_back({static_cast<std::uint16_t>(vshard), static_cast<std::uint16_t>(last),
                          static_cast<std::uint32_t>(number)});
  }
  vshard = number = 0;
  for (std::uint64_t i = 0, n = in.varint(); i < n && in.ok() && sound; ++i) {
    vshard = step(vshard, kv::vshards);
    number = step(number, 0xffff'ffff);
    out.times.push_back({static_cast<std::uint16_t>(vshard), static_cast<std::uint32_t>(number)});
  }
  const std::string_view ids = in.sized();
  std::string_view histogram_ids;
  if (in.ok() && !in.done()) {
    out.info.histograms = in.varint();
    vshard = number = 0;
    for (std::uint64_t i = 0, n = in.varint(); i < n && in.ok() && sound; ++i) {
      vshard = step(vshard, kv::vshards);
      number = step(number, 0xffff'ffff);
      const std::uint64_t first = step(0, kv::vshards);
      const std::uint64_t last = step(first, kv::vshards);
      out.histograms.push_back({static_cast<std::uint16_t>(vshard), static_cast<std::uint32_t>(number),
                                static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
    }
    histogram_ids = in.sized();
  }
  if (!in.ok() || !in.done() || !sound) return fail(Code::corrupt, "info record that makes no sense");
  PLUMBLINE_TRY(out.ids, get_ids(ids));
  if (!histogram_ids.empty()) {
    PLUMBLINE_TRY(out.histogram_ids, get_ids(histogram_ids));
  }
  if (!out.histogram_ids.isSubset(out.ids)) return fail(Code::corrupt, "info record with histograms of series that it lacks");
  if (out.ids.cardinality() != out.info.series) return fail(Code::corrupt, "info record with another number of ids");
  return out;
}

std::string encode_times_record(const std::vector<EncodedTimes>& columns) {
  ByteWriter out;
  out.varint(columns.size());
  for (const EncodedTimes& c : columns) {
    out.varint(c.count);
    out.varint(c.bytes.size());
  }
  for (const EncodedTimes& c : columns) out.raw(c.bytes);
  return out.take();
}

Result<std::vector<TimesColumn>> decode_times_record(std::string_view body) {
  NumberReader in(body);
  const std::uint64_t n = in.varint();
  if (n > in.left()) return fail(Code::corrupt, "times record with more columns than bytes");
  std::vector<TimesColumn> out(n);
  std::vector<std::uint64_t> sizes(n);
  bool sound = true;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t count = in.varint();
    sound = sound && count >= 1 && count <= chunk_samples_max;
    out[i].count = static_cast<std::uint32_t>(count);
    sizes[i] = in.varint();
  }
  for (std::size_t i = 0; i < n; ++i) out[i].bytes = in.raw(sizes[i]);
  if (!sound || !in.ok() || in.left() != 0) return fail(Code::corrupt, "times record that makes no sense");
  return out;
}

}  // namespace plumbline::storage::series
