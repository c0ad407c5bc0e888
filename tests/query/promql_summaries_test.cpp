// Long windows answered from summaries and from samples: the same, whatever is in them.
#include <random>

#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

// A reader that has no summaries: every window is one that needs its samples.
class SamplesOnly final : public test::CountingReader {
 public:
  using CountingReader::CountingReader;
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                 const storage::WindowVisitor& visit) const override {
    std::vector<model::WindowSummary> unknown(windows.size());
    unknown[0].count = 1;
    unknown[0].sum = std::numeric_limits<double>::quiet_NaN();
    return series({query.matchers}, {}, 0, {})->empty() || (visit(model::Labels(), unknown), true);
  }
};

}  // namespace

TEST_CASE("range functions over long windows answer the same from summaries and from samples") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  test::MemoryStore store;
  test::ManualClock clock;
  const std::int64_t end = clock.now_ms();
  storage::WriteBatch batch;
  for (int i = 0; i < 8; ++i) {
    storage::SeriesSamples s;
    s.labels = model::Labels::of({{"__name__", i % 2 == 0 ? "requests_total" : "level"}, {"i", std::to_string(i)}});
    double v = 0;
    for (std::int64_t t = end - 3 * 86'400'000; t <= end; t += 60'000) {
      v = i % 2 == 1 ? static_cast<double>(random() % 10'000) / 100 : random() % 500 == 0 ? 0 : v + static_cast<double>(random() % 20);
      if (i == 4 && random() % 200 == 0) s.samples.push_back({t, model::stale_nan});
      else if (i == 6 && random() % 500 == 0) s.samples.push_back({t, std::numeric_limits<double>::quiet_NaN()});
      else if (i != 2 || t > end - 40 * 3'600'000) s.samples.push_back({t, v});
    }
    batch.series.push_back(std::move(s));
  }
  REQUIRE(store.write(std::move(batch)));
  const SamplesOnly samples_only(store);
  const Engine fast(store, clock, {});
  const Engine plain(samples_only, clock, {});
  int compared = 0;
  for (const char* function : {"rate", "increase", "delta", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
                               "count_over_time", "present_over_time", "first_over_time", "last_over_time"})
    for (const char* selector : {"requests_total", "level", "requests_total{i!=\"6\"}", "{i=~\"[0-3]\"}"})
      for (const char* range : {"[1d]", "[2d] offset 1h", "[50h]"}) {
        const std::string text = std::string(function) + "(" + selector + range + ")";
        INFO(text);
        const std::int64_t at = end - static_cast<std::int64_t>(random() % 7'200'000);
        const auto a = fast.instant(text, at);
        const auto b = plain.instant(text, at);
        REQUIRE(a.has_value() == b.has_value());
        if (!a) continue;
        const auto& x = std::get<Vector>(a->value);
        const auto& y = std::get<Vector>(b->value);
        REQUIRE(x.size() == y.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
          CHECK(x[i].labels == y[i].labels);
          CHECK((x[i].v == Approx(y[i].v).epsilon(1e-12) || (std::isnan(x[i].v) && std::isnan(y[i].v))));
          ++compared;
        }
      }
  CHECK(compared > 200);
}
