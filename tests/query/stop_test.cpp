// The routes that run no PromQL end when their client has gone: before they read, and between two things that
// they read.
#include <catch2/catch.hpp>

#include "query/logql/logql.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t t0 = 1'700'000'000 * second;
constexpr int stream_count = 5;

// The client goes when somebody has taken the `leave_after`-th series or block of the reader, or was asked that often for
// something else. A look-up asks whether to go on at each of four things that it looks at.
class LeavingReader final : public test::CountingReader {
 public:
  using CountingReader::CountingReader;
  Status select(const storage::SeriesQuery& q, const storage::SeriesVisitor& visit) const override {
    return CountingReader::select(q, [&](const Labels& labels, const storage::SeriesPoints& points) {
      const bool more = visit(labels, points);
      if (more) note();
      return more;
    });
  }
  Status scan(const storage::EventQuery& q, const storage::BlockVisitor& visit) const override {
    return CountingReader::scan(q, [&](const storage::RowBlock& block) {
      const bool more = visit(block);
      if (more) note();
      return more;
    });
  }
  Result<std::vector<Labels>> streams(model::EventKind k, const model::Matchers& m,
                                      model::TimeRange r) const override {
    note();
    return CountingReader::streams(k, m, r);
  }
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(
      std::string_view m, std::span<const std::string> ids) const override {
    ++joined;
    note();
    return CountingReader::late_labels(m, ids);
  }
  Result<std::vector<Labels>> series(const std::vector<model::Matchers>& s, model::TimeRange r, std::size_t n,
                                     const storage::GoOn& g) const override {
    PLUMBLINE_CHECK_OK(look_up(g));
    return CountingReader::series(s, r, n, {});
  }
  Result<std::vector<std::string>> label_names(const std::vector<model::Matchers>& s, model::TimeRange r,
                                               const storage::GoOn& g) const override {
    PLUMBLINE_CHECK_OK(look_up(g));
    return CountingReader::label_names(s, r, {});
  }
  Result<std::vector<std::string>> label_values(std::string_view n, const std::vector<model::Matchers>& s, model::TimeRange r,
                                                const storage::GoOn& g) const override {
    PLUMBLINE_CHECK_OK(look_up(g));
    return CountingReader::label_values(n, s, r, {});
  }
  Status look_up(const storage::GoOn& go_on) const {
    for (int i = 0; i < 4; ++i) {
      note();
      if (go_on) PLUMBLINE_CHECK_OK(go_on());
    }
    return {};
  }
  void note() const {
    if (++given == leave_after) gone.request_stop();
  }
  int leave_after = 0;  // 0: never
  mutable int given = 0, joined = 0;
  mutable std::stop_source gone;
};

struct Fixture {
  test::ManualClock clock{t0 / 1'000'000};
  test::MemoryStore store;
  LeavingReader reader{store};
  Models models{reader, store, clock};
  Engine engine{reader, clock, {}};
  http::Routes routes;

  Fixture() {
    storage::WriteBatch batch;
    for (int i = 0; i < stream_count; ++i) {
      const std::string n = std::to_string(i);
      const std::int64_t t = t0 - (i + 1) * second;
      batch.events.push_back({model::EventKind::log,
                              model::Labels::of({{"app", "a"}, {"pod", n}}),
                              {{t, {{"line", std::string("x")}}}}});
      batch.events.push_back(
          {model::EventKind::span,
           model::Labels::of({{"service_name", "s"}, {"span_name", n}}),
           {{t, {{"trace_id", std::string(31, '0') + n}, {"span_id", std::string(16, 'a')}}}}});
      batch.events.push_back(
          {model::EventKind::inference,
           model::Labels::of({{"model", "m"}, {"version", n}}),
           {{t, {{"feature.x", 1.0}, {"prediction", 1.0}, {"label", 1.0}, {"prediction_id", n}}}}});
      batch.series.push_back({model::Labels::of({{"__name__", "m"}, {"i", n}}), {{t / 1'000'000, 1}}});
    }
    REQUIRE(store.write(std::move(batch)));
    REQUIRE(models.upload_reference("m", "r", "text/csv", "x\n1\n2\n"));
    for (const http::Routes& some : {loki_routes(reader, clock), jaeger_routes(reader, clock), ml_routes(models, reader, clock),
                                     federate_routes(engine, reader, clock), prometheus_routes(engine, reader, clock, {})})
      for (http::Route route : some) {
        route.handler = [this, handler = route.handler](const http::Request& from_client) {
          http::Request request = from_client;
          request.gone = reader.gone.get_token();
          return handler(request);
        };
        routes.push_back(std::move(route));
      }
  }
  // With a client that goes after the n-th thing that was read.
  int status(const std::string& path, const http::Pairs& query, int leave_after) {
    reader.leave_after = leave_after;
    reader.given = reader.joined = 0;
    reader.gone = std::stop_source();
    if (leave_after < 0) reader.gone.request_stop();
    return test::call(routes, "GET", path, query).status;
  }
};

