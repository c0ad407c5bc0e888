// plumbline: parses the command line and calls the subcommand.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "daemon/application.hpp"
#include "daemon/commands.hpp"

int main(int argc, char** argv) {
  using namespace plumbline;
  CLI::App app{"Plumbline: one daemon that tells whether models in production still are what they were"};
  app.require_subcommand(1);
  const query::BuildInfo build = daemon::build_info();
  const std::string versions = fmt::format("plumbline {} (revision {}, on-disk format {})", build.version, build.revision, storage::format_version);
  app.set_version_flag("--version", versions);

  std::string config_file, data_dir, grpc_listen;
  std::vector<std::string> http_listen, sets;
  CLI::App* serve = app.add_subcommand("serve", "run the daemon in the foreground");
  serve->add_option("--config", config_file, "YAML configuration (config/reference.md); without one the defaults hold");
  serve->add_option("--data-dir", data_dir, "same as --set storage.path=DIR");
  serve->add_option("--http-listen", http_listen, "address:port, may be repeated; replaces the configured list");
  const CLI::Option* const grpc_option = serve->add_option("--grpc-listen", grpc_listen, "address:port; same as --set server.grpc_listen=ADDR");
  serve->add_option("--set", sets, "path=value: overrides one option of the configuration, may be repeated");

  std::string check_file;
  CLI::App* check = app.add_subcommand("check", "validate a configuration and its rules; exit 1 with file:line:col errors");
  check->add_option("file", check_file, "configuration or Prometheus rule file")->required();

  daemon::QueryArguments query_arguments;
  CLI::App* query = app.add_subcommand("query", "ask a running daemon a PromQL question");
  query->add_option("expression", query_arguments.expression, "PromQL")->required();
  query->add_option("--url", query_arguments.url, "the daemon")->capture_default_str();
  query->add_option("--time", query_arguments.time, "evaluation time, RFC 3339 or Unix seconds; default now");
  CLI::Option* start = query->add_option("--start", query_arguments.start, "start of a range query");
  query->add_option("--end", query_arguments.end, "end of a range query; default now")->needs(start);
  query->add_option("--step", query_arguments.step, "step of a range query; default 60s")->needs(start);
  query->add_option("--format", query_arguments.format, "table; json, the API's answer; csv, a column per label; promql, a line per sample")
      ->check(CLI::IsMember({"table", "json", "csv", "promql"}))
      ->capture_default_str();
  query->footer("Exit status: 0 answered; 1 the daemon refused the question; 2 it could not be asked; above 100 arguments that do not parse.");

  std::vector<std::string> test_files, test_names;
  CLI::App* test = app.add_subcommand("test", "run unit tests");
  test->require_subcommand(1);
  CLI::App* test_rules = test->add_subcommand("rules", "run promtool's rule tests; exit 0 when all pass, 1 when not");
  test_rules->add_option("files", test_files, "rule test files (config/reference.md)")->required();
  test_rules->add_option("--run", test_names, "only tests whose name matches the regular expression; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  test_rules->footer("Exit status: 0 every test passed; 1 a file failed; above 100 arguments that do not parse.");

  std::string backup_name, backup_url = query_arguments.url;
  CLI::App* backup = app.add_subcommand("backup", "ask a running daemon for a backup of everything it has acknowledged");
  backup->add_option("name", backup_name, "a directory of this name is made in the daemon's storage.backup_directory")->required();
  backup->add_option("--url", backup_url, "the daemon")->capture_default_str();

  std::string backup_path, restored_path;
  CLI::App* restore = app.add_subcommand("restore", "make a data directory of a backup, and verify it");
  restore->add_option("backup", backup_path, "the backup's directory")->required();
  restore->add_option("data_dir", restored_path, "an empty directory, or one that is not there")->required();

  std::string verified_path;
  bool salvage = false;
  CLI::App* verify = app.add_subcommand("verify", "read everything in a data directory or a backup and say what is wrong; changes nothing without --salvage");
  verify->add_option("data_dir", verified_path, "no daemon may be running on it")->required();
  verify->add_flag("--salvage", salvage, "repair a data directory: keep what reads, move damaged files into a folder damaged-<n> of it, say what is lost");

  CLI::App* version = app.add_subcommand("version", "print the version");
  CLI11_PARSE(app, argc, argv);

  if (version->parsed()) {
    fmt::print("{}\n", versions);
    return 0;
  }
  if (check->parsed()) return daemon::check(check_file);
  if (query->parsed()) return daemon::query(query_arguments);
  if (test_rules->parsed()) return daemon::test_rules(test_files, test_names);

  if (backup->parsed()) return daemon::backup(backup_url, backup_name);
  if (restore->parsed()) return daemon::restore(backup_path, restored_path);
  if (verify->parsed()) return salvage ? daemon::salvage(verified_path) : daemon::verify(verified_path);

  config::Overrides overrides;
  if (!data_dir.empty()) overrides.emplace_back("storage.path", data_dir);
  if (!http_listen.empty()) overrides.emplace_back("server.http_listen", fmt::format("[\"{}\"]", fmt::join(http_listen, "\",\"")));
  if (grpc_option->count() > 0) overrides.emplace_back("server.grpc_listen", grpc_listen);  // empty switches it off
  for (const std::string& text : sets) {
    auto parsed = config::parse_override(text);
    if (!parsed) {
      fmt::print(stderr, "--set {}: {}\n", text, parsed.error().message);
      return 1;
    }
    overrides.push_back(std::move(*parsed));
  }
  return daemon::serve(config_file, overrides);
}
