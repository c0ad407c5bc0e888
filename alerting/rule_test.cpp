// Rule tests: promtool's time line (its unit tester's order of loading, evaluating and comparing), with our store, our engine and
// the very Core that the Service runs.
#include <stdlib.h>

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>

#include "alerting/core.hpp"
#include "alerting/rule_test_text.hpp"
#include "daemon/base/text.hpp"
#include "query/promql/series_notation.hpp"

namespace plumbline::alerting {
namespace {

using query::promql::SeriesItem;

// Evaluations of one test: ten years of hours. An eval_time of years at an interval of seconds would run for days.
constexpr std::int64_t evaluations_max = 1'000'000;
// Samples of one test, over all its series: 400 MB.
constexpr std::size_t samples_max = 10'000'000;

// A directory of its own, removed with everything in it.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> make(const std::string& parent) {
    std::string path = parent + "/plumbline-rule-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      return fail(Code::io, fmt::format("cannot make a directory for the test's store below {}", parent));
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(path)));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// The wall clock of a test; what takes time is measured by the real one.
class TestClock final : public Clock {
 public:
  TestClock(const Clock& real, std::int64_t start_ms) : real_(real), now_ms_(start_ms) {}
  std::int64_t now_ns() const override { return now_ms_ * 1'000'000; }
  Steady steady() const override { return real_.steady(); }
  void set(std::int64_t ms) { now_ms_ = ms; }

 private:
  const Clock& real_;
  std::atomic<std::int64_t> now_ms_;
};

// A test has no routes, so nothing is sent.
class NoClient final : public http::Client {
 public:
  Result<http::Response> send(const http::ClientRequest&) override {
    return fail(Code::unsupported, "rule tests send no notifications");
  }
};

class TestRun {
 public:
  TestRun(const RuleTestFile& file, const RuleTest& test, const Clock& real)
      : file_(file), test_(test), clock_(real, test.start_ms), log_(make_null_log()) {}

  std::vector<std::string> run(const std::string& scratch) {
    if (const Status done = prepare(scratch); !done) failures_.push_back(done.error().message);
    if (failures_.empty() && evaluate_all()) compare_expressions();
    return std::move(failures_);
  }

 private:
  struct Input {
    std::vector<SeriesItem> items;
    std::size_t next = 0;  // the first that is not in the store yet
  };

  Status prepare(const std::string& scratch) {
    PLUMBLINE_CHECK_OK(parse_input());
    for (const AlertTestCase& c : test_.alert_cases) until_ = std::max(until_, c.eval_time);
    for (const ExpressionTestCase& c : test_.expression_cases) until_ = std::max(until_, c.eval_time);
    if (until_ / file_.evaluation_interval >= evaluations_max)
      return fail(Code::too_large, fmt::format("an eval_time of {} with an evaluation_interval of {} takes more than {} evaluations",
                                               format_duration_ms(until_.count()),
                                               format_duration_ms(file_.evaluation_interval.count()), evaluations_max));
    PLUMBLINE_TRY(folder_, ScratchFolder::make(scratch));
    storage::Options options;
    options.path = folder_->path() + "/data";
    options.journal_sync.policy = storage::SyncPolicy::never;  // nobody opens it again
    options.retention_series = std::chrono::hours(24 * 365 * 200);
    PLUMBLINE_TRY(store_, storage::Store::open(std::move(options), clock_, *log_, registry_));
    query::EngineOptions engine_options;
    engine_options.default_step = file_.evaluation_interval;
    engine_ = std::make_unique<query::Engine>(*store_, clock_, engine_options);
    models_ = std::make_unique<query::Models>(*store_, *store_, clock_);
    sources_ = make_sources(*engine_, *models_);
    core_ = std::make_unique<Core>(
        Core::Needs{sources_, query::check_promql, *store_, *store_, client_, clock_, *log_, registry_});
    RuleSet rules = file_.rules;
    rules.external_labels = test_.external_labels;
    rules.external_url = test_.external_url;
    rules.drift.clear();
    rules.receivers.clear();
    rules.route.reset();
    PLUMBLINE_CHECK_OK(core_->start(rules));
    order_units();
    return {};
  }

  Status parse_input() {
    std::size_t samples = 0;
    for (const RuleTestSeries& series : test_.input_series) {
      const auto wrong = [&](const Place& place, const Error& error) {
        return fail(error.in(fmt::format("{}: input series {}", place.str(), json_quote(series.series))));
      };
      auto labels = query::promql::parse_metric(series.series);
      if (!labels) return wrong(series.place, labels.error());
      if (labels->metric().empty())
        return wrong(series.place, {Code::invalid_input, "it has no metric name, and the store takes no such series"});
      auto items = query::promql::parse_series_values(series.values);
      if (!items) return wrong(series.values_place, items.error());
      samples += items->size();
      if (samples > samples_max)
        return fail(Code::too_large, fmt::format("{}: more than {} samples in one test", series.place.str(), samples_max));
      input_.insert_or_assign(std::move(*labels), Input{std::move(*items)});  // of two equal ones the last, as in promtool
    }
    return {};
  }

