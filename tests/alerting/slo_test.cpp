#include "alerting/slo.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <map>
#include <string>

#include "alerting/routes.hpp"
#include "query/query.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;
using model::Labels;
using namespace std::chrono_literals;

TEST_CASE("budgets are decimals, not differences of floats", "[alerting][slo]") {
  const auto budget = [](std::string_view text) { return parse_objective(text)->value(); };
  CHECK(budget("99.9") == 0.001);
  CHECK(budget("99.99%") == 0.0001);
  CHECK(budget(" 99 ") == 0.01);
  CHECK(budget("99.95") == 0.0005);
  CHECK(budget("50.0") == 0.5);
  CHECK(parse_objective("90")->factor_max() == 10);
  CHECK_FALSE(parse_objective("90")->can_fire(10));
  CHECK(parse_objective("90")->can_fire(9.99));
  CHECK(parse_objective("99.9")->can_fire(14.4));
  for (const char* bad :
       {"", "0", "100", "101", "-1", "99,9", "abc", "99.9.9", "0.0", "99.99999999999999", "%"}) {
    INFO(bad);
    CHECK(parse_objective(bad).error().code == Code::invalid_input);
  }
  // Leading zeros keep the mantissa small however long the text is: neither it nor the scale may overflow.
  const std::string zeros(400, '0');
  CHECK(parse_objective("0." + zeros + "1").error().code == Code::invalid_input);
  CHECK(parse_objective("0." + zeros).error().code == Code::invalid_input);
  CHECK(parse_objective(zeros + "99.9")->value() == 0.001);
  CHECK(parse_objective("0.000000000001").has_value());
}

TEST_CASE("the workbook's windows scale with the period, the factors stay", "[alerting][slo]") {
  const auto month = workbook_windows(24h * 30);
  REQUIRE(month.size() == 4);
  CHECK(month[0].long_window == 1h);
  CHECK(month[0].short_window == 5min);
  CHECK(month[0].factor == 14.4);
  CHECK(month[3].severity == "ticket");
  CHECK(month[3].long_window == 72h);
  const auto week = workbook_windows(24h * 7);
  CHECK(week[0].long_window == 14min);
  CHECK(week[0].short_window == 70s);
  CHECK(week[0].factor == 14.4);
  CHECK(workbook_windows(1h)[0].long_window == 5s);
  CHECK(workbook_windows(1h)[0].short_window == 1s);
}

TEST_CASE("the numbers of an annotation are written as people read them", "[alerting][slo]") {
  SloSpec slo;
  slo.objective = "99.999";
  slo.window = 24h * 30;
  const BurnWindow pair{"page", 1h, 5min, 14.4};
  // Burning 12,345.6 times too fast, and 200 budgets gone.
  const Burns burns{{1h, {0.123456, 12345.6}}, {5min, {0.00012345, 12.3456}}, {slo.window, {0.002, 200}}};
  std::map<std::string, std::string> said;
  for (const auto& [name, text] : slo_annotations(slo, *parse_objective(slo.objective), burns, pair)) {
    said[name] = text;
    CHECK(text.find("e+") == std::string::npos);
  }
  CHECK(said["budget_consumed"] == "20000%");
  CHECK(said["burn_rate_long"] == "12346");
  CHECK(said["burn_rate_short"] == "12.35");
  CHECK(said["burn_rate_limit"] == "14.4");
}

TEST_CASE("the window placeholder is found however it is spaced", "[alerting][slo]") {
  CHECK(with_window("rate(x[{{.window}}]) / rate(y[{{ .window }}])", 5min) == "rate(x[5m]) / rate(y[5m])");
  CHECK(has_window_placeholder("{{  .window}}"));
  CHECK_FALSE(has_window_placeholder("{{ .other }} [5m]"));
}

