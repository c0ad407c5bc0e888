// Segments in a temporary directory, and a naive model of what they hold.
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/kv/kv.hpp"
#include "storage/series/segment.hpp"
#include "storage/series/segment_writer.hpp"
#include "tests/support/support.hpp"

namespace plumbline::test {

using model::Sample;
using model::TimeRange;
using storage::series::ChunkInfo;
using storage::series::Segment;
using storage::series::SegmentChunk;
using storage::series::SegmentInfo;
using storage::series::SegmentWriter;
using storage::series::SeriesRef;
using Samples = std::vector<Sample>;
using SegmentModel = std::map<SeriesRef, Samples>;

inline constexpr std::uint32_t some_day = 19675;
inline constexpr std::int64_t some_day_start = std::int64_t{some_day} * storage::series::day_ms;

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(*result);
}
inline void must(const Status& status) {
  if (!status) FAIL(status.error().message);
}

struct SegmentFixture {
  TempDir directory;
  std::unique_ptr<storage::kv::TableFiles> files = reopened();

  std::unique_ptr<storage::kv::TableFiles> reopened() {
    return must(storage::kv::TableFiles::open({directory.path("segments"), 8 << 20, nullptr}));
  }
  std::string path(const std::string& name) { return directory.path("segments/" + name); }
  SegmentInfo write(const SegmentModel& model, std::uint64_t seal) {
    auto writer = must(SegmentWriter::create(*files, some_day, seal));
    for (const auto& [ref, samples] : model) must(writer->add(ref, samples));
    return must(writer->finish());
  }
  std::shared_ptr<const Segment> open(const std::string& name) { return must(Segment::open(*files, name)); }
};

inline SegmentModel read_all(const Segment& segment, const std::vector<SeriesRef>& wanted, TimeRange range = {}) {
  SegmentModel out;
  must(segment.read(wanted, range, [&](const SegmentChunk& chunk) {
    return chunk.samples(range, out[{chunk.info().vshard, chunk.info().id}]);
  }));
  std::erase_if(out, [](const auto& entry) { return entry.second.empty(); });
  return out;
}

inline SegmentModel clipped(const SegmentModel& model, const std::vector<SeriesRef>& wanted, TimeRange range) {
  SegmentModel out;
  for (const SeriesRef& ref : wanted) {
    const auto found = model.find(ref);
    if (found == model.end()) continue;
    for (const Sample& s : found->second)
      if (range.contains(s.t)) out[ref].push_back(s);
  }
  return out;
}

inline std::vector<SeriesRef> refs_of(const SegmentModel& model) {
  std::vector<SeriesRef> out;
  for (const auto& entry : model) out.push_back(entry.first);
  return out;
}

// Values of every kind that summaries and codecs treat apart.
inline double some_value(std::mt19937_64& random, int kind, double previous) {
  switch (kind) {
    case 0: return 17;
    case 1: return previous + static_cast<double>(random() % 50);
    case 2: return random() % 60 == 0 ? 0 : std::round((previous + static_cast<double>(random() % 300) / 100) * 100) / 100;
    case 3: return static_cast<double>(static_cast<std::int64_t>(random() % 2001) - 1000);
    case 4: return std::bit_cast<double>(random());
    case 5: return random() % 4 == 0 ? model::stale_nan : random() % 4 == 0 ? std::nan("") : -0.0;
    case 6: return (static_cast<double>(random() % 2000) - 1000) / 8 * std::pow(10, static_cast<double>(random() % 30) - 15);
    case 7: return model::stale_nan;
    default: return 9007199254740993.0 + static_cast<double>(random() % 100);
  }
}

// `series` of them over the vshards; a few share their times, some have many samples.
inline SegmentModel random_model(std::mt19937_64& random, std::size_t series, std::size_t samples_max) {
  SegmentModel out;
  std::vector<std::vector<std::int64_t>> grids;
  for (int g = 0; g < 4; ++g) {
    std::vector<std::int64_t> times;
    std::int64_t t = some_day_start + static_cast<std::int64_t>(random() % 100000);
    for (std::size_t i = 0; i < samples_max && t < some_day_start + storage::series::day_ms; ++i) {
      times.push_back(t);
      t += 1 + static_cast<std::int64_t>(random() % 20000);
    }
    grids.push_back(times);
  }
  for (std::size_t i = 0; i < series; ++i) {
    const auto& grid = grids[random() % grids.size()];
    const std::size_t from = random() % 3 == 0 ? random() % grid.size() : 0;
    const int kind = static_cast<int>(random() % 9);
    Samples samples;
    double v = 100;
    for (std::size_t k = from; k < grid.size(); ++k) {
      v = some_value(random, kind, std::isfinite(v) ? v : 0);
      samples.push_back({grid[k], v});
    }
    const auto id = static_cast<std::uint32_t>(random());
    out[{static_cast<std::uint16_t>(id % storage::kv::vshards), id}] = std::move(samples);
  }
  return out;
}

}  // namespace plumbline::test
