// Config -> each module's own options. The only place that knows both sides.
#pragma once

#include <string>
#include <vector>

#include "alerting/alerting.hpp"
#include "config/config.hpp"
#include "config/loader.hpp"
#include "config/rule_test_file.hpp"
#include "daemon/runtime/http_server.hpp"
#include "ingest/ingest.hpp"
#include "query/query.hpp"
#include "storage/storage.hpp"

namespace plumbline::daemon {

// Fails: every selector that does not parse, with its place.
config::Outcome<storage::Options> storage_options(const config::Config& config);
query::EngineOptions engine_options(const config::Config& config);
// Fails: a cors_origin that does not compile, with its place.
config::Outcome<runtime::ServerOptions> server_options(const config::Config& config);
ingest::Limits ingest_limits(const config::Config& config);

// Fails: every relabelling rule that does not compile, with its place.
config::Outcome<std::vector<ingest::ScrapeJob>> scrape_jobs(const config::Config& config);
// Where links lead: the option's address, or the first that HTTP listens on.
std::string external_url(const config::Config& config);
// `rule_files` are the groups of config.rule_files. Fails: what the types of alerting cannot say (an unknown statistic).
config::Outcome<alerting::RuleSet> rule_set(const config::Config& config, std::vector<config::RuleGroup> rule_files);

// Everything that `plumbline check` and a reload look at before anything is changed.
struct CheckedConfig {
  config::Config config;
  storage::Options storage;
  runtime::ServerOptions server;
  std::vector<ingest::ScrapeJob> jobs;
  alerting::RuleSet rules;
};
// Loads, maps and checks the file (the defaults when `file` is empty), its rule files, PromQL and templates.
// Fails: one line per problem, each starting with its place.
std::expected<CheckedConfig, std::vector<std::string>> load_and_check(const std::string& file,
                                                                      const config::Overrides& overrides);

// A rule test file with the rules of the files that it names: rule files, or configurations (their groups, rule files, SLOs and
// drift rules count). `warnings` are globs that name nothing.
// Fails: one line per problem.
std::expected<alerting::RuleTestFile, std::vector<std::string>> load_rule_tests(const std::string& file,
                                                                                std::vector<std::string>& warnings);

}  // namespace plumbline::daemon
