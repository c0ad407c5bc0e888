// Summaries come back from their few bytes as they were.
#include "segment_fixture.hpp"
#include "storage/series/summary_column.hpp"

using namespace plumbline;
using namespace plumbline::test;
using storage::series::ChunkSummary;
using storage::series::summarize;

namespace {

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }
bool close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= 1e-12 * std::fabs(b);
}

void check_same(const ChunkSummary& a, const ChunkSummary& b) {
  CHECK(a.count == b.count);
  CHECK(a.has_stale == b.has_stale);
  if (b.count == 0) return;
  CHECK(same(a.first, b.first));
  CHECK(same(a.last, b.last));
  CHECK(same(a.min, b.min));
  CHECK(same(a.max, b.max));
  CHECK(close(a.sum, b.sum));
  CHECK(close(a.reset_correction, b.reset_correction));
}

}  // namespace

TEST_CASE("summaries of any values come back") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  storage::series::SummaryEncoder encoder;
  std::vector<ChunkSummary> summaries;
  std::vector<std::uint32_t> counts;
  for (int i = 0; i < 3000; ++i) {
    std::vector<double> values;
    const int kind = static_cast<int>(random() % 9);
    double v = kind == 1 ? 9e15 : 5;
    for (std::size_t k = 0, n = 1 + random() % 480; k < n; ++k)
      values.push_back(v = some_value(random, random() % 200 == 0 ? 5 : kind, std::isfinite(v) ? v : 0));
    summaries.push_back(summarize(std::span<const double>(values)));
    counts.push_back(static_cast<std::uint32_t>(values.size()));
    Samples samples;
    for (const double x : values) samples.push_back({0, x});
    check_same(summaries.back(), summarize(samples));
    encoder.add(summaries.back(), counts.back());
  }
  ByteWriter bytes;
  encoder.finish(bytes);
  storage::series::NumberReader in(bytes.str());
  const auto back = must(storage::series::decode_summaries(in, counts));
  for (std::size_t i = 0; i < back.size(); ++i) check_same(back[i], summaries[i]);
  CHECK(in.left() == 0);
  // Any other bytes give an error or some summaries, never a crash.
  for (int round = 0; round < 3000; ++round) {
    std::string bad = bytes.str();
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    storage::series::NumberReader damaged(bad);
    (void)storage::series::decode_summaries(damaged, counts);
  }
}

TEST_CASE("a summary is small where the chunk is simple") {
  const auto size = [](std::vector<double> values) {
    storage::series::SummaryEncoder encoder;
    for (int i = 0; i < 100; ++i)
      encoder.add(summarize(std::span<const double>(values)), static_cast<std::uint32_t>(values.size()));
    ByteWriter out;
    encoder.finish(out);
    return static_cast<double>(out.size()) / 100;
  };
  CHECK(size(std::vector<double>(240, 0.0)) < 1.5);
  CHECK(size(std::vector<double>(240, 12.25)) < 2.5);
  CHECK(size({1000, 1010, 1020, 1030}) < 6);
  CHECK(size({1.25, 1.5, 0.25, 3}) < 12);
}
