// Which queries read downsampled samples, and with which buckets; that they are said to be missing where samples are read.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

// No samples, and before `since` a tier that has one series, with seven values in every window.
class Downsampled final : public storage::Reader {
 public:
  explicit Downsampled(std::int64_t since) : since_(since) {}
  Tiers tiers() const override { return {true, since_}; }
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                       const storage::WindowVisitor& visit) const override {
    asked.push_back(query.resolution_max);
    std::vector<model::WindowSummary> all;
    for (const model::TimeRange& w : windows) all.push_back({7, w.min, w.max, 1, 5, 1, 5, 21, 0});
    if (query.resolution_max > 0) visit(model::Labels::of({{"__name__", "m_total"}}), all);
    return true;
  }
  Status select(const storage::SeriesQuery&, const storage::SeriesVisitor&) const override { return {}; }
  Result<std::vector<model::Labels>> series(const std::vector<model::Matchers>& s, model::TimeRange r, std::size_t n,
                                            const storage::GoOn& g) const override {
    return none_.series(s, r, n, g);
  }
  Result<std::vector<std::string>> label_names(const std::vector<model::Matchers>& s, model::TimeRange r,
                                               const storage::GoOn& g) const override {
    return none_.label_names(s, r, g);
  }
  Result<std::vector<std::string>> label_values(std::string_view n, const std::vector<model::Matchers>& s, model::TimeRange r,
                                                const storage::GoOn& g) const override {
    return none_.label_values(n, s, r, g);
  }
  Result<std::vector<storage::MetricMetadata>> metadata(std::string_view m) const override { return none_.metadata(m); }
  Status scan(const storage::EventQuery& q, const storage::BlockVisitor& v) const override { return none_.scan(q, v); }
  Result<std::vector<model::Labels>> streams(model::EventKind k, const model::Matchers& m, model::TimeRange r) const override {
    return none_.streams(k, m, r);
  }
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(std::string_view m, std::span<const std::string> ids) const override {
    return none_.late_labels(m, ids);
  }
  mutable std::vector<std::int64_t> asked;  // resolution_max of each

 private:
  const test::MemoryStore none_;
  const std::int64_t since_;
};

}  // namespace

TEST_CASE("a query reads downsampled samples only when it asks for them, and as coarse as its windows bear") {
  test::ManualClock clock;
  const std::int64_t now = clock.now_ms();
  Downsampled store(now - 86'400'000);
  const auto count = [&](const std::string& expression, Millis resolution_max) {
    EngineOptions options;
    options.resolution_max = resolution_max;
    store.asked.clear();
    const auto answer = Engine(store, clock, options).instant(expression, now);
    REQUIRE(answer);
    return std::pair(std::get<Vector>(answer->value).size(), answer->infos.size());
  };
  using std::chrono::hours;
  using std::chrono::minutes;
  for (const char* function : {"rate", "increase", "delta", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time",
                               "present_over_time", "first_over_time", "last_over_time"}) {
    INFO(function);
    CHECK(count(std::string(function) + "(m_total[2d])", hours(1)) == std::pair<std::size_t, std::size_t>(1, 0));
    CHECK(store.asked == std::vector<std::int64_t>{3'600'000});
  }
  const auto resolution = [&](const std::string& expression, Millis most) -> std::int64_t {
    (void)count(expression, most);
    return store.asked.empty() ? 0 : store.asked.back();
  };
  CHECK(resolution("rate(m_total[2h])", hours(1)) == 3'600'000);
  CHECK(resolution("rate(m_total[119m])", hours(1)) == 300'000);
  CHECK(resolution("rate(m_total[10m])", hours(1)) == 300'000);
  CHECK(resolution("rate(m_total[9m])", hours(1)) == 0);
  CHECK(resolution("rate(m_total[2h])", minutes(59)) == 300'000);
  CHECK(resolution("rate(m_total[2h])", minutes(4)) == 0);
  CHECK(resolution("rate(m_total[2h])", Millis(0)) == 0);
  CHECK(resolution("rate(m_total[24m])", Millis(-1)) == 0);  // a fifth of it is less than 5 minutes
  CHECK(resolution("rate(m_total[25m])", Millis(-1)) == 300'000);
  CHECK(resolution("rate(m_total[5h])", Millis(-1)) == 3'600'000);
  // What a bucket does not know is read as samples, and the answer says which are gone.
  for (const char* expression : {"stddev_over_time(m_total[2d])", "quantile_over_time(0.5, m_total[2d])", "changes(m_total[2d])", "m_total offset 2d"}) {
    INFO(expression);
    CHECK(count(expression, hours(1)) == std::pair<std::size_t, std::size_t>(0, 1));
    CHECK(count(expression, Millis(0)) == std::pair<std::size_t, std::size_t>(0, 0));
  }
  CHECK(count("changes(m_total[1h])", hours(1)) == std::pair<std::size_t, std::size_t>(0, 0));
}

TEST_CASE("max_source_resolution is asked for as Thanos does, and its answers are not kept") {
  test::ManualClock clock;
  const std::int64_t now = clock.now_ms();
  Downsampled store(now - 86'400'000);
  const Engine engine(store, clock, {});
  const http::Routes routes = prometheus_routes(engine, store, clock, {}, {}, 1 << 20);
  const auto asked = [&](const std::string& path, std::vector<std::pair<std::string, std::string>> params) {
    store.asked.clear();
    const auto answer = test::call(routes, "GET", path, std::move(params));
    return std::pair(answer.status, store.asked.empty() ? 0 : store.asked.back());
  };
  const std::string end = std::to_string(now / 1000), start = std::to_string(now / 1000 - 86'400 * 3);
  const auto range = [&](const std::string& step, const std::string& resolution) {
    return asked("/api/v1/query_range", {{"query", "rate(m_total[4h])"}, {"start", start}, {"end", end}, {"step", step}, {"max_source_resolution", resolution}});
  };
  using Answer = std::pair<int, std::int64_t>;
  CHECK(range("3600", "1h") == Answer(200, 3'600'000));
  CHECK(range("3600", "1h") == Answer(200, 3'600'000));  // not from the cache
  CHECK(range("3600", "300") == Answer(200, 300'000));
  CHECK(range("3600", "0s").second == 0);
  CHECK(range("3600", "").second == 0);
  CHECK(range("18000", "auto") == Answer(200, 3'600'000));
  CHECK(range("1500", "auto") == Answer(200, 300'000));
  CHECK(range("1499", "auto").second == 0);
  CHECK(range("3600", "coarse").first == 400);
  CHECK(range("3600", "-5m").first == 400);
  CHECK(asked("/api/v1/query", {{"query", "rate(m_total[5h])"}, {"max_source_resolution", "auto"}}) == Answer(200, 3'600'000));
}
