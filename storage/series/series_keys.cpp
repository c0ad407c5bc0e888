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

namespace {

Result<std::vector<std::string>> names_below(const kv::Kv& kv, const std::string& prefix, const std::string& end) {
  std::vector<std::string> out;
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::meta, prefix, end, [&](std::string_view key, std::string_view) {
    out.emplace_back(key.substr(prefix.size()));
    return true;
  }));
  return out;
}

}  // namespace

Result<std::vector<std::string>> live_segments(const kv::Kv& kv) { return names_below(kv, segment_prefix(), segment_prefix_end()); }

std::string tier_value(const TierEntry& entry) {
  ByteWriter out;
  out.varint(entry.day);
  out.varint(static_cast<std::uint64_t>(entry.resolution));
  out.u8(entry.final ? 1 : 0);
  out.varint(entry.segments.size());
  for (const std::string& name : entry.segments) out.sized(name);
  return out.take();
}

Result<TierEntry> decode_tier(std::string_view name, std::string_view value) {
  ByteReader in(value);
  const std::uint64_t day = in.varint();
  const std::uint64_t resolution = in.varint();
  const std::uint8_t final = in.u8();
  const std::uint64_t segments = in.varint();
  TierEntry out{static_cast<std::uint32_t>(day), static_cast<std::int64_t>(resolution), final == 1, {}};
  for (std::uint64_t i = 0; i < segments && in.ok(); ++i) out.segments.emplace_back(in.sized());
  if (!in.ok() || !in.done() || day > std::numeric_limits<std::uint32_t>::max() || final > 1 || resolution == 0 ||
      resolution > 86'400'000)
    return fail(Code::corrupt, "list of tiers: the entry of " + std::string(name) + " does not decode");
  return out;
}

Result<std::vector<std::string>> live_tiers(const kv::Kv& kv) { return names_below(kv, tier_prefix(), tier_prefix_end()); }

Result<std::vector<std::string>> live_tables(const kv::Kv& kv) {
  PLUMBLINE_TRY(auto out, live_segments(kv));
  PLUMBLINE_TRY(const auto tiers, live_tiers(kv));
  out.insert(out.end(), tiers.begin(), tiers.end());
  return out;
}

}  // namespace plumbline::storage::series
