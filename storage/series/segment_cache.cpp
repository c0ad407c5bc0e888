#include "storage/series/segment_cache.hpp"

#include "storage/series/segment_directory.hpp"

namespace plumbline::storage::series {

namespace {

CacheMeters meters(Registry* registry, const char* part) {
  if (registry == nullptr) return {};
  return {&registry->counter("plumbline_store_decoded_cache_hits_total", "Parts of segments that were found decoded.", {{"part", part}}),
          &registry->counter("plumbline_store_decoded_cache_misses_total", "Parts of segments that had to be decoded.", {{"part", part}})};
}

}  // namespace

// Times get a quarter: those of one target serve all its series.
SegmentCaches::SegmentCaches(std::uint64_t directory_bytes_max, std::uint64_t decoded_bytes_max, Registry* registry)
    : directories(directory_bytes_max, meters(registry, "directories")),
      values(decoded_bytes_max / 4 * 3, meters(registry, "values")),
      times(decoded_bytes_max / 4, meters(registry, "times")) {}

}  // namespace plumbline::storage::series
