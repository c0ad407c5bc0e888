// Rule test files in promtool's format (`promtool test rules`), as plain values with their places. What is PromQL, a series or
// its values is checked by who runs the tests.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/loader.hpp"

namespace plumbline::config {

struct RuleTestSeries {
  std::string series;
  std::string values;  // the series notation: 1+2x5
  Place place, values_place;
};

struct RuleTestAlert {
  StringPairs labels, annotations;
};

struct RuleTestAlertCase {
  Millis eval_time{0};
  std::string alertname;
  std::vector<RuleTestAlert> alerts;
  Place place;
};

struct RuleTestSample {
  std::string labels;
  double value = 0;
  std::string histogram;  // in the series notation; when there is one, it is the value
};

struct RuleTestExprCase {
  std::string expr;
  Millis eval_time{0};
  std::vector<RuleTestSample> samples;
  Place place;
};

struct RuleTestGroup {
  std::string name;
  Millis interval{std::chrono::minutes(1)};  // evaluation_interval when absent
  std::int64_t start_ms = 0;                 // start_timestamp
  std::vector<RuleTestSeries> input_series;
  std::vector<RuleTestAlertCase> alert_cases;
  std::vector<RuleTestExprCase> expr_cases;
  StringPairs external_labels;
  std::string external_url;
  Place place;
};

struct RuleTestFile {
  std::string file;
  std::vector<std::string> rule_files;    // what the globs found, in the order of the globs
  std::vector<std::string> unmatched;     // globs that found nothing; beside the file already
  Millis evaluation_interval{std::chrono::minutes(1)};
  bool fuzzy_compare = false;
  std::vector<std::string> group_eval_order;  // unique
  std::vector<RuleTestGroup> groups;          // tests
};

// Unknown keys are refused, as promtool does.
Outcome<RuleTestFile> load_rule_test_file(const std::string& path);
Outcome<RuleTestFile> load_rule_test_text(std::string_view yaml, const std::string& file);

}  // namespace plumbline::config
