// Which queries read downsampled samples, and with which buckets; that they are said to be missing where samples are read.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "route_call.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

// No samples, and before `since` a tier that has one series, with seven values in every window.
class Downsampled final : public test::CountingReader {
 public:
  explicit Downsampled(std::int64_t since) : CountingReader(none()), since_(since) {}
  Tiers tiers() const override { return {true, since_}; }
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                       const storage::WindowVisitor& visit) const override {
    asked.push_back(query.resolution_max);
    std::vector<model::WindowSummary> all;
    for (const model::TimeRange& w : windows) all.push_back({7, w.min, w.max, 1, 5, 1, 5, 21, 0});
    if (query.resolution_max > 0) visit(model::Labels::of({{"__name__", "m_total"}}), all);
    return true;
  }
  // Nothing that answers depend on has changed, as the result cache sees it.
  std::int64_t changed_since(std::uint64_t, std::string_view) const override { return std::numeric_limits<std::int64_t>::max(); }
  void set_since(std::int64_t since) { since_ = since; }
  mutable std::vector<std::int64_t> asked;  // resolution_max of each

 private:
  static const storage::Reader& none() {
    static const test::MemoryStore store;
    return store;
  }
  std::int64_t since_;
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
    // Of days whose samples are gone, and it is said.
    CHECK(count(std::string(function) + "(m_total[2d])", hours(1)) == std::pair<std::size_t, std::size_t>(1, 1));
    CHECK(store.asked == std::vector<std::int64_t>{3'600'000});
    CHECK(count(std::string(function) + "(m_total[1d])", hours(1)) == std::pair<std::size_t, std::size_t>(1, 0));
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

TEST_CASE("an answer says which samples are gone, and how to ask for what is left of them") {
  test::ManualClock clock;
  const std::int64_t now = clock.now_ms(), since = now - 86'400'000;
  Downsampled store(since);
  const Engine engine(store, clock, {});
  Registry registry;
  const http::Routes routes = prometheus_routes(engine, store, clock, {}, {nullptr, &registry, Millis(0)}, 1 << 20);
  const auto ask = [&](const std::string& path, http::Pairs query) {
    const http::Response response = test::call(routes, "GET", path, std::move(query));
    REQUIRE(response.status == 200);
    return response.body;
  };
  const auto kept = [&] { return registry.counter("plumbline_query_result_cache_hits_total", "").value(); };
  const std::string warning = R"("warnings":["PromQL warning: the samples before 2023-11-13T22:13:20.000Z are gone, and the downsampled ones that are )"
                              R"(left are read only when they are asked for: max_source_resolution=5m (of windows of 10m and more) or 1h (2h and more) has rate, increase, delta and the usual )"
                              R"(..._over_time read them"])";
  const std::string info = R"("infos":["PromQL info: of the time before 2023-11-13T22:13:20.000Z only downsampled samples are left, and {__name__=\"m_total\"} )";
  const std::string as_buckets = info + R"(is read as those of at most 1h here"])", as_samples = info + R"(is read as samples here: its windows or max_source_resolution are too short for buckets, or it has none"])";
  enum Told { nothing, warned, of_buckets, of_samples };
  const auto told = [&](const std::string& body) {
    INFO(body);
    const bool warnings = body.find("\"warnings\"") != std::string::npos, infos = body.find("\"infos\"") != std::string::npos;
    if (!warnings && !infos) return nothing;
    CHECK(warnings != infos);
    if (warnings) {
      CHECK(body.find(warning) != std::string::npos);
      return warned;
    }
    const bool buckets = body.find(as_buckets) != std::string::npos;
    CHECK((buckets || body.find(as_samples) != std::string::npos));
    return buckets ? of_buckets : of_samples;
  };
  const auto seconds = [](std::int64_t ms) { return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 + 1000).substr(1); };
  const auto with = [](http::Pairs query, const std::string& resolution) {
    if (resolution != "none") query.emplace_back("max_source_resolution", resolution);
    return query;
  };
  const auto instant = [&](const std::string& text, std::int64_t t, const std::string& resolution = "none") {
    return told(ask("/api/v1/query", with({{"query", text}, {"time", seconds(t)}}, resolution)));
  };
  const auto range = [&](const std::string& text, std::int64_t start, std::int64_t end, const std::string& resolution = "none") {
    return told(ask("/api/v1/query_range", with({{"query", text}, {"start", seconds(start)}, {"end", seconds(end)}, {"step", "3600"}}, resolution)));
  };
  constexpr std::int64_t minute = 60'000, hour = 60 * minute;
  // What is wanted begins at the first step, the window or the lookback before it.
  for (const char* text : {"m_total", "rate(m_total[5m])", "sum(rate(m_total[5m]))", "max_over_time(m_total[1m:1m] offset 4m)", "up + m_total"}) {
    INFO(text);
    CHECK(instant(text, since + 2 * hour) == nothing);
    CHECK(instant(text, since) == warned);
    CHECK(instant(text, since + 5 * minute - 2) == warned);
    CHECK(range(text, since + 2 * hour, now) == nothing);
    CHECK(range(text, since - hour, now) == warned);
    CHECK(range(text, since - hour, now, "") == warned);  // as good as absent
    CHECK(range(text, since - hour, now, "0s") == nothing);  // who writes it knows
  }
  CHECK(instant("m_total", since + 5 * minute - 1) == nothing);
  CHECK(instant("rate(m_total[2d])", now) == warned);
  CHECK(instant("m_total offset 2d", now) == warned);
  CHECK(instant("m_total @ 1", now) == warned);
  CHECK(instant("vector(1) + time()", since - hour) == nothing);
  for (const char* resolution : {"1h", "auto"}) {
    CHECK(instant("rate(m_total[2d])", now, resolution) == of_buckets);
    CHECK(instant("rate(m_total[5h])", now, resolution) == nothing);
    CHECK(instant("m_total offset 2d", now, resolution) == of_samples);
    CHECK(instant("m_total", now, resolution) == nothing);
  }
  CHECK(range("rate(m_total[2h])", since - hour, now, "1h") == of_buckets);
  // Kept answers have it, too, as long as their steps want what is gone.
  const std::uint64_t before = kept();
  const auto kept_range = [&](std::int64_t start, std::int64_t end, std::uint64_t hits) {
    const Told said = range("sum(rate(m_total[10m]))", start, end);
    CHECK(kept() == before + hits);
    return said;
  };
  CHECK(kept_range(since - hour, since + 5 * hour, 0) == warned);
  CHECK(kept_range(since - hour, since + 5 * hour, 1) == warned);  // all of it is known
  CHECK(kept_range(since, since + 7 * hour, 2) == warned);         // and here a part
  CHECK(kept_range(since + hour, since + 7 * hour, 3) == nothing);
  // Kept before a day went, and asked for when it has gone.
  store.set_since(since + 2 * hour);
  const std::string body = ask("/api/v1/query_range", {{"query", "sum(rate(m_total[10m]))"}, {"start", seconds(since + hour)}, {"end", seconds(since + 7 * hour)}, {"step", "3600"}});
  CHECK(kept() == before + 4);
  CHECK(body.find("the samples before 2023-11-14T00:13:20.000Z are gone") != std::string::npos);
}

