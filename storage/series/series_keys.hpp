// Keys of the metric engine in RocksDB. Specified in storage/format/keys.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "daemon/base/error.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

inline std::string series_key(std::uint16_t vshard, std::uint32_t id) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.be32(id);
  return out.take();
}
inline std::string series_key(const model::Labels& labels, std::uint32_t id) {
  return series_key(static_cast<std::uint16_t>(labels.fingerprint() % kv::vshards), id);
}
inline std::string next_id_key() { return kv::key_prefix(0) + "series_next_id"; }
inline std::string bounds_key() { return kv::key_prefix(0) + "series_bounds"; }
inline std::string segment_prefix() { return kv::key_prefix(0) + "segment/"; }
inline std::string segment_prefix_end() { return kv::key_prefix(0) + "segment0"; }  // '0' follows '/'
inline std::string segment_key(const std::string& name) { return segment_prefix() + name; }

// The values. Those that read fail: corrupt.
std::string encode_next_id(std::uint32_t id);
Result<std::uint32_t> decode_next_id(std::string_view value);
std::string encode_bounds(model::TimeRange bounds);  // of every sample ever written
Result<model::TimeRange> decode_bounds(std::string_view value);
std::string segment_value(std::uint32_t day);
Result<std::uint32_t> segment_day(std::string_view name, std::string_view value);
// The names of the segments that commits have named.
Result<std::vector<std::string>> live_segments(const kv::Kv& kv);

inline std::string tier_prefix() { return kv::key_prefix(0) + "tier/"; }
inline std::string tier_prefix_end() { return kv::key_prefix(0) + "tier0"; }
inline std::string tier_key(const std::string& name) { return tier_prefix() + name; }
// What the list of tiers says of a file.
struct TierEntry {
  std::uint32_t day = 0;
  std::int64_t resolution = 0;        // ms
  bool final = false;                 // the samples are gone, and the file stands for them
  std::vector<std::string> segments;  // whose samples it was made of; sorted
  bool operator==(const TierEntry&) const = default;
};
std::string tier_value(const TierEntry& entry);
Result<TierEntry> decode_tier(std::string_view name, std::string_view value);  // Fails: corrupt
Result<std::vector<std::string>> live_tiers(const kv::Kv& kv);
// Both: every file of the segments directory that is not an orphan.
Result<std::vector<std::string>> live_tables(const kv::Kv& kv);

}  // namespace plumbline::storage::series
