// Runs query test scripts: `load`, `clear`, `eval instant`, `eval range` and their expectations, in the format of
// Prometheus' own query tests. An instant evaluation is also run as the middle of a three-step range query.
#pragma once

#include <string>
#include <vector>

namespace plumbline::test {

struct ScriptResult {
  int evaluations = 0;
  int skipped = 0;                    // answered with Code::unsupported
  std::vector<std::string> failures;  // "file:line: what"
  std::vector<std::string> answered;  // the expressions that were to have an answer and had one
};

ScriptResult run_script(const std::string& path);

}  // namespace plumbline::test
