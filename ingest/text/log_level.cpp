#include "ingest/text/log_level.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "daemon/base/text.hpp"
#include "ingest/text/json_tree.hpp"

namespace plumbline::ingest {
namespace {

// The names that carry a level, best first.
constexpr std::array<std::string_view, 14> level_names{
    "level",        "LEVEL", "Level", "log.level", "severity",      "SEVERITY",      "Severity",
    "SeverityText", "lvl",   "LVL",   "Lvl",       "severity_text", "Severity_Text", "SEVERITY_TEXT"};

struct Word {
  std::string_view spelling;
  std::string_view level;
};
constexpr std::array<Word, 13> words{{{"trace", "trace"},
                                      {"trc", "trace"},
                                      {"debug", "debug"},
                                      {"dbg", "debug"},
                                      {"info", "info"},
                                      {"inf", "info"},
                                      {"information", "info"},
                                      {"warn", "warn"},
                                      {"wrn", "warn"},
                                      {"warning", "warn"},
                                      {"error", "error"},
                                      {"err", "error"},
                                      {"critical", "critical"}}};

std::optional<std::string_view> known_level(std::string_view text) {
  if (text.size() > 16) return std::nullopt;
  const std::string lower = to_lower(text);
  if (lower == "fatal") return "fatal";
  for (const Word& w : words)
    if (lower == w.spelling) return w.level;
  return std::nullopt;
}

std::string normalised(std::string_view text) {
  return std::string(known_level(text).value_or(text));
}

// Words that betray the level of plain text, in the order in which they win. Case is as written: these are
// habits of loggers, not language.
struct Habit {
  std::string_view text;
  std::string_view level;
};
constexpr std::array<Habit, 20> habits{
    {{"info", "info"},          {"INFO", "info"},           {"err:", "error"},
     {"ERR:", "error"},         {"[err]", "error"},         {"[ERR]", "error"},
     {"[error]", "error"},      {"[ERROR]", "error"},       {"warn:", "warn"},
     {"WARN:", "warn"},         {"[warn]", "warn"},         {"[WARN]", "warn"},
     {"warning", "warn"},       {"WARNING", "warn"},        {"critical:", "critical"},
     {"CRITICAL:", "critical"}, {"[critical]", "critical"}, {"[CRITICAL]", "critical"},
     {"debug", "debug"},        {"DEBUG", "debug"}}};

std::string_view level_by_habit(std::string_view line) {
  for (const Habit& h : habits)
    if (line.find(h.text) != std::string_view::npos) return h.level;
  return "unknown";
}

std::string_view level_of_severity_number(std::string_view text) {
  const auto n = parse_int(text);
  if (!n) return "info";
  static constexpr std::array<std::string_view, 6> by_four{"trace", "debug", "info",
                                                           "warn",  "error", "fatal"};
  if (*n < 1 || *n > 24) return "unknown";
  return by_four[static_cast<std::size_t>((*n - 1) / 4)];
}

// The value of the best level key in key=value text. A value may be quoted; escapes stay as they are, no
// level has one.
std::optional<std::string_view> logfmt_level(std::string_view line) {
  std::optional<std::string_view> best;
  std::size_t best_rank = level_names.size();
  std::size_t at = 0;
  while (at < line.size() && best_rank != 0) {
    while (at < line.size() && static_cast<unsigned char>(line[at]) <= ' ') ++at;
    const std::size_t key_from = at;
    while (at < line.size() && line[at] != '=' && static_cast<unsigned char>(line[at]) > ' ') ++at;
    const std::string_view key = line.substr(key_from, at - key_from);
    if (at >= line.size() || line[at] != '=') continue;
    ++at;
    std::size_t from = at;
    std::string_view value;
    if (at < line.size() && line[at] == '"') {
      from = ++at;
      while (at < line.size() && line[at] != '"') at += line[at] == '\\' ? 2 : 1;
      at = std::min(at, line.size());
      value = line.substr(from, at - from);
      if (at < line.size()) ++at;
    } else {
      while (at < line.size() && static_cast<unsigned char>(line[at]) > ' ') ++at;
      value = line.substr(from, at - from);
    }
    if (key.size() > 16) continue;
    const std::string lower = to_lower(key);
    for (std::size_t rank = 0; rank < best_rank; ++rank)
      if (lower == to_lower(level_names[rank])) {
        best = value;
        best_rank = rank;
      }
  }
  return best;
}

std::string_view level_of_line(std::string_view line) {
  const std::string_view body = trim(line);
  std::optional<std::string_view> level;
  std::optional<std::string> from_json;
  if (body.starts_with('{') && body.ends_with('}')) {
    from_json = find_json_string(body, level_names, 2);
    if (from_json) level = known_level(*from_json);
  } else if (line.find('=') != std::string_view::npos) {
    if (const auto value = logfmt_level(line)) level = known_level(*value);
  }
  return level.value_or(level_by_habit(line));
}

}  // namespace

std::string detect_level(const model::Labels& stream, std::span<const model::Field> fields,
                         std::string_view line) {
  const auto field = [&](std::string_view name) -> std::string_view {
    for (const model::Field& f : fields)
      if (f.name == name)
        if (const auto* text = std::get_if<std::string>(&f.value)) return *text;
    return {};
  };
  if (const std::string_view given = field(detected_level_name); !given.empty()) return normalised(given);
  for (const std::string_view name : level_names)
    if (const std::string_view level = stream.get(name); !level.empty()) return normalised(level);
  if (!fields.empty())
    for (const std::string_view name : level_names)
      if (const std::string_view level = field(name); !level.empty()) return normalised(level);
  if (const std::string_view number = field("severity_number"); !number.empty())
    return std::string(level_of_severity_number(number));
  return std::string(level_of_line(line));
}

std::string discover_service_name(const model::Labels& stream) {
  static constexpr std::array<std::string_view, 13> candidates{"service",
                                                               "app",
                                                               "application",
                                                               "app_name",
                                                               "name",
                                                               "app_kubernetes_io_name",
                                                               "container",
                                                               "container_name",
                                                               "k8s_container_name",
                                                               "component",
                                                               "workload",
                                                               "job",
                                                               "k8s_job_name"};
  for (const std::string_view name : candidates)
    if (const std::string_view value = stream.get(name); !value.empty()) return std::string(value);
  return "unknown_service";
}

}  // namespace plumbline::ingest