TEST_CASE("a plan says which selectors are answered by downsampled samples", "[plan]") {
  test::ManualClock clock;
  const std::int64_t now = clock.now_ms();
  Downsampled store(now - 86'400'000);
  const Engine engine(store, clock, {});
  const http::Routes routes = plan_routes(engine, store, clock);
  const std::string start = std::to_string(now / 1000 - 4 * 3600), end = std::to_string(now / 1000);
  const auto plan = [&](const std::string& query, const std::string& step, const std::string& resolution, int status = 200) {
    http::Pairs asked{{"query", query}};
    if (step.empty())
      asked.emplace_back("time", end);
    else
      asked.insert(asked.end(), {{"start", start}, {"end", end}, {"step", step}});
    if (!resolution.empty()) asked.emplace_back("max_source_resolution", resolution);
    const http::Response response = test::call(routes, "GET", "/api/v1/plan", asked);
    CHECK(response.status == status);
    return response.body;
  };
  const auto from = [&](const std::string& query, const std::string& step, const std::string& resolution) {
    const std::string body = plan(query, step, resolution);
    const std::size_t at = body.find("\"from\"");
    REQUIRE(at != std::string::npos);
    return body.substr(at, body.find("\"shared\"") - 1 - at);
  };
  const std::string an_hour = R"("from":"downsampled","resolution":3600)", minutes = R"("from":"downsampled","resolution":300)";
  CHECK(from("rate(m_total[2h])", "3600", "1h") == an_hour);
  CHECK(from("rate(m_total[1h])", "3600", "1h") == minutes);
  CHECK(from("rate(m_total[2h])", "3600", "auto") == minutes);   // a fifth of the step
  CHECK(from("rate(m_total[2h])", "18000", "auto") == an_hour);
  CHECK(from("rate(m_total[5h])", "", "auto") == an_hour);       // a fifth of the window
  CHECK(from("rate(m_total[9m])", "3600", "1h") == R"("from":"samples")");
  CHECK(from("changes(m_total[2h])", "3600", "1h") == R"("from":"samples")");
  CHECK(from("m_total", "3600", "1h") == R"("from":"samples")");
  CHECK(from("rate(m_total[2h])", "3600", "0s") == R"("from":"samples")");
  CHECK(from("rate(m_total[2h])", "3600", "") == R"("from":"samples")");
  CHECK(from("rate(m_total[2d])", "", "") == R"("from":"summaries")");
  // The series is there in buckets alone; seven values in each window.
  CHECK(plan("rate(m_total[2h])", "3600", "1h").find(R"("seriesRead":1,"seriesMax":300000,"samplesRead":0,)") != std::string::npos);
  CHECK(plan("rate(m_total[2h])", "3600", "1h").find(R"("series":1,"samples":7,)") != std::string::npos);
  CHECK(plan("rate(m_total[2h])", "3600", "").find(R"("seriesRead":0,)") != std::string::npos);
  // Whichever is read first.
  for (const char* both : {"m_total - avg_over_time(m_total[2h])", "avg_over_time(m_total[2h]) - m_total", "changes(m_total[2h]) or last_over_time(m_total[2h])"})
    CHECK(plan(both, "3600", "1h").find(R"("from":"downsampled")") != std::string::npos);
  CHECK(plan("rate(m_total[2h])", "3600", "coarse", 400).find("max_source_resolution") != std::string::npos);
  // The query's warning.
  CHECK(plan("rate(m_total[2h])", "3600", "").find("\"warnings\"") == std::string::npos);
  CHECK(plan("rate(m_total[1d])", "3600", "").find("\"warnings\":[\"PromQL warning: the samples before 2023-11-13T22:13:20.000Z are gone") != std::string::npos);
  CHECK(plan("rate(m_total[1d])", "3600", "0s").find("\"warnings\"") == std::string::npos);
  CHECK(plan("vector(1)", "", "").find("\"warnings\"") == std::string::npos);
}
