// Files of the user: configuration, rules, SLOs, overrides, lists of targets; parsed, mapped and checked as a start does.
#include <fstream>

#include "alerting/alerting.hpp"
#include "config/loader.hpp"
#include "config/rule_test_file.hpp"
#include "config/values.hpp"
#include "daemon/mapping.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

void check_problems(const config::Problems& problems) {
  PLUMBLINE_CHECK(!problems.empty() && problems.size() <= 50, "a refusal names what is wrong");
  (void)config::text_of(problems);
}

void map_and_check(const config::Config& config, std::vector<config::RuleGroup> groups) {
  (void)daemon::storage_options(config);
  (void)daemon::engine_options(config);
  (void)daemon::server_options(config);
  (void)daemon::scrape_jobs(config);
  const auto rules = daemon::rule_set(config, std::move(groups));
  if (rules) (void)alerting::check(*rules);
}

void configuration(std::string_view bytes) {
  const auto config = config::load_text(bytes, "fuzz.yaml");
  if (!config) return check_problems(config.error());
  map_and_check(*config, {});
}

void rules(std::string_view bytes) {
  static const config::Config empty = *config::load_defaults();
  auto groups = config::load_rule_text(bytes, "rules.yaml", Millis(60'000));
  if (!groups) return check_problems(groups.error());
  map_and_check(empty, std::move(*groups));
}

void rule_test_file(std::string_view bytes) {
  const auto file = config::load_rule_test_text(bytes, "t.yaml");
  if (!file) check_problems(file.error());
}

void overrides(std::string_view bytes) {
  config::Overrides all;
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
    if (auto one = config::parse_override(line)) all.push_back(std::move(*one));
  }
  const auto config = config::load_defaults(all);
  if (!config) check_problems(config.error());
}

void target_file(std::string_view bytes) {
  static const test::TempDir folder;
  const std::string path = folder.path("targets.json");
  std::ofstream(path, std::ios::binary) << bytes;
  const auto groups = config::read_target_file(path);
  if (!groups) PLUMBLINE_CHECK(!groups.error().message.empty(), "a refusal says why");
}

void values(std::string_view text) {
  (void)config::valid_metric_name(text);
  (void)config::valid_label_name(text);
  (void)config::valid_address(text);
  (void)config::valid_url(text);
  if (const auto size = config::parse_size(text)) (void)config::size_text(static_cast<double>(*size));
  (void)config::closest(text, {"storage", "server"});
}

const std::string configuration_text = R"yaml(
server: {http_listen: ["127.0.0.1:9090"]}
storage: {path: /tmp/x, retention: 30d}
journal: {sync: 100ms}
global: {scrape_interval: 15s, external_labels: {region: eu}}
scrape_configs:
  - job_name: a
    scrape_interval: 30s
    static_configs: [{targets: ["h:80", "[::1]:9100"], labels: {env: x}}]
    relabel_configs:
      - {source_labels: [__address__], regex: "(.*):\\d+", target_label: instance, replacement: "$1"}
      - {action: hashmod, source_labels: [a], modulus: 4, target_label: shard}
    metric_relabel_configs: [{source_labels: [__name__], regex: "go_.*", action: drop}]
groups:
  - name: g
    rules:
      - {record: "a:b", expr: "sum(rate(c[5m]))"}
      - alert: Down
        expr: up == 0
        for: 5m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.instance }} is {{ $value | humanize }}"}
slos:
  - name: availability
    service: api
    objective: "99.9"
    sli: {events: {error_query: "sum(rate(e[{{.window}}]))", total_query: "sum(rate(t[{{.window}}]))"}}
receivers: [{name: ops, webhook_configs: [{url: "http://127.0.0.1:1/x"}]}]
route: {receiver: ops, group_by: [alertname], routes: [{matchers: ["severity=\"page\""], receiver: ops, group_wait: 10s}]}
)yaml";

const std::string rules_text = R"yaml(groups:
- name: g
  interval: 30s
  limit: 10
  rules:
  - record: job:c:rate
    expr: sum by (job) (rate(c[5m]))
    labels: {a: b}
  - alert: High
    expr: |
      c > 1
    for: 1h30m
    keep_firing_for: 5m
    annotations: {d: "{{ if gt $value 0.9 }}{{ $labels.a }}{{ end }}"}
)yaml";

}  // namespace

Targets config_targets() {
  return {
      {"config", configuration, [] { return std::vector<std::string>{configuration_text, ""}; }},
      {"rules", rules, [] { return std::vector<std::string>{rules_text}; }},
      {"rule_test_file", rule_test_file, [] {
         return std::vector<std::string>{"rule_files: [a.yml]\nfuzzy_compare: true\ngroup_eval_order: [b]\ntests:\n- {interval: 1m, start_timestamp: 5, "
             "input_series: [{series: up, values: 0x3}], alert_rule_test: [{eval_time: 5m, alertname: A, exp_alerts: [{exp_labels: {a: b}}]}], "
             "promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{labels: up, value: -.inf}]}]}"};
       }},
      {"config_overrides", overrides, [] {
         return std::vector<std::string>{"storage.retention=90d\nserver.http_listen=[127.0.0.1:0]\nscrape_configs[0].job_name=x"};
       }},
      {"target_file", target_file, [] {
         return std::vector<std::string>{R"([{"targets":["a:1","b:2"],"labels":{"x":"y"}}])", "- targets: [a:1]\n  labels: {x: y}\n"};
       }},
      {"config_values", values, [] {
         return std::vector<std::string>{"64MiB", "a:b_c", "[::1]:9090", "https://h:1/p?q", "1024", "127.0.0.1:0"};
       }},
  };
}

}  // namespace plumbline::fuzz