TEST_CASE("no events burn nothing, a missing error series is no error", "[alerting][slo]") {
  CHECK_FALSE(error_ratio({std::nullopt, std::nullopt}));
  CHECK_FALSE(error_ratio({1.0, std::nullopt}));
  CHECK_FALSE(error_ratio({0.0, 0.0}));
  CHECK_FALSE(error_ratio({std::nan(""), std::nan("")}));
  CHECK(error_ratio({std::nullopt, 5.0}) == 0.0);
  CHECK(error_ratio({1.0, 4.0}) == 0.25);
  const Budget budget = *parse_objective("99");
  CHECK(budget_remaining(budget, std::nullopt) == std::nullopt);  // no events: nothing is claimed
  CHECK(budget_remaining(budget, 0.005) == 0.5);
  CHECK(budget_remaining(budget, 0.02) == -1);
}

TEST_CASE("a severity burns when any of its pairs burns in both windows, strictly above", "[alerting][slo]") {
  const Budget budget = *parse_objective("99");
  const std::vector<BurnWindow> windows{
      {"page", 1h, 5min, 10}, {"page", 6h, 30min, 5}, {"ticket", 72h, 6h, 1}};
  const auto burns = [&](double h1, double m5, double h6, double m30) {
    Burns out;
    out[1h] = {h1, h1 / 0.01};
    out[5min] = {m5, m5 / 0.01};
    out[6h] = {h6, h6 / 0.01};
    out[30min] = {m30, m30 / 0.01};
    return out;
  };
  CHECK(burning(windows, "page", budget, burns(0.2, 0.2, 0, 0)).size() == 1);
  CHECK(burning(windows, "page", budget, burns(0.2, 0.05, 0, 0)).empty());
  CHECK(burning(windows, "page", budget, burns(0.1, 0.2, 0, 0)).empty());
  CHECK(burning(windows, "page", budget, burns(0.2, 0.2, 0.2, 0.2)).size() == 2);
  CHECK(burning(windows, "ticket", budget, burns(1, 1, 1, 1)).empty());
}

namespace {

// Ten requests a second, of which a share fails between two moments; scraped every 15 s.
struct Incident {
  double share;
  std::int64_t begin_s, end_s;
};

class SloWorld {
 public:
  static constexpr std::int64_t scrape_s = 15;

  SloWorld(std::int64_t seconds, std::vector<Incident> incidents, bool always_errors = true)
      : clock(zero), engine(store, clock, {}) {
    storage::WriteBatch batch;
    batch.series.resize(2);
    batch.series[0].labels = Labels::of({{"__name__", "requests_total"}});
    batch.series[1].labels = Labels::of({{"__name__", "errors_total"}});
    double errors = 0;
    for (std::int64_t s = 0; s <= seconds; s += scrape_s) {
      for (const Incident& i : incidents) {
        const std::int64_t from = std::max(s - scrape_s, i.begin_s), to = std::min(s, i.end_s);
        if (to > from) errors += 10 * i.share * static_cast<double>(to - from);
      }
      batch.series[0].samples.push_back({zero + s * 1000, 10.0 * static_cast<double>(s)});
      if (always_errors || errors > 0) batch.series[1].samples.push_back({zero + s * 1000, errors});
    }
    REQUIRE(store.write(std::move(batch)));
    sources.query = [this](std::string_view expression, std::int64_t t) -> Result<query::Vector> {
      auto answer = engine.instant(expression, t);
      if (!answer) return fail(answer.error());
      return std::get<query::Vector>(answer->value);
    };
  }

  RuleSet rules(std::string objective, std::vector<BurnWindow> windows) {
    SloSpec slo;
    slo.name = "availability";
    slo.service = "fraud";
    slo.objective = std::move(objective);
    slo.interval = 30s;
    slo.error_query = "sum(rate(errors_total[{{.window}}]))";
    slo.total_query = "sum(rate(requests_total[{{.window}}]))";
    slo.windows = std::move(windows);
    RuleSet out;
    out.slos = {slo};
    return out;
  }