constexpr int before = -1, never = 0;

}  // namespace

TEST_CASE_METHOD(Fixture, "what reads ends when its client goes", "[stop]") {
  struct Case {
    std::string path;
    http::Pairs query;
  };
  const std::string selector = R"({app="a"})";
  const std::vector<Case> cases{
      {"/loki/api/v1/query_range", {{"query", selector}}},
      {"/loki/api/v1/query_range", {{"query", "sum(count_over_time(" + selector + "[1h]))"}}},
      {"/loki/api/v1/query", {{"query", "count_over_time(" + selector + "[1h])"}}},
      {"/loki/api/v1/labels", {{"query", selector}, {"query", R"({pod="1"})"}}},
      {"/loki/api/v1/label/pod/values", {{"query", selector}, {"query", R"({pod="1"})"}}},
      {"/loki/api/v1/series", {{"match[]", selector}, {"match[]", R"({pod="1"})"}}},
      {"/jaeger/api/traces", {{"service", "s"}}},
      {"/jaeger/api/traces", {{"traceID", "1"}, {"traceID", "2"}}},
      {"/api/v1/models", {}},
      {"/api/v1/models/m/drift", {{"reference", "r"}}},
      {"/api/v1/models/m/performance", {}},
      {"/federate", {{"match[]", "m"}}},
      {"/api/v1/series", {{"match[]", "m"}}},
      {"/api/v1/labels", {}},
      {"/api/v1/label/i/values", {{"match[]", "m"}}},
  };
  for (const Case& c : cases) {
    INFO(c.path << " " << (c.query.empty() ? "" : c.query.front().second));
    CHECK(status(c.path, c.query, never) == 200);
    const int all = reader.given;
    REQUIRE(all >= 2);  // else there is no middle
    CHECK(status(c.path, c.query, before) == 499);
    CHECK(reader.given == 0);
    CHECK(status(c.path, c.query, 1) == 499);
    CHECK(reader.given == 1);
  }
}

TEST_CASE_METHOD(Fixture, "single reads are not begun for a client that has gone", "[stop]") {
  for (const char* path : {"/jaeger/api/services", "/jaeger/api/services/s/operations",
                           "/jaeger/api/traces/1", "/loki/api/v1/series"}) {
    INFO(path);
    CHECK(status(path, {}, never) == 200);
    CHECK(reader.given > 0);
    CHECK(status(path, {}, before) == 499);
    CHECK(reader.given == 0);
  }
}

TEST_CASE_METHOD(Fixture, "what computes after its reading ends, too", "[stop]") {
  // The client goes while labels are joined: after the blocks of five streams.
  CHECK(status("/api/v1/models/m/performance", {}, stream_count + 1) == 499);
  CHECK(reader.joined == 1);

  // An expression that reads nothing has steps all the same.
  std::stop_source gone;
  const auto run = [&] {
    const StoppingReader stopping(store, gone.get_token());
    const auto query = logql::parse("vector(1)+vector(1)");
    REQUIRE(query);
    return logql::run_metric(stopping, *std::get<logql::MetricPtr>(*query), t0, t0 + 60 * second, second);
  };
  const auto before_it = run();
  REQUIRE(before_it);
  CHECK(before_it->at(0).points.size() == 61);
  gone.request_stop();
  const auto after_it = run();
  REQUIRE_FALSE(after_it);
  CHECK(after_it.error().code == Code::cancelled);
}

TEST_CASE_METHOD(Fixture, "a look-up through a stopping reader ends in its middle, for the stop or for its caller", "[stop]") {
  const model::TimeRange all;
  int asked = 0, most = 0;
  const storage::GoOn caller = [&]() -> Status { return ++asked == most ? Status(fail(Code::timeout, "late")) : Status(); };
  const auto code = [&](int leave, int timeout_after, const storage::GoOn& go_on) {
    std::vector<std::optional<Code>> out;
    for (int kind = 0; kind < 3; ++kind) {
      reader.leave_after = leave;
      reader.given = asked = 0;
      most = timeout_after;
      reader.gone = std::stop_source();
      const StoppingReader stopping(reader, reader.gone.get_token());
      const auto note = [&](const auto& result) { out.push_back(result ? std::nullopt : std::optional(result.error().code)); };
      if (kind == 0) note(stopping.series({}, all, 0, go_on));
      if (kind == 1) note(stopping.label_names({}, all, go_on));
      if (kind == 2) note(stopping.label_values("i", {}, all, go_on));
    }
    return out;
  };
  CHECK(code(never, 0, {}) == std::vector<std::optional<Code>>(3));
  CHECK(reader.given == 4);
  CHECK(code(3, 0, {}) == std::vector<std::optional<Code>>(3, Code::cancelled));
  CHECK(reader.given == 3);
  CHECK(code(never, 2, caller) == std::vector<std::optional<Code>>(3, Code::timeout));
  CHECK(reader.given == 2);
  CHECK(code(1, 1, caller) == std::vector<std::optional<Code>>(3, Code::cancelled));
}

