#include "config/options.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace plumbline::config {
namespace {

constexpr double second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour, year = 365 * day;
constexpr double mib = 1 << 20, gib = 1024 * mib;
constexpr std::string_view relabel_actions =
    "replace keep drop keepequal dropequal hashmod labelmap labeldrop labelkeep lowercase uppercase";

// clang-format off
constexpr Option table[] = {
    {"server", Type::section, "", "The listeners and what they bear."},
    {"server.http_listen", Type::addresses, "[127.0.0.1:9470, 127.0.0.1:4318]", "Addresses of the HTTP API; every one serves every path. 4318 is where OTLP exporters look."},
    {"server.grpc_listen", Type::address, "127.0.0.1:4317", "Address of the gRPC listener; empty switches it off."},
    {"server.shutdown_grace", Type::duration, "10s", "How long requests under way may finish when the daemon stops.", 0, 10 * minute},
    {"server.cors_origin", Type::expression, "", "Origins whose scripts may read answers of the query APIs: a regular expression over the whole origin, as Prometheus' `--web.cors.origin`. None when empty, where Prometheus allows all."},
    {"server.limits", Type::section, "", "Bounds on foreign input."},
    {"server.limits.connections_max", Type::count, "4096", "Open connections; beyond it the longest idle one makes room.", 1, 1'000'000},
    {"server.limits.connections_per_ip_max", Type::count, "256", "Open connections from one address.", 1, 1'000'000},
    {"server.limits.header_timeout", Type::duration, "10s", "From the first byte of a request to the end of its headers.", 10, hour},
    {"server.limits.body_timeout", Type::duration, "10s", "For a body; bytes that come at body_rate_min extend it.", 10, hour},
    {"server.limits.body_rate_min", Type::count, "1024", "Bytes per second that extend body_timeout.", 1, gib},
    {"server.limits.idle_timeout", Type::duration, "1m", "Between two requests of a connection.", 10, day},
    {"server.limits.body_bytes_max", Type::size, "32MiB", "Body of an ingest request, as sent.", 1024, 4 * gib},
    {"server.limits.inflated_bytes_max", Type::size, "64MiB", "Body of an ingest request after decompression.", 1024, 16 * gib},
    {"server.limits.ingest_threads", Type::count, "2", "Workers for writes.", 1, 256},
    {"server.limits.admin_threads", Type::count, "1", "Workers for health, metrics and reload.", 1, 256},
    {"server.limits.queue_length", Type::count, "128", "Requests that wait for a worker, per kind; more are answered 503.", 1, 100'000},

    {"storage", Type::section, "", "The store."},
    {"storage.path", Type::text, "data", "The data directory; a relative one is below the working directory."},
    {"storage.backup_directory", Type::text, "", "Where backups are made, each in a directory of its own; empty: `backups` in the data directory, which shares its files with them."},
    {"storage.retention", Type::duration, "30d", "How long samples are kept.", hour, 100 * year},
    {"storage.retention_events", Type::duration, "30d", "How long inference records, log lines and spans are kept.", hour, 100 * year},
    {"storage.head_bytes_max", Type::size, "256MiB", "Memory of the newest data; when it is passed, they are sealed to disk.", 4 * mib, 1024 * gib},
    {"storage.head_age_max", Type::duration, "2h", "Age at which the newest data are sealed to disk.", minute, day},
    {"storage.series_active_max", Type::count, "5000000", "Series in memory; samples of new ones beyond it are refused.", 1, 1e9},
    {"storage.series_per_metric_max", Type::count, "0", "Series of one metric; samples of new ones beyond it are refused. 0: no limit of its own.", 0, 1e9},
    {"storage.retention_overrides", Type::list, "", "Series that are kept for a shorter time than `retention`, by whole days."},
    {"storage.retention_overrides[].match", Type::text, required, "A PromQL selector."},
    {"storage.retention_overrides[].keep", Type::duration, required, "How long its samples are kept; at most `retention`.", hour, 100 * year},
    {"storage.downsample_5m_retention", Type::duration, "0s", "How long aggregates over 5 minutes are kept, which queries read when they ask for it; at least `retention`. 0: none are made.", 0, 100 * year},
    {"storage.downsample_1h_retention", Type::duration, "0s", "The same over 1 hour.", 0, 100 * year},
    {"storage.block_cache_bytes", Type::size, "64MiB", "Memory for blocks read from disk.", mib, 1024 * gib},
    {"storage.decoded_cache_bytes", Type::size, "128MiB", "Memory for samples that were read and decoded lately, for the next query that asks for them.", mib, 1024 * gib},
    {"storage.future_max", Type::duration, "10m", "How far in the future a timestamp may lie.", 0, year},

    {"journal", Type::section, "", "What an acknowledgement means."},
    {"journal.sync", Type::sync, "100ms", "When the journal is flushed to the disk: `always` (before every acknowledgement), a duration (the most that a power loss can take), or `never` (left to the kernel). A killed process loses nothing in any case.", 1, minute},

    {"query", Type::section, "", "Bounds on queries."},
    {"query.timeout", Type::duration, "2m", "The longest a query may run.", 10, hour},
    {"query.lookback", Type::duration, "5m", "How old a sample may be to count as current.", second, day},
    {"query.samples_max", Type::count, "50000000", "Samples that one query may hold.", 1000, 1e12},
    {"query.series_max", Type::count, "300000", "Series that one query may touch.", 1, 1e9},
    {"query.result_cache_bytes", Type::size, "64MiB", "Memory for answers of range queries, so that the next one that asks the same of a later time evaluates only what is new. 0: none.", 0, 1024 * gib},
    {"query.concurrency", Type::count, "0", "Requests of the query APIs that are answered at a time; others wait, and clients take turns by address. Waiting counts as part of `timeout`. 0: two per core, at least 4.", 0, 256},
    {"query.log_slower_than", Type::duration, "10s", "PromQL queries over HTTP that took longer are logged, with what they read. 0: none.", 0, day},

    {"otlp", Type::section, "", "Translation of OpenTelemetry data."},
    {"otlp.promote_resource_attributes", Type::texts, "", "Resource attributes that become labels of every series, not only of target_info."},

    {"log", Type::section, "", "The daemon's own log."},
    {"log.level", Type::choice, "info", "The least severe line that is written.", 0, 0, "debug info warn error"},

    {"global", Type::section, "", "Defaults for what follows."},
    {"global.scrape_interval", Type::duration, "1m", "Interval of jobs that name none.", 100, day},
    {"global.scrape_timeout", Type::duration, "10s", "Time limit of jobs that name none; a job with a shorter interval takes its interval.", 10, day},
    {"global.evaluation_interval", Type::duration, "1m", "Interval of rule groups, SLOs and drift rules that name none.", 100, day},
    {"global.external_labels", Type::label_pairs, "", "Labels that name this installation in notifications."},
    {"external_url", Type::url, "", "Where people reach this daemon; the links of notifications lead there. Without it, to the first address of server.http_listen (to the host's name, when that is every address)."},

    {"scrape_configs", Type::list, "", "Jobs to scrape, as in Prometheus."},
    {"scrape_configs[].job_name", Type::text, required, "Value of the `job` label; unique."},
    {"scrape_configs[].scrape_interval", Type::duration, "=global.scrape_interval", "", 100, day},
    {"scrape_configs[].scrape_timeout", Type::duration, "=global.scrape_timeout", "At most the interval.", 10, day},
    {"scrape_configs[].metrics_path", Type::text, "/metrics", "Path on the target."},
    {"scrape_configs[].scheme", Type::choice, "http", "", 0, 0, "http https"},
    {"scrape_configs[].params", Type::params, "", "Query parameters: a list of values per name."},
    {"scrape_configs[].honor_labels", Type::flag, "false", "Whether the target's own labels win over the job's."},
    {"scrape_configs[].honor_timestamps", Type::flag, "true", "Whether the target's own timestamps are used."},
    {"scrape_configs[].sample_limit", Type::count, "0", "Samples per scrape; more fail the scrape. 0: no limit.", 0, 1e12},
    {"scrape_configs[].body_size_limit", Type::size, "64MiB", "Size of an answer after decompression.", 1024, 4 * gib},
    {"scrape_configs[].basic_auth", Type::section, optional, "Credentials for basic authentication."},
    {"scrape_configs[].basic_auth.username", Type::text, required, ""},
    {"scrape_configs[].basic_auth.password_file", Type::text, "", "File that holds the password; read at every scrape."},
    {"scrape_configs[].authorization", Type::section, optional, "Authorization header; not together with basic_auth."},
    {"scrape_configs[].authorization.type", Type::text, "Bearer", ""},
    {"scrape_configs[].authorization.credentials_file", Type::text, required, "File that holds the credentials; read at every scrape."},
    {"scrape_configs[].static_configs", Type::list, "", "Targets that are listed here."},
    {"scrape_configs[].static_configs[].targets", Type::texts, "", "host:port each."},
    {"scrape_configs[].static_configs[].labels", Type::label_pairs, "", "Labels of these targets."},
    {"scrape_configs[].file_sd_configs", Type::list, "", "Targets from files that something else writes."},
    {"scrape_configs[].file_sd_configs[].files", Type::texts, required, "Globs of JSON or YAML files; relative ones are beside this file."},
    {"scrape_configs[].file_sd_configs[].refresh_interval", Type::duration, "5m", "How often the files are read.", second, day},
    {"scrape_configs[].relabel_configs", Type::list, "", "Rewrites or drops targets before they are scraped."},
    {"scrape_configs[].relabel_configs[].source_labels", Type::texts, "", ""},
    {"scrape_configs[].relabel_configs[].separator", Type::text, ";", "Between the values of source_labels."},
    {"scrape_configs[].relabel_configs[].regex", Type::text, "(.*)", "RE2, anchored at both ends."},
    {"scrape_configs[].relabel_configs[].modulus", Type::count, "0", "Of hashmod.", 0, 9e15},
    {"scrape_configs[].relabel_configs[].target_label", Type::text, "", "Of replace, hashmod, lowercase, uppercase, keepequal, dropequal."},
    {"scrape_configs[].relabel_configs[].replacement", Type::text, "$1", ""},
    {"scrape_configs[].relabel_configs[].action", Type::choice, "replace", "", 0, 0, relabel_actions},
    {"scrape_configs[].metric_relabel_configs", Type::list, "", "Rewrites or drops samples after the scrape."},
    {"scrape_configs[].metric_relabel_configs[].source_labels", Type::texts, "", ""},
    {"scrape_configs[].metric_relabel_configs[].separator", Type::text, ";", "Between the values of source_labels."},
    {"scrape_configs[].metric_relabel_configs[].regex", Type::text, "(.*)", "RE2, anchored at both ends."},
    {"scrape_configs[].metric_relabel_configs[].modulus", Type::count, "0", "Of hashmod.", 0, 9e15},
    {"scrape_configs[].metric_relabel_configs[].target_label", Type::text, "", "Of replace, hashmod, lowercase, uppercase, keepequal, dropequal."},
    {"scrape_configs[].metric_relabel_configs[].replacement", Type::text, "$1", ""},
    {"scrape_configs[].metric_relabel_configs[].action", Type::choice, "replace", "", 0, 0, relabel_actions},

    {"rule_files", Type::texts, "", "Globs of Prometheus rule files; relative ones are beside this file."},
    {"groups", Type::list, "", "Prometheus rule groups, verbatim; also what a rule file holds."},
    {"groups[].name", Type::text, required, "Unique in its file."},
    {"groups[].interval", Type::duration, "=global.evaluation_interval", "", 100, day},
    {"groups[].query_offset", Type::duration, "0s", "How far before its time the group looks, for data that come late.", 0, day},
    {"groups[].limit", Type::count, "0", "Alerts or series that one rule may produce; 0: no limit.", 0, 1e9},
    {"groups[].labels", Type::label_pairs, "", "Labels of every rule of the group."},
    {"groups[].rules", Type::list, "", ""},
    {"groups[].rules[].record", Type::text, "", "Name of the series that the result is written to. One of record and alert."},
    {"groups[].rules[].alert", Type::text, "", "Name of the alert."},
    {"groups[].rules[].expr", Type::expression, required, "PromQL."},
    {"groups[].rules[].for", Type::duration, "0s", "How long the condition must hold before the alert fires.", 0, 100 * year},
    {"groups[].rules[].keep_firing_for", Type::duration, "0s", "How long the alert goes on after the condition is gone.", 0, 100 * year},
    {"groups[].rules[].labels", Type::label_pairs, "", "Labels to add; templates in alerts."},
    {"groups[].rules[].annotations", Type::label_pairs, "", "Texts for people; templates."},

    {"slos", Type::list, "", "Service level objectives with burn-rate alerts."},
    {"slos[].name", Type::text, required, "Unique together with the service."},
    {"slos[].service", Type::text, required, "What it is promised for: a model or a service."},
    {"slos[].description", Type::text, "", ""},
    {"slos[].objective", Type::expression, required, "Percent of good events, above 0 and below 100: 99.9."},
    {"slos[].window", Type::duration, "30d", "Period over which the objective holds.", hour, year},
    {"slos[].sli", Type::section, required, "How good and bad are counted."},
    {"slos[].sli.error_query", Type::expression, required, "PromQL that counts bad events, with {{.window}} as its range."},
    {"slos[].sli.total_query", Type::expression, required, "PromQL that counts all events, with {{.window}} as its range."},
    {"slos[].interval", Type::duration, "=global.evaluation_interval", "", 100, day},
    {"slos[].windows", Type::list, "", "Burn-rate alerts; when empty, those of the SRE workbook scaled to `window`."},
    {"slos[].windows[].severity", Type::text, required, "Value of the alert's `severity` label: page, ticket."},
    {"slos[].windows[].long", Type::duration, required, "The window that must burn.", second, year},
    {"slos[].windows[].short", Type::duration, required, "The window that must still burn; shorter than `long`.", second, year},
    {"slos[].windows[].factor", Type::number, required, "Times the rate that would spend the budget exactly in `window`.", 1e-6, 1e6},
    {"slos[].alert", Type::section, "", "What its alerts are called and carry."},
    {"slos[].alert.name", Type::text, "", "Name of the alert; the SLO's name when empty."},
    {"slos[].alert.labels", Type::label_pairs, "", ""},
    {"slos[].alert.annotations", Type::label_pairs, "", ""},

    {"drift", Type::list, "", "Rules that compare a model's recent features with a reference."},
    {"drift[].name", Type::text, required, "Unique; the name of the alert."},
    {"drift[].model", Type::text, required, ""},
    {"drift[].features", Type::texts, "", "All features when empty."},
    {"drift[].statistic", Type::choice, "psi", "", 0, 0, "psi ks chi_square missing_rate"},
    {"drift[].reference", Type::text, required, "Name of the reference to compare with."},
    {"drift[].where", Type::expression, "", "Predicate over columns: only these rows count."},
    {"drift[].window", Type::duration, "1h", "How far back the rows reach.", second, year},
    {"drift[].interval", Type::duration, "=global.evaluation_interval", "", 100, day},
    {"drift[].threshold", Type::number, "0.25", "Fires from it on; for chi_square it is the effect size (Cramer's V).", 0, 1e9},
    {"drift[].consecutive", Type::count, "1", "Evaluations in a row that must be above the threshold.", 1, 10'000},
    {"drift[].rows_min", Type::count, "200", "With fewer rows the verdict is: insufficient data.", 1, 1e12},
    {"drift[].labels", Type::label_pairs, "", ""},
    {"drift[].annotations", Type::label_pairs, "", ""},

    {"receivers", Type::list, "", "Where notifications go, as in Alertmanager."},
    {"receivers[].name", Type::text, required, "Unique; what routes refer to."},
    {"receivers[].webhook_configs", Type::list, "", "HTTP endpoints that get Alertmanager's version-4 JSON."},
    {"receivers[].webhook_configs[].url", Type::url, required, "", 0, 0, "", true},
    {"receivers[].webhook_configs[].send_resolved", Type::flag, "true", "Whether the end of an alert is sent as well."},
    {"receivers[].webhook_configs[].max_alerts", Type::count, "0", "Alerts per message; 0: all.", 0, 1e6},
    {"receivers[].webhook_configs[].timeout", Type::duration, "10s", "For one delivery attempt.", 10, 10 * minute},
    {"receivers[].webhook_configs[].headers", Type::pairs, "", "Headers to send along.", 0, 0, "", true},

    {"route", Type::section, optional, "Which alerts go to which receiver, as in Alertmanager. `routes` holds routes of the same form."},
    {"route.receiver", Type::text, "", "Required at the root; below it, the parent's when absent."},
    {"route.matchers", Type::texts, "", "All must hold: `severity=\"page\"`, `team=~\"a|b\"`. None at the root."},
    {"route.group_by", Type::texts, "", "Labels that make one message of several alerts; `...` for every label. The parent's when absent."},
    {"route.group_wait", Type::duration, optional, "Before the first message of a group; 30s at the root, else the parent's.", 0, day},
    {"route.group_interval", Type::duration, optional, "Between messages of a group that changed; 5m at the root, else the parent's.", second, year},
    {"route.repeat_interval", Type::duration, optional, "Before an unchanged group is sent again; 4h at the root, else the parent's.", second, year},
    {"route.continue", Type::flag, "false", "Whether the next sibling is tried after a match."},
    {"route.routes", Type::list, "", "The first that matches takes the alert."},
};

// A file of its own, read by `plumbline test rules`; promtool's format.
constexpr Option rule_test_table[] = {
    {"rule_test.rule_files", Type::texts, "", "Globs of rule files or configurations; relative ones are beside this file."},
    {"rule_test.evaluation_interval", Type::duration, "1m", "Every group is evaluated so often, whatever its own interval; 0: 1m.", 0, 100 * day},
    {"rule_test.fuzzy_compare", Type::flag, "false", "Whether values may differ in the last bit of the mantissa."},
    {"rule_test.group_eval_order", Type::texts, "", "Groups in the order of their evaluation; `slo/<service>/<name>` for an SLO."},
    {"rule_test.tests", Type::list, "", ""},
    {"rule_test.tests[].name", Type::text, "", "What `--run` looks at."},
    {"rule_test.tests[].interval", Type::duration, "=rule_test.evaluation_interval", "Between two values of a series; 0: as when absent.", 0, 100 * day},
    {"rule_test.tests[].start_timestamp", Type::text, "0", "Time of the first value and evaluation: Unix seconds or RFC 3339."},
    {"rule_test.tests[].input_series", Type::list, "", ""},
    {"rule_test.tests[].input_series[].series", Type::text, required, "Name and labels: `up{job=\"a\"}`."},
    {"rule_test.tests[].input_series[].values", Type::expression, "", "Series notation: `1+2x3 _x2 stale {{count:1 sum:2 buckets:[1]}}x4`."},
    {"rule_test.tests[].external_labels", Type::label_pairs, "", "For templates."},
    {"rule_test.tests[].external_url", Type::text, "", "For templates."},
    {"rule_test.tests[].alert_rule_test", Type::list, "", ""},
    {"rule_test.tests[].alert_rule_test[].eval_time", Type::duration, "0s", "Time from the start; the last evaluation until then counts.", 0, 100 * year},
    {"rule_test.tests[].alert_rule_test[].alertname", Type::text, required, "Name of the alert, of one rule or of several."},
    {"rule_test.tests[].alert_rule_test[].exp_alerts", Type::list, "", "All that are firing; none when empty."},
    {"rule_test.tests[].alert_rule_test[].exp_alerts[].exp_labels", Type::pairs, "", "Without `alertname`."},
    {"rule_test.tests[].alert_rule_test[].exp_alerts[].exp_annotations", Type::pairs, "", ""},
    {"rule_test.tests[].promql_expr_test", Type::list, "", ""},
    {"rule_test.tests[].promql_expr_test[].expr", Type::text, required, "PromQL."},
    {"rule_test.tests[].promql_expr_test[].eval_time", Type::duration, "0s", "Time from the start.", 0, 100 * year},
    {"rule_test.tests[].promql_expr_test[].exp_samples", Type::list, "", "All of the result, in any order."},
    {"rule_test.tests[].promql_expr_test[].exp_samples[].labels", Type::text, "", "Name and labels: `up{job=\"a\"}`."},
    {"rule_test.tests[].promql_expr_test[].exp_samples[].value", Type::text, "0", "A number; NaN equals nothing."},
    {"rule_test.tests[].promql_expr_test[].exp_samples[].histogram", Type::text, "", "Native histogram in series notation; stands for `value`."},
};
// clang-format on

struct Hint {
  std::string_view name, text;
};
constexpr Hint hints[] = {
    {"query_threads", "write 'concurrency' under 'query'"},
    {"remote_write", "forwarding to other stores is not supported yet"},
    {"remote_read", "reading from other stores is not supported yet"},
    {"alerting", "alerts are delivered by this daemon itself: write 'receivers' and 'route'"},
    {"scrape_config_files", "not supported yet; write the jobs under 'scrape_configs'"},
    {"tls_config", "client certificates and custom authorities are not supported yet"},
    {"http_config", "not supported yet; 'headers' of a webhook can carry an Authorization"},
    {"password", "secrets do not belong in this file; write it to a file and name that in 'password_file'"},
    {"credentials", "secrets do not belong in this file; write them to a file and name that in 'credentials_file'"},
    {"bearer_token", "secrets do not belong in this file; use 'authorization' with 'credentials_file'"},
    {"bearer_token_file", "use 'authorization' with 'credentials_file'"},
    {"kubernetes_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"consul_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"dns_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"ec2_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"http_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"docker_sd_configs", "not supported yet; 'file_sd_configs' is"},
    {"email_configs", "not supported yet; 'webhook_configs' is"},
    {"slack_configs", "not supported yet; 'webhook_configs' is"},
    {"pagerduty_configs", "not supported yet; 'webhook_configs' is"},
    {"opsgenie_configs", "not supported yet; 'webhook_configs' is"},
    {"msteams_configs", "not supported yet; 'webhook_configs' is"},
    {"telegram_configs", "not supported yet; 'webhook_configs' is"},
    {"inhibit_rules", "inhibition is not supported yet"},
    {"templates", "notification templates are not supported yet"},
    {"time_intervals", "time intervals are not supported yet"},
    {"mute_time_intervals", "time intervals are not supported yet"},
    {"active_time_intervals", "time intervals are not supported yet"},
    {"match", "write 'matchers': [name=\"value\"]"},
    {"match_re", "write 'matchers': [name=~\"value\"]"},
    {"<<", "merge keys are not supported; write the keys out"},
};

std::string_view type_text(Type type) {
  switch (type) {
    case Type::section: return "mapping";
    case Type::list: return "list of mappings";
    case Type::text: return "text";
    case Type::expression: return "text";
    case Type::choice: return "choice";
    case Type::flag: return "true or false";
    case Type::count: return "whole number";
    case Type::number: return "number";
    case Type::size: return "size";
    case Type::duration: return "duration";
    case Type::sync: return "`always`, `never` or a duration";
    case Type::address: return "host:port";
    case Type::url: return "URL";
    case Type::texts: return "list of text";
    case Type::addresses: return "list of host:port";
    case Type::pairs: return "mapping of text to text";
    case Type::label_pairs: return "mapping of label name to text";
    case Type::params: return "mapping of text to list of text";
  }
  return "";
}

// One cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::span<const Option> options() { return table; }
std::span<const Option> rule_test_options() { return rule_test_table; }

const Option* find_option(std::string_view path) {
  static const std::map<std::string_view, const Option*> index = [] {
    std::map<std::string_view, const Option*> built;
    for (const auto& each : {options(), rule_test_options()})
      for (const Option& option : each) built.emplace(option.path, &option);
    return built;
  }();
  const auto found = index.find(path);
  return found == index.end() ? nullptr : found->second;
}

std::vector<std::string_view> names_below(std::string_view prefix) {
  std::vector<std::string_view> names;
  for (const auto& each : {options(), rule_test_options()})
    for (const Option& option : each) {
      std::string_view rest = option.path;
      if (!prefix.empty()) {
        if (!rest.starts_with(prefix) || rest.size() <= prefix.size() || rest[prefix.size()] != '.') continue;
        rest.remove_prefix(prefix.size() + 1);
      }
      if (rest.find_first_of(".[") == std::string_view::npos) names.push_back(rest);
    }
  return names;
}

std::string_view unsupported_hint(std::string_view name) {
  const auto found = std::ranges::find(hints, name, &Hint::name);
  return found == std::end(hints) ? std::string_view{} : found->text;
}

std::string render_reference() {
  std::string out =
      "# Configuration reference\n\n"
      "Rendered from the option table in `options.cpp`, which the loader itself reads; do not edit by hand.\n\n"
      "Durations are written as in Prometheus (`100ms`, `15s`, `1h30m`, `30d`); sizes as `64MiB` or `64MB` (both 2^20),\n"
      "or a plain number of bytes. An option that is not listed is refused. `--set path=value` on the command line\n"
      "replaces a value before anything is checked, for example `--set storage.retention=90d` or\n"
      "`--set scrape_configs[0].scrape_interval=5s`.\n";
  constexpr std::string_view columns = "| option | type | default | meaning |\n|---|---|---|---|\n";
  constexpr std::string_view rule_test_prefix = "rule_test.";
  std::string_view section;
  const auto row = [&](const Option& option, std::string_view path) {
    std::string type(type_text(option.type));
    if (option.type == Type::choice) {
      type = "one of `";
      for (const char c : option.choices) type += c == ' ' ? std::string("`, `") : std::string(1, c);
      type += '`';
    }
    std::string fallback;
    if (option.fallback == required) fallback = "required";
    else if (option.fallback == optional || option.fallback.empty()) fallback = "";
    else if (option.fallback.starts_with("=rule_test.")) fallback = "that of `" + std::string(option.fallback.substr(rule_test_prefix.size() + 1)) + "`";
    else if (option.fallback.starts_with('=')) fallback = "that of `" + std::string(option.fallback.substr(1)) + "`";
    else fallback = "`" + std::string(option.fallback) + "`";
    out += "| `" + cell(path) + "` | " + cell(type) + " | " + cell(fallback) + " | " + cell(option.help) + " |\n";
  };
  for (const Option& option : table) {
    const std::string_view top = option.path.substr(0, option.path.find_first_of(".["));
    if (top != section) {
      section = top;
      out += "\n## " + std::string(top) + "\n\n" + std::string(columns);
    }
    row(option, option.path);
  }
  out += "\n## Rule test files\n\n`plumbline test rules FILE...` reads promtool's format: a file of its own, no part of a configuration.\n\n" +
         std::string(columns);
  for (const Option& option : rule_test_table) row(option, option.path.substr(rule_test_prefix.size()));
  return out;
}

}  // namespace plumbline::config