  // Seconds after `from_s` at which the alert of this severity begins and ends; -1: never.
  std::pair<double, double> observe(Rig& rig, std::int64_t from_s, std::int64_t to_s, std::size_t rule = 0) {
    double fired = -1, resolved = -1;
    clock.advance(Millis(from_s * 1000 - (clock.now_ms() - zero)));
    rig.step();
    while (clock.now_ms() < zero + to_s * 1000) {
      rig.advance(Millis(5000), Millis(5000));
      const double at = static_cast<double>(clock.now_ms() - zero) / 1000 - static_cast<double>(from_s);
      const bool firing = rig.state(0, rule) == "firing";
      if (firing && fired < 0) fired = at;
      if (!firing && fired >= 0 && resolved < 0) resolved = at;
    }
    return {fired, resolved};
  }

  static constexpr std::int64_t zero = 1'700'000'010'000;
  test::MemoryStore store;
  test::ManualClock clock;
  query::Engine engine;
  Sources sources;
};

}  // namespace

TEST_CASE("burn alerts fire and resolve when the closed form says", "[alerting][slo][engine]") {
  struct Row {
    double objective_budget;
    const char* objective;
    double share;
    std::int64_t duration_s;
    BurnWindow window;
  };
  const Row rows[] = {
      {0.001, "99.9", 0.10, 3600, {"page", 1h, 5min, 14.4}},
      {0.001, "99.9", 0.05, 3600, {"page", 1h, 5min, 14.4}},
      {0.001, "99.9", 1.00, 1800, {"page", 1h, 5min, 14.4}},
      {0.01, "99", 0.20, 3600, {"page", 2h, 10min, 6}},
      {0.001, "99.9", 0.01, 3600, {"page", 1h, 5min, 14.4}},  // E < k x B: never
  };
  for (const Row& row : rows) {
    const double threshold = row.window.factor * row.objective_budget;
    const auto length = static_cast<double>(row.window.long_window.count()) / 1000;
    const auto shorter = static_cast<double>(row.window.short_window.count()) / 1000;
    const double detect = threshold * length / row.share;
    const double reset = shorter * (1 - threshold / row.share);
    const std::int64_t begin = 2 * 3600 + 600, end = begin + row.duration_s;
    SloWorld w(end + 1800, {{row.share, begin, end}});
    Rig rig(w.sources, w.store, w.clock);
    REQUIRE(rig.core.start(w.rules(row.objective, {row.window})));
    const auto [fired, resolved] = w.observe(rig, begin, end + 1500);
    INFO("E=" << row.share << " k=" << row.window.factor << " expected detect " << detect << " reset "
              << reset << ", seen " << fired << " and " << resolved - static_cast<double>(row.duration_s));
    if (row.share <= threshold) {
      CHECK(fired == -1);
      continue;
    }
    // The alert may be late by one interval and one scrape, and our own steps of 5 s.
    const double late = 30 + SloWorld::scrape_s + 5;
    CHECK(fired >= detect - SloWorld::scrape_s);
    CHECK(fired <= detect + late);
    CHECK(resolved >= static_cast<double>(row.duration_s) + reset - SloWorld::scrape_s);
    CHECK(resolved <= static_cast<double>(row.duration_s) + reset + late);
  }
}