TEST_CASE_METHOD(Fixture, "look-ups of series and labels have the time of a query", "[stop]") {
  const test::HastyClock hasty;  // a second passes each time somebody looks at it
  EngineOptions options;
  options.timeout = Millis(4'500);
  const Engine limited(reader, hasty, options);
  const http::Routes timed = prometheus_routes(limited, reader, hasty, {});
  struct Case {
    const char* path;
    http::Pairs query;
  };
  for (const Case& c : {Case{"/api/v1/series", {{"match[]", "m"}}}, Case{"/api/v1/labels", {}}, Case{"/api/v1/label/i/values", {}}}) {
    INFO(c.path);
    const auto ask = [&](http::Pairs more, Millis waited = Millis(0)) {
      reader.given = 0;
      http::Routes waiting = timed;
      for (http::Route& route : waiting)
        route.handler = [waited, handler = route.handler](const http::Request& r) {
          http::Request late = r;
          late.waited = waited;
          return handler(late);
        };
      http::Pairs query = c.query;
      query.insert(query.end(), more.begin(), more.end());
      return test::call(waiting, "GET", c.path, query);
    };
    // Asked before it begins, and at each of four things: the fifth second is over the limit.
    const http::Response late = ask({});
    CHECK(late.status == 503);
    CHECK(late.body == R"({"status":"error","errorType":"timeout","error":"query timed out in query execution"})");
    CHECK(reader.given == 4);
    CHECK(ask({{"timeout", "2"}}).status == 503);
    CHECK(reader.given == 2);
    CHECK(ask({{"timeout", "1h"}}).status == 503);  // it shortens the limit only
    CHECK(reader.given == 4);
    CHECK(ask({}, Millis(2'000)).status == 503);
    CHECK(reader.given == 2);
    const http::Response too_late = ask({}, Millis(4'500));
    CHECK(too_late.status == 503);
    CHECK(too_late.body == R"({"status":"error","errorType":"timeout","error":"query timed out in query queue"})");
    CHECK(reader.given == 0);
    CHECK(ask({{"timeout", "soon"}}).status == 400);
  }
  options.timeout = Millis(60'000);
  const Engine patient(reader, hasty, options);
  CHECK(test::call(prometheus_routes(patient, reader, hasty, {}), "GET", "/api/v1/labels", {}).status == 200);
}

TEST_CASE_METHOD(Fixture, "every read of a stopping reader fails with cancelled", "[stop]") {
  std::stop_source gone;
  const StoppingReader stopping(store, gone.get_token());
  const model::TimeRange all;
  const storage::Runner run = [](std::size_t count, const std::function<void(std::size_t)>& task) {
    for (std::size_t i = 0; i < count; ++i) task(i);
  };
  const std::vector<model::TimeRange> windows{{t0 / 1'000'000 - 60'000, t0 / 1'000'000}};
  const std::vector<std::string> ids{"1"};
  const storage::SeriesQuery series{{model::Matcher::equal("__name__", "m")}, all};
  const auto codes = [&] {
    std::vector<std::optional<Code>> out;
    const auto note = [&](const auto& result) {
      out.push_back(result ? std::nullopt : std::optional(result.error().code));
    };
    note(stopping.select(series, [](const Labels&, const storage::SeriesPoints&) { return true; }));
    note(stopping.select_parts(
        series, run, [](std::size_t, const Labels&, const storage::SeriesPoints&) { return true; }));
    note(stopping.windows(series, windows,
                          [](const Labels&, std::span<const model::WindowSummary>) { return true; }));
    note(stopping.series({}, all, 0));
    note(stopping.label_names({}, all));
    note(stopping.label_values("i", {}, all));
    note(stopping.metadata(""));
    note(stopping.scan({}, [](const storage::RowBlock&) { return true; }));
    note(stopping.streams(model::EventKind::log, {}, all));
    note(stopping.late_labels("m", ids));
    return out;
  };
  CHECK(codes() == std::vector<std::optional<Code>>(10));
  gone.request_stop();
  CHECK(codes() == std::vector<std::optional<Code>>(10, Code::cancelled));
}
