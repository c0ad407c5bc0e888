// The config module's front door: YAML text -> Config, or every error it holds.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "daemon/base/error.hpp"

namespace plumbline::config {

struct Problem {
  Place place;
  std::string message;
  std::string str() const;  // "plumbline.yaml:14:9: 'for' is "5 min"; write a duration such as 5m"
  bool operator==(const Problem&) const = default;
};
using Problems = std::vector<Problem>;  // in the order of the file, at most problems_max
// The value, or all that is wrong: a user mends a file once, not once per error.
template <class T>
using Outcome = std::expected<T, Problems>;

// One line per problem.
std::string text_of(const Problems& problems);

// `--set storage.retention=90d`: replaces or adds a scalar before anything is checked, so that an override obeys the same
// rules as the file. A value with brackets is read as a YAML flow list: `server.http_listen=[127.0.0.1:0]`.
using Overrides = std::vector<std::pair<std::string, std::string>>;
// Splits "path=value". Fails: invalid_input.
Result<std::pair<std::string, std::string>> parse_override(std::string_view text);

// Reads nothing but `path` (rule files come from load_rule_files).
Outcome<Config> load_file(const std::string& path, const Overrides& overrides = {});
// `file` is used in messages and as the base of relative paths.
Outcome<Config> load_text(std::string_view yaml, const std::string& file, const Overrides& overrides = {});
// Without a config file: the documented defaults and the overrides.
Outcome<Config> load_defaults(const Overrides& overrides = {});

// What loads, and is hardly meant so: windows that are longer than what they look at is kept.
Problems warnings_of(const Config& config);

// A Prometheus rule file: `groups:` only, as strict as `promtool check rules` about its shape. PromQL and templates are
// checked by alerting, which gets the places.
Outcome<std::vector<RuleGroup>> load_rule_file(const std::string& path, Millis default_interval);
Outcome<std::vector<RuleGroup>> load_rule_text(std::string_view yaml, const std::string& file, Millis default_interval);
// All files that config.rule_files names, sorted. A glob without a match is fine, a plain path that is missing is not.
Outcome<std::vector<RuleGroup>> load_rule_files(const Config& config);

// A file_sd file, JSON or YAML (JSON is read as YAML). Fails: io, invalid_input (with all its problems in the message).
Result<std::vector<TargetGroup>> read_target_file(const std::string& path);

}  // namespace plumbline::config