  // Groups that group_eval_order names come in its order; others are as if they stood first in it, in the order of their files, and
  // SLOs come last. (promtool gives those that are not named no order at all.)
  void order_units() {
    plan_ = core_->view().plan;
    const auto rank = [&](std::size_t u) -> std::size_t {
      const PlannedUnit& unit = plan_->units[u];
      const auto named = std::ranges::find(file_.group_eval_order, unit.name);
      if (named != file_.group_eval_order.end()) return static_cast<std::size_t>(named - file_.group_eval_order.begin());
      return unit.kind == PlannedUnit::Kind::group ? 0 : file_.group_eval_order.size();
    };
    for (std::size_t u = 0; u < plan_->units.size(); ++u) order_.push_back(u);
    std::ranges::stable_sort(order_, {}, rank);
  }

  // What comes until then goes into the store; what comes later must not be seen, not even by a negative offset.
  Status load_until(std::int64_t t_ms) {
    storage::WriteBatch batch;
    for (auto& [labels, input] : input_) {
      storage::SeriesSamples samples{labels, {}};
      storage::SeriesHistograms histograms{labels, {}};
      for (; input.next < input.items.size(); ++input.next) {
        const std::int64_t t = test_.start_ms + static_cast<std::int64_t>(input.next) * test_.interval.count();
        if (t > t_ms) break;
        const SeriesItem& item = input.items[input.next];
        if (item.histogram) histograms.samples.push_back({t, *item.histogram});
        else if (item.present) samples.samples.push_back({t, item.v});
      }
      if (!samples.samples.empty()) batch.series.push_back(std::move(samples));
      if (!histograms.samples.empty()) batch.histograms.push_back(std::move(histograms));
    }
    if (batch.empty()) return {};
    PLUMBLINE_TRY(const storage::WriteReceipt receipt, store_->write(std::move(batch)));
    for (const storage::Refusal& refusal : receipt.refusals)
      return fail(Code::invalid_input, fmt::format("the store refuses {} input samples ({}): {}", refusal.count, refusal.reason,
                                                   refusal.example));
    return {};
  }

  // False: the test ends here.
  bool evaluate_all() {
    std::map<Millis, std::vector<const AlertTestCase*>> cases;
    for (const AlertTestCase& c : test_.alert_cases) cases[c.eval_time].push_back(&c);
    auto next = cases.begin();
    for (Millis at{0}; at <= until_; at += file_.evaluation_interval) {
      const std::int64_t t_ms = test_.start_ms + at.count();
      clock_.set(t_ms);
      if (const Status loaded = load_until(t_ms); !loaded) {
        failures_.push_back(loaded.error().message);
        return false;
      }
      bool failed = false;
      for (const std::size_t unit : order_)
        for (const auto& [rule, message] : core_->run_at({unit, t_ms})) {
          failures_.push_back(fmt::format("    rule: {}, time: {}, err: {}", rule, go_duration(at.count()), message));
          failed = true;
        }
      if (failed) return false;
      // The last evaluation at or before an eval_time is the one that counts.
      for (; next != cases.end() && next->first < at + file_.evaluation_interval; ++next)
        for (const AlertTestCase* c : next->second) compare_alerts(*c);
    }
    return true;
  }

  void compare_alerts(const AlertTestCase& c) {
    for (const DriftSpec& drift : file_.rules.drift)
      if (drift.name == c.alertname) {
        failures_.push_back(fmt::format("    alertname: {}, time: {}, err: {}: drift rules are not supported in rule tests: they read "
                                        "inference records, and a test has series", c.alertname,
                                        format_duration_ms(c.eval_time.count()), drift.place.str()));
        return;
      }
    std::vector<ExpectedAlert> got, expected = c.alerts;
    const View view = core_->view();
    for (const std::size_t u : order_)
      for (std::size_t r = 0; r < plan_->units[u].rules.size(); ++r) {
        const PlannedRule& rule = plan_->units[u].rules[r];
        if (!rule.alerting || rule.name != c.alertname) continue;
        for (const auto& [labels, alert] : view.units[u].rules[r].alerts) {
          if (alert.state != AlertState::firing) continue;
          ExpectedAlert& out = got.emplace_back();
          for (const model::Label& l : labels) out.labels.emplace_back(l.name, l.value);
          out.annotations = alert.annotations;
        }
      }
    for (ExpectedAlert& alert : expected) {
      std::erase_if(alert.labels, [](const auto& pair) { return pair.first == "alertname"; });
      alert.labels.emplace_back("alertname", c.alertname);
    }
    sort_alerts(got);
    sort_alerts(expected);
    if (same_alerts(expected, got)) return;
    failures_.push_back(fmt::format("{}    alertname: {}, time: {}, \n        exp:{}, \n        got:{}",
                                    test_.name.empty() ? "" : fmt::format("    name: {},\n", test_.name), c.alertname,
                                    format_duration_ms(c.eval_time.count()), alerts_text(expected), alerts_text(got)));
  }

