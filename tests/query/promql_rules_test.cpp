// Every expression of the public alerting rules must parse. The rules are not part of the project: PLUMBLINE_SHARED, or a
// folder `shared` beside the source tree, has them under data/rules.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/base/text.hpp"
#include "query/query.hpp"

using namespace plumbline;

namespace {

// The expressions of one rule file: `expr:` with a plain, quoted or block scalar. Enough YAML for these files.
std::vector<std::string> expressions(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<std::string> lines, out;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const auto indent = [](const std::string& s) { return s.find_first_not_of(' '); };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t key = lines[i].find("expr:");
    if (key == std::string::npos || trim(lines[i].substr(0, key)).find_first_not_of("- ") != std::string_view::npos) continue;
    std::string value(trim(lines[i].substr(key + 5)));
    if (value.empty()) continue;
    if (value[0] == '|' || value[0] == '>') {
      value.clear();
      for (; i + 1 < lines.size() && (trim(lines[i + 1]).empty() || indent(lines[i + 1]) > key); ++i)
        value += lines[i + 1] + "\n";
    } else if (value[0] == '\'' || value[0] == '"') {
      const char quote = value[0];
      std::string plain;
      for (std::size_t k = 1; k + 1 < value.size(); ++k) {
        if (quote == '\'' && value[k] == '\'' && value[k + 1] == '\'') ++k;
        if (quote == '"' && value[k] == '\\') ++k;
        plain += value[k];
      }
      value = plain;
    }
    out.push_back(value);
  }
  return out;
}

}  // namespace

TEST_CASE("the public rules parse") {
  const char* shared = std::getenv("PLUMBLINE_SHARED");
  const std::filesystem::path root =
      (shared ? std::filesystem::path(shared) : std::filesystem::path(PLUMBLINE_SOURCE_DIR) / "../shared") / "data/rules";
  if (!std::filesystem::exists(root)) {
    std::cout << "skipped: no public rules (PLUMBLINE_SHARED, ../shared)\n";
    return;
  }
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".yml") continue;
    for (const std::string& text : expressions(entry.path())) {
      ++count;
      const auto printed = query::format_promql(text);
      INFO(entry.path().string() << ": " << text);
      if (!printed) FAIL_CHECK(printed.error().message);
      else CHECK(query::format_promql(*printed) == *printed);
    }
  }
  std::cout << count << " public rules parsed\n";
  CHECK(count >= 900);
}
