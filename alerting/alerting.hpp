// The alerting module's front door: rules in, webhooks out.
//
//   RuleSet -> Service: schedule -> evaluate (PromQL, drift) -> alert state machine -> one atomic write
//   (state + ALERTS series + outbox) -> routing and grouping -> webhook delivery with retries
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "proto/http.hpp"
#include "query/query.hpp"
#include "storage/storage.hpp"

namespace plumbline::alerting {

using StringPairs = std::vector<std::pair<std::string, std::string>>;

// Where a piece of a rule stands, for error messages: "rules.yaml:14:9".
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  std::string str() const;
};

// A Prometheus alerting or recording rule, verbatim.
struct RuleSpec {
  std::string record;  // one of record and alert
  std::string alert;
  std::string expr;
  Millis hold{0};             // for
  Millis keep_firing_for{0};
  StringPairs labels;         // templated
  StringPairs annotations;    // templated
  Place place;       // of the rule
  Place expr_place;  // of its expression
};

struct GroupSpec {
  std::string name;
  std::string file;
  Millis interval{60'000};
  Millis query_offset{0};
  std::uint64_t limit = 0;
  StringPairs labels;
  std::vector<RuleSpec> rules;
  Place place;
};

// One multiwindow alert of an SLO: fires while both windows burn faster than `factor` times the budget.
struct BurnWindow {
  std::string severity;  // page, ticket
  Millis long_window{};
  Millis short_window{};
  double factor = 0;
};
// The Google SRE workbook's table for 30 days, scaled to `period`: 14.4 over 1h/5m, 6 over 6h/30m (page), 3 over 1d/2h,
// 1 over 3d/6h (ticket).
std::vector<BurnWindow> workbook_windows(Millis period);

struct SloSpec {
  std::string name;
  std::string service;
  std::string description;
  std::string objective;    // percent, as text: budgets are computed in decimals ("99.9" -> 0.001 exactly)
  Millis window{std::chrono::hours(24 * 30)};
  std::string error_query;  // PromQL with {{.window}}
  std::string total_query;
  Millis interval{60'000};
  std::vector<BurnWindow> windows;  // empty: workbook_windows(window)
  std::string alert_name;           // default: the SLO's name
  StringPairs labels;
  StringPairs annotations;
  Place place, error_place, total_place;
};

struct DriftSpec {
  std::string name;
  std::string model;
  std::vector<std::string> features;  // empty: all
  query::Statistic statistic = query::Statistic::psi;
  std::string reference;
  std::string where;
  Millis window{3'600'000};
  Millis interval{60'000};
  double threshold = 0.25;
  int consecutive = 1;        // evaluations in a row that must be over the threshold
  std::uint64_t rows_min = 200;
  StringPairs labels;
  StringPairs annotations;
  Place place, where_place;
};

struct WebhookSpec {
  std::string url;
  bool send_resolved = true;
  std::uint64_t max_alerts = 0;  // 0: all
  Millis timeout{10'000};
  StringPairs headers;
  Place place;
};

struct ReceiverSpec {
  std::string name;
  std::vector<WebhookSpec> webhooks;
  Place place;
};

// Alertmanager's route tree.
struct RouteSpec {
  std::string receiver;
  std::vector<std::string> matchers;  // `severity="page"`, `team=~"a|b"`
  std::vector<std::string> group_by;  // "..." for all
  std::optional<Millis> group_wait, group_interval, repeat_interval;  // inherited; 30s, 5m, 4h at the root
  bool continue_matching = false;
  std::vector<RouteSpec> routes;
  Place place;
};

struct RuleSet {
  std::vector<GroupSpec> groups;
  std::vector<SloSpec> slos;
  std::vector<DriftSpec> drift;
  std::vector<ReceiverSpec> receivers;
  std::optional<RouteSpec> route;
  StringPairs external_labels;
  std::string external_url;
};

// Every error of a rule set: unparsable PromQL, templates, unknown receivers, alerts that can never fire
// (factor x budget >= 1, with what would). Each message starts with its place. Empty: good.
std::vector<std::string> check(const RuleSet& rules);

// Rule tests: what a file in promtool's format says, with the rules that it names. Places lead to that file.
struct RuleTestSeries {
  std::string series;
  std::string values;  // series notation: 1+2x5
  Place place, values_place;
};
struct ExpectedAlert {
  StringPairs labels, annotations;
};
struct AlertTestCase {
  Millis eval_time{0};
  std::string alertname;
  std::vector<ExpectedAlert> alerts;
  Place place;
};
struct ExpectedSample {
  std::string labels;  // as a series is written
  double value = 0;
  std::string histogram;  // series notation; when there is one, it is the value
};
struct ExpressionTestCase {
  std::string expr;
  Millis eval_time{0};
  std::vector<ExpectedSample> samples;
};
struct RuleTest {
  std::string name;
  Millis interval{60'000};    // between two values of a series
  std::int64_t start_ms = 0;  // time of the first value and of the first evaluation
  std::vector<RuleTestSeries> input_series;
  std::vector<AlertTestCase> alert_cases;
  std::vector<ExpressionTestCase> expression_cases;
  StringPairs external_labels;
  std::string external_url;
};
struct RuleTestFile {
  Millis evaluation_interval{60'000};
  bool fuzzy_compare = false;
  std::vector<std::string> group_eval_order;
  RuleSet rules;
  std::vector<RuleTest> tests;
};
struct RuleTestReport {
  std::size_t run = 0;
  std::vector<std::string> warnings;
  std::vector<std::string> failures;  // in promtool's form; empty: success
};
// Runs each test whose name matches any of the regular expressions `run` (all when there is none) on a store of its own below
// `scratch`, which it removes again. Rules are evaluated by what the Service runs; drift rules are not (a warning says so).
// Blocks: on the store. Fails: invalid_input (a regular expression).
Result<RuleTestReport> run_rule_tests(const RuleTestFile& file, const std::vector<std::string>& run,
                                      const std::string& scratch, const Clock& clock);

// Threads: own scheduler, evaluators and delivery. Blocks: start() and stop().
// Borrows: everything it is given.
class Service {
 public:
  struct Needs {
    const query::Engine& engine;
    const query::Models& models;
    storage::Writer& writer;
    storage::State& state;
    http::Client& client;
    const Clock& clock;
    Log& log;
    Registry& registry;
  };
  explicit Service(Needs needs);
  ~Service();  // stops
  // Restores alert state and the outbox, then starts evaluating.
  Status start(RuleSet rules);
  // Replaces the rules; alerts of unchanged rules keep their state. Fails: invalid_input, the old ones stay.
  Status reload(RuleSet rules);
  // Finishes running evaluations, persists, stops delivery (what is left in the outbox goes out after the next start).
  void stop();
  // GET /api/v1/rules, /api/v1/alerts, /api/v1/slos, /api/v1/notifications
  http::Routes routes();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::alerting