  void compare_expressions() {
    for (const ExpressionTestCase& c : test_.expression_cases) {
      const std::string head =
          fmt::format("    expr: {}, time: {},", json_quote(c.expr), format_duration_ms(c.eval_time.count()));
      const auto got = result_of(c);
      const auto expected = expected_samples(c);
      if (!got || !expected)
        failures_.push_back(fmt::format("{} err: {}", head, (got ? expected.error() : got.error()).message));
      else if (!same_samples(*expected, *got, file_.fuzzy_compare))
        failures_.push_back(
            fmt::format("{}\n        exp: {}\n        got: {}", head, samples_text(*expected), samples_text(*got)));
    }
  }

  Result<std::vector<TestSample>> result_of(const ExpressionTestCase& c) const {
    PLUMBLINE_TRY(const query::Vector vector, sources_.query(c.expr, test_.start_ms + c.eval_time.count()));
    std::vector<TestSample> out;
    for (const query::VectorPoint& p : vector)
      out.push_back({p.labels, p.v, p.histogram ? query::promql::notation_of(*p.histogram) : ""});
    sort_samples(out);
    return out;
  }

  static Result<std::vector<TestSample>> expected_samples(const ExpressionTestCase& c) {
    std::vector<TestSample> out;
    for (const ExpectedSample& s : c.samples) {
      const std::string where = fmt::format("labels {}", json_quote(s.labels));
      auto labels = query::promql::parse_metric(s.labels);
      if (!labels) return fail(labels.error().in(where));
      TestSample& sample = out.emplace_back(TestSample{std::move(*labels), s.value, ""});
      if (s.histogram.empty()) continue;
      const auto items = query::promql::parse_series_values(s.histogram);
      if (!items) return fail(items.error().in(where));
      if (items->size() != 1 || !items->front().histogram)
        return fail(Code::invalid_input, fmt::format("{}: 'histogram' is {}; write one histogram such as {{{{count:1 sum:2}}}}",
                                                     where, json_quote(s.histogram)));
      sample.value = 0;
      sample.histogram = query::promql::notation_of(*items->front().histogram);
    }
    sort_samples(out);
    return out;
  }

  const RuleTestFile& file_;
  const RuleTest& test_;
  TestClock clock_;
  const std::unique_ptr<Log> log_;
  NoClient client_;
  Registry registry_;
  std::map<model::Labels, Input> input_;
  Millis until_{0};
  std::vector<std::string> failures_;

  // Built by prepare(), in this order.
  std::unique_ptr<ScratchFolder> folder_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<query::Engine> engine_;
  std::unique_ptr<query::Models> models_;
  Sources sources_;
  std::unique_ptr<Core> core_;
  std::shared_ptr<const Plan> plan_;
  std::vector<std::size_t> order_;
};

}  // namespace

Result<RuleTestReport> run_rule_tests(const RuleTestFile& file, const std::vector<std::string>& run,
                                      const std::string& scratch, const Clock& clock) {
  std::vector<std::unique_ptr<re2::RE2>> patterns;
  for (const std::string& text : run) {
    re2::RE2::Options quiet;
    quiet.set_log_errors(false);
    patterns.push_back(std::make_unique<re2::RE2>(text, quiet));
    if (!patterns.back()->ok())
      return fail(Code::invalid_input, fmt::format("{} is not a regular expression: {}", json_quote(text), patterns.back()->error()));
  }
  RuleTestReport report;
  for (const DriftSpec& drift : file.rules.drift)
    report.warnings.push_back(fmt::format("{}: drift rule {} is not evaluated: not supported in rule tests", drift.place.str(),
                                          json_quote(drift.name)));
  report.failures = check(file.rules);
  if (!report.failures.empty()) return report;
  for (const RuleTest& test : file.tests) {
    const auto matches = [&](const auto& pattern) { return re2::RE2::PartialMatch(test.name, *pattern); };
    if (!patterns.empty() && std::ranges::none_of(patterns, matches)) continue;
    ++report.run;
    for (std::string& failure : TestRun(file, test, clock).run(scratch)) report.failures.push_back(std::move(failure));
  }
  return report;
}

}  // namespace plumbline::alerting