TEST_CASE("pairs of one severity are one alert: the first detects, the last resets",
          "[alerting][slo][engine]") {
  const std::int64_t begin = 6 * 3600 + 600, end = begin + 7200;
  SloWorld w(end + 3600, {{0.10, begin, end}});
  Rig rig(w.sources, w.store, w.clock);
  RuleSet rules = w.rules("99.9", {{"page", 1h, 5min, 14.4}, {"page", 6h, 30min, 6}});
  rules.receivers = {simple_receiver("hook")};
  rules.route = simple_route("hook", 0s, 30s, 4h);
  REQUIRE(rig.core.start(rules));
  const auto [fired, resolved] = w.observe(rig, begin, end + 2400);
  CHECK(fired == Approx(518).margin(50));             // 8.6 m: the 1h pair
  CHECK(resolved == Approx(7200 + 1692).margin(50));  // 28.2 m: the 30m window
  REQUIRE(rig.client.requests.size() == 2);
  const std::string& body = rig.client.requests[0].body;
  CHECK(body.find("\"labels\":{\"alertname\":\"availability\",\"long_window\":\"1h\",\"service\":\"fraud\","
                  "\"severity\":\"page\",\"slo\":\"availability\"}") != std::string::npos);
  CHECK(body.find("\"budget_consumed\":\"") != std::string::npos);
  CHECK(rig.client.requests[1].body.find("\"status\":\"resolved\"") != std::string::npos);

  const auto labels = Labels::of({{"slo", "availability"}, {"service", "fraud"}});
  const auto ratio =
      samples_of(w.store, labels.with("__name__", "plumbline_slo_error_ratio").with("window", "5m"));
  REQUIRE(!ratio.empty());
  double highest = 0;
  for (const auto& s : ratio)
    if (!std::isnan(s.v)) highest = std::max(highest, s.v);
  CHECK(highest == Approx(0.10).epsilon(1e-9));
  CHECK(samples_of(w.store, labels.with("__name__", "plumbline_slo_objective"))[0].v == 0.999);
  CHECK(
      !samples_of(w.store, labels.with("__name__", "plumbline_slo_burn_rate").with("window", "6h")).empty());
  const auto remaining =
      samples_of(w.store, labels.with("__name__", "plumbline_slo_error_budget_remaining_ratio"));
  REQUIRE(!remaining.empty());
  CHECK(remaining.back().v < 0);
  const std::string slos = slos_response(rig.core.view()).body;
  CHECK(slos.find("\"objective\":0.999,\"error_budget\":0.001,\"window\":\"30d\"") != std::string::npos);
  CHECK(slos.find("\"health\":\"ok\"") != std::string::npos);
}

TEST_CASE("a counter that never counted an error is no missing data, and no traffic is no burn",
          "[alerting][slo][engine]") {
  SloWorld w(7200, {}, false);
  Rig rig(w.sources, w.store, w.clock);
  REQUIRE(rig.core.start(w.rules("99.9", {{"page", 1h, 5min, 14.4}})));
  rig.advance(60s, 5s);
  w.clock.advance(1h);
  rig.step();
  const auto labels = Labels::of({{"slo", "availability"}, {"service", "fraud"}});
  const auto burn =
      samples_of(w.store, labels.with("__name__", "plumbline_slo_burn_rate").with("window", "1h"));
  REQUIRE(!burn.empty());
  CHECK(burn.back().v == 0);
  CHECK(rig.rule().health == Health::ok);
  w.clock.advance(3h);  // long after the last request
  rig.step();
  const auto after =
      samples_of(w.store, labels.with("__name__", "plumbline_slo_burn_rate").with("window", "1h"));
  CHECK(model::is_stale(after.back().v));
  CHECK(rig.rule().health == Health::ok);
  CHECK(rig.state() == "inactive");
}

TEST_CASE("an SLO query with several series says what to do", "[alerting][slo]") {
  test::MemoryStore store;
  test::ManualClock clock;
  FakeData data;
  data.queries["e[5m]"] = [](std::int64_t) -> Result<query::Vector> {
    return query::Vector{{Labels(), 0, 1}, {Labels::of({{"a", "b"}}), 0, 1}};
  };
  RuleSet rules;
  SloSpec slo;
  slo.name = slo.service = "s";
  slo.objective = "99";
  slo.window = 1h;
  slo.error_query = "e[{{.window}}]";
  slo.total_query = "t[{{.window}}]";
  slo.windows = {{"page", 30min, 5min, 2}};
  rules.slos = {slo};
  Rig rig(data.sources(), store, clock);
  REQUIRE(rig.core.start(rules));
  rig.advance(60s);
  CHECK(rig.rule().last_error == "error_query returned 2 series; aggregate them into one with sum()");
}
