#include "daemon/mapping.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <thread>

#include <unistd.h>

#include "daemon/external_url.hpp"
#include "query/promql/ast.hpp"

namespace plumbline::daemon {
namespace {

std::string host_name() {
  char name[256] = {};  // longer than Linux allows
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

alerting::Place place_of(const config::Place& place) { return {place.file, place.line, place.column}; }

alerting::GroupSpec group_of(const config::RuleGroup& group) {
  alerting::GroupSpec out;
  out.name = group.name;
  out.file = group.file;
  out.interval = group.interval;
  out.query_offset = group.query_offset;
  out.limit = group.limit;
  out.labels = group.labels;
  out.place = place_of(group.place);
  for (const config::Rule& rule : group.rules)
    out.rules.push_back({.record = rule.record,
                         .alert = rule.alert,
                         .expr = rule.expr,
                         .hold = rule.hold,
                         .keep_firing_for = rule.keep_firing_for,
                         .labels = rule.labels,
                         .annotations = rule.annotations,
                         .place = place_of(rule.place),
                         .expr_place = place_of(rule.expr_place)});
  return out;
}

alerting::SloSpec slo_of(const config::Slo& slo) {
  alerting::SloSpec out;
  out.name = slo.name;
  out.service = slo.service;
  out.description = slo.description;
  out.objective = slo.objective;
  out.window = slo.window;
  out.error_query = slo.error_query;
  out.total_query = slo.total_query;
  out.interval = slo.interval;
  for (const config::SloWindow& w : slo.windows)
    out.windows.push_back({w.severity, w.long_window, w.short_window, w.factor});
  out.alert_name = slo.alert_name;
  out.labels = slo.alert_labels;
  out.annotations = slo.alert_annotations;
  out.place = place_of(slo.place);
  out.error_place = place_of(slo.error_place);
  out.total_place = place_of(slo.total_place);
  return out;
}

Result<alerting::DriftSpec> drift_of(const config::Drift& drift) {
  alerting::DriftSpec out;
  PLUMBLINE_TRY(out.statistic, query::parse_statistic(drift.statistic));
  out.name = drift.name;
  out.model = drift.model;
  out.features = drift.features;
  out.reference = drift.reference;
  out.where = drift.where;
  out.where_place = place_of(drift.where_place);
  out.window = drift.window;
  out.interval = drift.interval;
  out.threshold = drift.threshold;
  out.consecutive = drift.consecutive;
  out.rows_min = drift.rows_min;
  out.labels = drift.labels;
  out.annotations = drift.annotations;
  out.place = place_of(drift.place);
  return out;
}

alerting::ReceiverSpec receiver_of(const config::Receiver& receiver) {
  alerting::ReceiverSpec out;
  out.name = receiver.name;
  out.place = place_of(receiver.place);
  for (const config::Webhook& w : receiver.webhook_configs)
    out.webhooks.push_back({w.url, w.send_resolved, w.max_alerts, w.timeout, w.headers, place_of(w.place)});
  return out;
}

alerting::RouteSpec route_of(const config::Route& route) {
  alerting::RouteSpec out;
  out.receiver = route.receiver;
  out.matchers = route.matchers;
  out.group_by = route.group_by;
  out.group_wait = route.group_wait;
  out.group_interval = route.group_interval;
  out.repeat_interval = route.repeat_interval;
  out.continue_matching = route.continue_matching;
  for (const config::Route& child : route.routes) out.routes.push_back(route_of(child));
  out.place = place_of(route.place);
  return out;
}

alerting::RuleTest rule_test_of(const config::RuleTestGroup& group) {
  alerting::RuleTest out;
  out.name = group.name;
  out.interval = group.interval;
  out.start_ms = group.start_ms;
  out.external_labels = group.external_labels;
  out.external_url = group.external_url;
  for (const config::RuleTestSeries& s : group.input_series)
    out.input_series.push_back({s.series, s.values, place_of(s.place), place_of(s.values_place)});
  for (const config::RuleTestAlertCase& c : group.alert_cases) {
    alerting::AlertTestCase& test = out.alert_cases.emplace_back();
    test.eval_time = c.eval_time;
    test.alertname = c.alertname;
    test.place = place_of(c.place);
    for (const config::RuleTestAlert& a : c.alerts) test.alerts.push_back({a.labels, a.annotations});
  }
  for (const config::RuleTestExprCase& c : group.expr_cases) {
    alerting::ExpressionTestCase& test = out.expression_cases.emplace_back();
    test.expr = c.expr;
    test.eval_time = c.eval_time;
    for (const config::RuleTestSample& s : c.samples) test.samples.push_back({s.labels, s.value, s.histogram});
  }
  return out;
}

std::vector<ingest::RelabelRule> relabel_of(const std::vector<config::Relabel>& rules, config::Problems& problems) {
  std::vector<ingest::RelabelRule> out;
  for (const config::Relabel& rule : rules) {
    const auto action = ingest::parse_relabel_action(rule.action);
    if (!action) {
      problems.push_back({rule.place, action.error().message});
      continue;
    }
    ingest::RelabelRule mapped{rule.source_labels, rule.separator,    rule.regex, rule.modulus,
                               rule.target_label,  rule.replacement, *action};
    if (const auto compiled = ingest::Relabeller::make({mapped}); !compiled)
      problems.push_back({rule.place, compiled.error().message});
    out.push_back(std::move(mapped));
  }
  return out;
}

}  // namespace

config::Outcome<storage::Options> storage_options(const config::Config& config) {
  config::Problems problems;
  storage::Options out;
  out.path = config.storage.path;
  out.backup_directory = config.storage.backup_directory;
  switch (config.journal.sync.mode) {
    case config::JournalSync::Mode::always: out.journal_sync.policy = storage::SyncPolicy::always; break;
    case config::JournalSync::Mode::interval: out.journal_sync.policy = storage::SyncPolicy::interval; break;
    case config::JournalSync::Mode::never: out.journal_sync.policy = storage::SyncPolicy::never; break;
  }
  out.journal_sync.interval = config.journal.sync.interval;
  out.retention_series = config.storage.retention;
  out.retention_events = config.storage.retention_events;
  out.future_max = config.storage.future_max;
  out.series_active_max = config.storage.series_active_max;
  out.series_per_metric_max = config.storage.series_per_metric_max;
  for (const config::RetentionOverride& r : config.storage.retention_overrides) {
    auto matchers = query::promql::parse_selector(r.match);
    if (matchers)
      out.retention_overrides.push_back({std::move(*matchers), r.keep});
    else
      problems.push_back({r.place, "'match': " + matchers.error().message});
  }
  out.downsample_5m_retention = config.storage.downsample_5m_retention;
  out.downsample_1h_retention = config.storage.downsample_1h_retention;
  out.head_bytes_max = config.storage.head_bytes_max;
  out.head_age_max = config.storage.head_age_max;
  out.block_cache_bytes = config.storage.block_cache_bytes;
  out.decoded_cache_bytes = config.storage.decoded_cache_bytes;
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return out;
}

query::EngineOptions engine_options(const config::Config& config) {
  query::EngineOptions out;
  out.lookback = config.query.lookback;
  out.timeout = config.query.timeout;
  out.default_step = config.global.evaluation_interval;
  out.samples_max = config.query.samples_max;
  out.series_max = config.query.series_max;
  out.workers = query::make_workers(std::max(std::thread::hardware_concurrency(), 1u) - 1);
  return out;
}

config::Outcome<runtime::ServerOptions> server_options(const config::Config& config) {
  const config::ServerLimits& limits = config.server.limits;
  runtime::ServerOptions out;
  out.listen = config.server.http_listen;
  out.limits.connections_max = limits.connections_max;
  out.limits.connections_per_ip_max = limits.connections_per_ip_max;
  out.limits.header_timeout = limits.header_timeout;
  out.limits.body_timeout = limits.body_timeout;
  out.limits.body_rate_min = limits.body_rate_min;
  out.limits.idle_timeout = limits.idle_timeout;
  out.limits.queue_length = limits.queue_length;
  out.ingest_threads = limits.ingest_threads;
  out.query_threads = config.query.concurrency;
  // A query waits for the disk some of its time; four, so that on one core two slow ones leave room.
  if (out.query_threads == 0) out.query_threads = std::max<std::size_t>(4, 2 * std::size_t{std::thread::hardware_concurrency()});
  out.admin_threads = limits.admin_threads;
  if (config.server.cors_origin.empty()) return out;
  auto origins = model::Matcher::make(model::MatchOp::regex, "origin", config.server.cors_origin);
  if (!origins) return std::unexpected(config::Problems{{config.cors_origin_place, "'cors_origin': " + origins.error().message}});
  out.allows_origin = [origins = std::move(*origins)](std::string_view origin) { return origins.matches(origin); };
  return out;
}

ingest::Limits ingest_limits(const config::Config& config) {
  return {.body_bytes_max = config.server.limits.body_bytes_max,
          .inflated_bytes_max = config.server.limits.inflated_bytes_max};
}

config::Outcome<std::vector<ingest::ScrapeJob>> scrape_jobs(const config::Config& config) {
  config::Problems problems;
  std::vector<ingest::ScrapeJob> out;
  for (const config::ScrapeConfig& c : config.scrape_configs) {
    ingest::ScrapeJob job;
    job.job_name = c.job_name;
    job.interval = c.scrape_interval;
    job.timeout = c.scrape_timeout;
    job.metrics_path = c.metrics_path;
    job.scheme = c.scheme;
    job.params = c.params;
    job.honor_labels = c.honor_labels;
    job.honor_timestamps = c.honor_timestamps;
    job.sample_limit = c.sample_limit;
    if (c.body_size_limit != 0) job.body_bytes_max = c.body_size_limit;
    if (c.basic_auth) {
      job.basic_auth_user = c.basic_auth->username;
      job.basic_auth_password_file = c.basic_auth->password_file;
    }
    if (c.authorization) {
      job.authorization_type = c.authorization->type;
      job.authorization_credentials_file = c.authorization->credentials_file;
    }
    for (const config::TargetGroup& group : c.static_configs) job.static_configs.push_back({group.targets, group.labels});
    for (const config::FileSd& sd : c.file_sd_configs) {
      job.file_sd_files.insert(job.file_sd_files.end(), sd.files.begin(), sd.files.end());
      // One refresh per job: the shortest that any of its file_sd_configs asks for.
      job.file_sd_refresh = &sd == &c.file_sd_configs.front() ? sd.refresh_interval
                                                               : std::min(job.file_sd_refresh, sd.refresh_interval);
    }
    job.relabel = relabel_of(c.relabel_configs, problems);
    job.metric_relabel = relabel_of(c.metric_relabel_configs, problems);
    out.push_back(std::move(job));
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return out;
}

std::string external_url(const config::Config& config) {
  return config.external_url.empty() ? default_external_url(config.server.http_listen, host_name()) : config.external_url;
}

config::Outcome<alerting::RuleSet> rule_set(const config::Config& config, std::vector<config::RuleGroup> rule_files) {
  config::Problems problems;
  alerting::RuleSet out;
  for (const config::RuleGroup& group : config.groups) out.groups.push_back(group_of(group));
  for (const config::RuleGroup& group : rule_files) out.groups.push_back(group_of(group));
  for (const config::Slo& slo : config.slos) out.slos.push_back(slo_of(slo));
  for (const config::Drift& drift : config.drift) {
    auto spec = drift_of(drift);
    if (spec) out.drift.push_back(std::move(*spec));
    else problems.push_back({drift.place, spec.error().message});
  }
  for (const config::Receiver& receiver : config.receivers) out.receivers.push_back(receiver_of(receiver));
  if (config.route) out.route = route_of(*config.route);
  out.external_labels = config.global.external_labels;
  out.external_url = external_url(config);
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return out;
}

std::expected<CheckedConfig, std::vector<std::string>> load_and_check(const std::string& file,
                                                                      const config::Overrides& overrides) {
  std::vector<std::string> errors;
  const auto add = [&](const config::Problems& problems) {
    for (const config::Problem& p : problems) errors.push_back(p.str());
  };
  auto loaded = file.empty() ? config::load_defaults(overrides) : config::load_file(file, overrides);
  if (!loaded) {
    add(loaded.error());
    return std::unexpected(std::move(errors));
  }
  CheckedConfig out;
  out.config = std::move(*loaded);
  std::vector<config::RuleGroup> groups;
  if (auto files = config::load_rule_files(out.config)) groups = std::move(*files);
  else add(files.error());
  if (auto storage = storage_options(out.config)) out.storage = std::move(*storage);
  else add(storage.error());
  if (auto server = server_options(out.config)) out.server = std::move(*server);
  else add(server.error());
  if (auto jobs = scrape_jobs(out.config)) out.jobs = std::move(*jobs);
  else add(jobs.error());
  if (auto rules = rule_set(out.config, std::move(groups))) out.rules = std::move(*rules);
  else add(rules.error());
  for (std::string& e : alerting::check(out.rules)) errors.push_back(std::move(e));
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return out;
}

std::expected<alerting::RuleTestFile, std::vector<std::string>> load_rule_tests(const std::string& file,
                                                                                std::vector<std::string>& warnings) {
  std::vector<std::string> errors;
  const auto add = [&](const config::Problems& problems) {
    for (const config::Problem& p : problems) errors.push_back(p.str());
  };
  const auto loaded = config::load_rule_test_file(file);
  if (!loaded) {
    add(loaded.error());
    return std::unexpected(std::move(errors));
  }
  for (const std::string& glob : loaded->unmatched) warnings.push_back("no file match pattern " + glob);
  alerting::RuleTestFile out;
  out.evaluation_interval = loaded->evaluation_interval;
  out.fuzzy_compare = loaded->fuzzy_compare;
  out.group_eval_order = loaded->group_eval_order;
  for (const std::string& path : loaded->rule_files) {
    const auto config = config::load_file(path);
    auto groups = config ? config::load_rule_files(*config) : config::Outcome<std::vector<config::RuleGroup>>();
    auto rules = config && groups ? rule_set(*config, std::move(*groups)) : config::Outcome<alerting::RuleSet>();
    if (!config) add(config.error());
    else if (!groups) add(groups.error());
    else if (!rules) add(rules.error());
    else {
      std::ranges::move(rules->groups, std::back_inserter(out.rules.groups));
      std::ranges::move(rules->slos, std::back_inserter(out.rules.slos));
      std::ranges::move(rules->drift, std::back_inserter(out.rules.drift));
    }
  }
  for (const config::RuleTestGroup& group : loaded->groups) out.tests.push_back(rule_test_of(group));
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return out;
}

}  // namespace plumbline::daemon
