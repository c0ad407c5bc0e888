#include "config/rule_test_file.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>
#include <utility>

#include "config/globs.hpp"
#include "config/section.hpp"
#include "config/yaml_tree.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

// YAML's own numbers and PromQL's: .inf and Inf, .nan and NaN.
void read_value(Reading& reading, Section& from, double& out) {
  std::string text = "0";
  from.read("value", text);
  std::string plain = text;
  if (const std::size_t dot = plain.find_first_not_of("+-"); dot <= 1 && plain[dot] == '.' && plain.size() == dot + 4 && plain[dot + 1] > '9')
    plain.erase(dot, 1);
  if (const auto number = parse_number(plain)) out = *number;
  else reading.report(from.place_of("value"), "'value' is " + json_quote(text) + "; write a number");
}

void read_start(Reading& reading, Section& from, std::int64_t& out) {
  std::string text = "0";
  from.read("start_timestamp", text);
  const auto ms = parse_api_time_ms(text);
  // Alert states use 0 for "never", and no metric was scraped before 1970.
  if (ms && *ms >= 0) out = *ms;
  else
    reading.report(from.place_of("start_timestamp"),
                   "'start_timestamp' is " + json_quote(text) + "; write Unix seconds or RFC 3339, from 1970 on");
}

RuleTestGroup read_group(Reading& reading, Section& from) {
  RuleTestGroup group;
  group.place = from.place();
  from.read("name", group.name);
  from.read("interval", group.interval);
  read_start(reading, from, group.start_ms);
  from.read("external_labels", group.external_labels);
  from.read("external_url", group.external_url);
  from.each("input_series", [&](Section& series) {
    RuleTestSeries& out = group.input_series.emplace_back();
    out.place = series.place();
    series.read("series", out.series);
    series.read("values", out.values, out.values_place);
  });
  from.each("alert_rule_test", [&](Section& test) {
    RuleTestAlertCase& out = group.alert_cases.emplace_back();
    out.place = test.place();
    test.read("eval_time", out.eval_time);
    test.read("alertname", out.alertname);
    test.each("exp_alerts", [&](Section& alert) {
      RuleTestAlert& expected = out.alerts.emplace_back();
      alert.read("exp_labels", expected.labels);
      alert.read("exp_annotations", expected.annotations);
    });
  });
  from.each("promql_expr_test", [&](Section& test) {
    RuleTestExprCase& out = group.expr_cases.emplace_back();
    out.place = test.place();
    test.read("expr", out.expr);
    test.read("eval_time", out.eval_time);
    test.each("exp_samples", [&](Section& sample) {
      RuleTestSample& expected = out.samples.emplace_back();
      sample.read("labels", expected.labels);
      read_value(reading, sample, expected.value);
      sample.read("histogram", expected.histogram);
    });
  });
  return group;
}

void find_rule_files(Reading& reading, RuleTestFile& to) {
  for (const std::string& pattern : std::exchange(to.rule_files, {})) {
    std::vector<std::string> found = expand_glob(reading.beside(pattern));
    if (found.empty()) to.unmatched.push_back(reading.beside(pattern));
    // A file that two globs name is one file.
    for (std::string& path : found)
      if (std::ranges::find(to.rule_files, path) == to.rule_files.end()) to.rule_files.push_back(std::move(path));
  }
}

}  // namespace

Outcome<RuleTestFile> load_rule_test_text(std::string_view yaml, const std::string& file) {
  Outcome<Node> tree = parse_yaml(yaml, file);
  if (!tree) return std::unexpected(std::move(tree.error()));
  Reading reading;
  reading.folder = std::filesystem::path(file).parent_path().string();
  RuleTestFile out;
  out.file = file;
  {
    Section root(reading, *tree, "rule_test");
    root.read("rule_files", out.rule_files);
    root.read("evaluation_interval", out.evaluation_interval);
    if (out.evaluation_interval == Millis{0}) out.evaluation_interval = std::chrono::minutes(1);
    root.read("fuzzy_compare", out.fuzzy_compare);
    root.read("group_eval_order", out.group_eval_order);
    std::set<std::string_view> seen;
    for (const std::string& name : out.group_eval_order)
      if (!seen.insert(name).second)
        reading.report(root.place_of("group_eval_order"), "group name repeated in evaluation order: " + name);
    root.each("tests", [&](Section& from) {
      RuleTestGroup& group = out.groups.emplace_back(read_group(reading, from));
      if (group.interval == Millis{0}) group.interval = out.evaluation_interval;
    });
  }
  find_rule_files(reading, out);
  if (reading.problems.empty()) return out;
  std::ranges::stable_sort(reading.problems, {}, [](const Problem& p) { return std::pair(p.place.line, p.place.column); });
  return std::unexpected(std::move(reading.problems));
}

Outcome<RuleTestFile> load_rule_test_file(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return std::unexpected(Problems{{Place{}, text.error().message}});
  return load_rule_test_text(*text, path);
}

}  // namespace plumbline::config
