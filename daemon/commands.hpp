// The subcommands of the plumbline binary. Each returns the process' exit status.
#pragma once

#include <string>
#include <vector>

#include "config/loader.hpp"

namespace plumbline::daemon {

// Runs until SIGTERM or SIGINT; SIGHUP reloads. 1 when it cannot start.
int serve(const std::string& config_file, const config::Overrides& overrides);
// 0 and a summary on stdout when the file and its rules are good; 1 and one line per problem on stderr when not.
int check(const std::string& config_file);

// Runs promtool's rule tests and prints what promtool prints: "SUCCESS" on stdout or "FAILED" with the differences on stderr for
// each file. `run`: regular expressions over the names of tests; empty: all. 1 when a file failed.
int test_rules(const std::vector<std::string>& files, const std::vector<std::string>& run);

struct QueryArguments {
  std::string expression;
  std::string url = "http://127.0.0.1:9470";
  std::string time;               // instant query; empty: now
  std::string start, end, step;  // range query when start is set
  std::string format = "table";  // json, csv, promql: query_output.hpp
};
inline constexpr int query_refused = 1;    // the daemon's error is printed: a bad expression, a limit
inline constexpr int query_not_asked = 2;  // not reachable, or who answers is no such daemon
// Asks a running daemon and prints the answer; warnings and errors go to stderr.
int query(const QueryArguments& arguments);

// Asks a running daemon for a backup of that name in its backup directory, and prints where it is.
int backup(const std::string& url, const std::string& name);
// Makes a data directory of a backup and verifies it; one line per problem. 1 when there are any, or it cannot be done.
int restore(const std::string& backup, const std::string& data_dir);
// Reads everything in a data directory that no daemon runs on. One line per problem, a summary and what repairs it; 1 when there are any.
int verify(const std::string& data_dir);
// Repairs a damaged one: what was found, what is lost, where the damaged files are now. 0 when the directory is then sound.
int salvage(const std::string& data_dir);

}  // namespace plumbline::daemon
