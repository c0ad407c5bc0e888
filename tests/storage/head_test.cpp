// The head's pages against maps: every order of arrival, adversarial values, many blocks, several targets on one page.
#include <map>

#include "storage/series/head.hpp"
#include "store_fixture.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::test;
using storage::series::Head;
using storage::series::SeriesRun;

namespace {

using Naive = std::map<std::uint32_t, std::map<std::int64_t, double>>;

bool read(const Head& head, std::uint32_t id, model::TimeRange range, std::vector<Sample>& out) {
  std::vector<model::HistogramSample> none;
  const bool any = head.read(id, range, out, none);
  CHECK(none.empty());
  return any;
}

std::vector<Sample> inside(const std::map<std::int64_t, double>& samples, model::TimeRange range) {
  std::vector<Sample> out;
  for (const auto& [t, v] : samples)
    if (range.contains(t)) out.push_back({t, v});
  return out;
}

void check(const Head& head, const Naive& naive, std::mt19937_64& random, std::int64_t start, std::int64_t span) {
  std::uint64_t series = 0;
  for (const auto& [id, samples] : naive) {
    ++series;
    CHECK(head.holds(id));
    std::vector<Sample> got;
    read(head, id, {}, got);
    REQUIRE(got == inside(samples, {}));
    const std::int64_t a = start + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span));
    const model::TimeRange part{a, a + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span / 4))};
    got.clear();
    CHECK(read(head, id, part, got) == !inside(samples, part).empty());
    REQUIRE(got == inside(samples, part));
    CHECK(head.present(Roaring::bitmapOf(1, id), part, {})->contains(id) == !got.empty());
  }
  CHECK(head.series() == series);
  CHECK(head.ids().cardinality() == series);
}

}  // namespace

TEST_CASE("the head gives back what it was given, in any order of arrival") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    Head head(7);
    Naive naive;
    const std::int64_t start = 1'700'000'000'000;
    std::int64_t now = start;
    const std::uint32_t first_id = static_cast<std::uint32_t>(random() % 100'000);
    const int late_percent = round % 4 == 0 ? 0 : static_cast<int>(random() % 40);
    for (int scrape = 0; scrape < 60; ++scrape) {
      now += 15'000 + static_cast<std::int64_t>(random() % 20);
      std::vector<SeriesRun> runs;
      std::vector<Sample> samples;
      for (std::uint32_t i = 0; i < 40; ++i) {
        if (random() % 20 == 0) continue;  // missed: its blocks close at another time
        const std::uint32_t id = first_id + i * (1 + i % 3 * 200);
        auto& own = naive[id];
        const std::uint32_t count = random() % 10 == 0 ? 3 : 1;
        const auto at = static_cast<std::uint32_t>(samples.size());
        for (std::uint32_t k = 0; k < count; ++k) {
          std::int64_t t = now + k;
          if (static_cast<int>(random() % 100) < late_percent)
            t = start + static_cast<std::int64_t>(random() % 60) * 15'000;  // late, and now and then a rewrite
          const double v = adversarial(random, own.empty() ? 0 : own.rbegin()->second);
          samples.push_back({t, i % 5 == 0 ? 42.0 : v});  // constant series are blocks of no bytes
          own[t] = samples.back().v;
        }
        runs.push_back({id, at, count});
      }
      head.append(runs, samples);
    }
    check(head, naive, random, start, now - start);
    CHECK(head.bytes() > 0);
  }
}

TEST_CASE("samples of one series may be weeks apart") {
  Head head(1);
  std::vector<Sample> samples;
  for (int i = 0; i < 40; ++i)
    samples.push_back({1'600'000'000'000 + static_cast<std::int64_t>(i) * i * 86'400'000, static_cast<double>(i)});
  for (std::uint32_t i = 0; i < samples.size(); ++i) {
    const SeriesRun run{3, i, 1};
    head.append({&run, 1}, samples);
  }
  std::vector<Sample> got;
  CHECK(read(head, 3, {}, got));
  CHECK(got == samples);
}

TEST_CASE("a rewrite of the last sample is seen, in the tail and behind a closed block") {
  Head head(1);
  std::vector<Sample> samples;
  for (int i = 0; i < 33; ++i) samples.push_back({1000 + i, static_cast<double>(i)});
  const SeriesRun all{9, 0, 33};
  for (const std::size_t length : {1u, 16u, 17u, 32u, 33u}) {
    Head fresh(1);
    const SeriesRun part{9, 0, static_cast<std::uint32_t>(length)};
    fresh.append({&part, 1}, samples);
    const std::vector<Sample> again{{samples[length - 1].t, -1.0}};
    const SeriesRun one{9, 0, 1};
    fresh.append({&one, 1}, again);
    std::vector<Sample> got;
    read(fresh, 9, {}, got);
    REQUIRE(got.size() == length);
    CHECK(got.back().v == -1.0);
  }
  head.append({&all, 1}, samples);
  CHECK(head.samples() == 33);
}

TEST_CASE("of floats and histograms at one time the head shows the last write") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  HistogramMaker make(seed);
  for (int round = 0; round < 30; ++round) {
    Head head(1);
    std::map<std::int64_t, double> floats;
    std::map<std::int64_t, model::Histogram> histograms;
    const bool in_order = round % 3 == 0;
    std::int64_t now = 1'700'000'000'000;
    for (int i = 0; i < 400; ++i) {
      now += 1000;
      const std::int64_t t = in_order ? now : 1'700'000'000'000 + static_cast<std::int64_t>(make.below(200)) * 1000;
      const SeriesRun run{5, 0, 1};
      if (make.below(2) == 0) {
        const Sample sample{t, static_cast<double>(i)};
        head.append({&run, 1}, {&sample, 1});
        floats[t] = sample.v;
        histograms.erase(t);
      } else {
        const model::HistogramSample sample{t, make.series(1)[0].h};
        head.append({&run, 1}, {&sample, 1});
        histograms[t] = sample.h;
        floats.erase(t);
      }
      if (i % 40 != 39) continue;
      const model::TimeRange range = make.below(2) == 0 ? model::TimeRange{} : model::TimeRange{t - 20'000, t + 20'000};
      std::vector<Sample> got;
      std::vector<model::HistogramSample> got_histograms;
      head.read(5, range, got, got_histograms);
      REQUIRE(got == inside(floats, range));
      auto expected = histograms.lower_bound(range.min);
      for (const model::HistogramSample& s : got_histograms) {
        REQUIRE(expected != histograms.end());
        REQUIRE(s.t == expected->first);
        REQUIRE(same_bits(s.h, expected->second));
        ++expected;
      }
      REQUIRE((expected == histograms.end() || expected->first > range.max));
      CHECK(head.present(Roaring::bitmapOf(1, 5u), {t, t}, {})->contains(5));
      CHECK(head.present(Roaring::bitmapOf(1, 5u), {now + 1'000'000, now + 2'000'000}, {})->isEmpty());
    }
    CHECK(head.series() == 1);
    CHECK(head.holds(5));
  }
}
