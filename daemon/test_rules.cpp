#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "daemon/commands.hpp"
#include "daemon/mapping.hpp"

namespace plumbline::daemon {
namespace {

// Both streams are one report to who reads them together.
void print(std::FILE* to, std::string_view line) {
  fmt::print(to, "{}\n", line);
  std::fflush(to);
}

std::vector<std::string> failures_of(const std::string& file, const std::vector<std::string>& run) {
  std::vector<std::string> warnings, failures;
  const auto tests = load_rule_tests(file, warnings);
  if (tests) {
    const SystemClock clock;
    auto report = alerting::run_rule_tests(*tests, run, std::filesystem::temp_directory_path().string(), clock);
    if (report) {
      warnings.insert(warnings.end(), report->warnings.begin(), report->warnings.end());
      failures = std::move(report->failures);
      if (report->run == 0 && failures.empty() && !run.empty()) warnings.emplace_back("no test has a name that --run matches");
    } else {
      failures.push_back(report.error().message);
    }
  } else {
    failures = tests.error();
  }
  for (const std::string& w : warnings) print(stderr, "  WARNING: " + w);
  return failures;
}

}  // namespace

int test_rules(const std::vector<std::string>& files, const std::vector<std::string>& run) {
  bool failed = false;
  for (const std::string& file : files) {
    print(stdout, "Unit Testing:  " + file);
    const std::vector<std::string> failures = failures_of(file, run);
    if (failures.empty()) print(stdout, "  SUCCESS");
    else print(stderr, "  FAILED:");
    for (const std::string& failure : failures) {
      print(stderr, failure);
      print(stdout, "");
    }
    print(stdout, "");
    failed = failed || !failures.empty();
  }
  return failed ? 1 : 0;
}

}  // namespace plumbline::daemon
