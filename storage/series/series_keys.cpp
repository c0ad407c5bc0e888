#include "storage/series/series_keys.hpp"

#include <limits>

namespace plumbline::storage::series {

std::string encode_next_id(std::uint32_t id) {
  ByteWriter out;
  out.le64(id);
  return out.take();
}

Result<std::uint32_t> decode_next_id(std::string_view value) {
  ByteReader in(value);
  const std::uint64_t id = in.le64();
  if (!in.ok() || !in.done() || id > std::numeric_limits<std::uint32_t>::max())
    return fail(Code::corrupt, "series index: the next id does not decode");
  return static_cast<std::uint32_t>(id);
}

std::string encode_bounds(model::TimeRange bounds) {
  ByteWriter out;
  out.zigzag(bounds.min);
  out.zigzag(bounds.max);
  return out.take();
}

Result<model::TimeRange> decode_bounds(std::string_view value) {
  ByteReader in(value);
  model::TimeRange out;
  out.min = in.zigzag();
  out.max = in.zigzag();
  if (!in.ok() || !in.done()) return fail(Code::corrupt, "series index: the bounds of its times do not decode");
  return out;
}

std::string segment_value(std::uint32_t day) {
  ByteWriter out;
  out.varint(day);
  return out.take();
}

Result<std::uint32_t> segment_day(std::string_view name, std::string_view value) {
  ByteReader in(value);
  const std::uint64_t day = in.varint();
  if (!in.ok() || !in.done() || day > std::numeric_limits<std::uint32_t>::max())
    return fail(Code::corrupt, "list of segments: the day of " + std::string(name) + " does not decode");
  return static_cast<std::uint32_t>(day);
}

Result<std::vector<std::string>> live_segments(const kv::Kv& kv) {
  std::vector<std::string> out;
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::meta, segment_prefix(), segment_prefix_end(), [&](std::string_view key, std::string_view) {
    out.emplace_back(key.substr(segment_prefix().size()));
    return true;
  }));
  return out;
}

}  // namespace plumbline::storage::series
