// Statistics from summaries and edges equal a naive pass over the samples.
#include "segment_fixture.hpp"
#include "storage/series/window_stats.hpp"

using namespace plumbline;
using namespace plumbline::test;
using storage::series::WindowStats;

namespace {

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }
// Sums of numbers that cancel are compared with the numbers, not with what is left of them.
bool close(double a, double b, double scale) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= 1e-12 * scale;
}

}  // namespace

TEST_CASE("window statistics equal a naive pass") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  const SegmentModel model = random_model(random, 300, 2500);
  const auto segment = f.open(f.write(model, 1).name);
  std::size_t from_summaries = 0;
  for (const auto& [ref, samples] : model) {
    TimeRange range;
    range.min = samples[random() % samples.size()].t;
    range.max = range.min + static_cast<std::int64_t>(random() % 20'000'000);
    WindowStats stats;
    must(segment->read(std::vector{ref}, range, [&](const SegmentChunk& chunk) -> Status {
      const ChunkInfo& info = chunk.info();
      if (range.contains(info.min_t) && range.contains(info.max_t) && !WindowStats::needs_samples(info)) {
        stats.add_summary(info);
        ++from_summaries;
        return {};
      }
      Samples edge;
      PLUMBLINE_CHECK_OK(chunk.samples(range, edge));
      stats.add_samples(edge);
      return {};
    }));
    Samples inside;
    for (const Sample& s : samples)
      if (range.contains(s.t) && !model::is_stale(s.v)) inside.push_back(s);
    const auto naive = storage::series::summarize(inside);
    REQUIRE(stats.count() == inside.size());
    if (inside.empty()) continue;
    CHECK(stats.first_t() == inside.front().t);
    CHECK(stats.last_t() == inside.back().t);
    CHECK(same(stats.first(), naive.first));
    CHECK(same(stats.last(), naive.last));
    CHECK(same(stats.min(), naive.min));
    CHECK(same(stats.max(), naive.max));
    double scale = 0;
    for (const Sample& s : inside) scale += std::isnan(s.v) ? 0 : std::fabs(s.v);
    if (!std::isfinite(scale)) continue;  // where a sum overflows depends on the order of adding
    CHECK(close(stats.sum(), naive.sum, scale));
    CHECK(close(stats.reset_correction(), naive.reset_correction, scale));
  }
  CHECK(from_summaries > 0);
}

TEST_CASE("a counter that resets between chunks is corrected once") {
  WindowStats stats;
  ChunkInfo chunk;
  const auto add = [&](std::int64_t t, const std::vector<double>& values) {
    chunk.min_t = t;
    chunk.max_t = t + static_cast<std::int64_t>(values.size()) - 1;
    chunk.count = static_cast<std::uint32_t>(values.size());
    chunk.summary = storage::series::summarize(std::span<const double>(values));
    stats.add_summary(chunk);
  };
  add(0, {1, 5, 2});
  add(10, {1, 4});
  stats.add_samples(Samples{{20, 3}, {21, 9}});
  CHECK(stats.reset_correction() == 5 + 2 + 4);
  CHECK(stats.count() == 7);
  CHECK(stats.sum() == 25);
  CHECK(stats.last_t() == 21);
}
