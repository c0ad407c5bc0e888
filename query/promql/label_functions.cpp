// label_replace and label_join.
#include <fmt/format.h>
#include <re2/re2.h>

#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"

namespace plumbline::query::promql {

namespace {

// $1, ${1}, ${name} and $$ of Go's regexp.Expand; a group that does not exist is empty.
std::string expand(std::string_view text, const RE2& regex, const std::vector<re2::StringPiece>& groups) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braced = text[i + 1] == '{';
    std::size_t end = i + (braced ? 2 : 1);
    const std::size_t begin = end;
    while (end < text.size() && (is_alpha(text[end]) || is_digit(text[end]))) ++end;
    const std::string_view name = text.substr(begin, end - begin);
    if (name.empty() || (braced && (end == text.size() || text[end] != '}'))) {
      out += '$';  // malformed: stays as it stands
      continue;
    }
    std::size_t group = groups.size();
    if (const auto n = parse_int(name)) {
      if (*n >= 0) group = static_cast<std::size_t>(*n);
    } else if (const auto& named = regex.NamedCapturingGroups(); named.contains(std::string(name))) {
      group = static_cast<std::size_t>(named.at(std::string(name)));
    }
    if (group < groups.size() && groups[group].data() != nullptr) out.append(groups[group].data(), groups[group].size());
    i = braced ? end : end - 1;
  }
  return out;
}

Status unique(const Columns& columns) {
  LabelIndex seen;
  for (const Column& c : columns)
    if (!seen.try_emplace(c.labels, 0).second) return execution_error(std::string(same_labelset));
  return {};
}

bool good_label(std::string_view name) { return !name.empty() && valid_utf8(name); }

}  // namespace

Result<Columns> Evaluator::label_replace(const Call& c, const Grid& grid) {
  const std::string& destination = string_of(*c.arguments[1]);
  const std::string& replacement = string_of(*c.arguments[2]);
  const std::string& source = string_of(*c.arguments[3]);
  const std::string& pattern = string_of(*c.arguments[4]);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  const RE2 regex("^(?s:" + pattern + ")$", options);
  if (!regex.ok()) return execution_error("invalid regular expression in label_replace(): " + pattern);
  if (!good_label(destination)) return execution_error("invalid destination label name in label_replace(): " + destination);
  PLUMBLINE_TRY(Columns columns, collect(*c.arguments[0], grid));
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  for (Column& column : columns) {
    PLUMBLINE_CHECK_OK(tick());  // a pattern of many groups takes milliseconds a series
    const std::string_view value = column.labels.get(source);
    const re2::StringPiece text(value.data(), value.size());
    if (!regex.Match(text, 0, value.size(), RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size()))) continue;
    column.labels = column.labels.with(destination, expand(replacement, regex, groups));
  }
  PLUMBLINE_CHECK_OK(unique(columns));
  return columns;
}

Result<Columns> Evaluator::label_join(const Call& c, const Grid& grid) {
  const std::string& destination = string_of(*c.arguments[1]);
  const std::string& separator = string_of(*c.arguments[2]);
  std::vector<std::string> sources;
  for (std::size_t i = 3; i < c.arguments.size(); ++i) {
    sources.push_back(string_of(*c.arguments[i]));
    if (!good_label(sources.back())) return execution_error("invalid source label name in label_join(): " + sources.back());
  }
  if (!good_label(destination)) return execution_error("invalid destination label name in label_join(): " + destination);
  PLUMBLINE_TRY(Columns columns, collect(*c.arguments[0], grid));
  for (Column& column : columns) {
    std::string joined;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (i > 0) joined += separator;
      joined += column.labels.get(sources[i]);
    }
    column.labels = column.labels.with(destination, joined);
  }
  PLUMBLINE_CHECK_OK(unique(columns));
  return columns;
}

}  // namespace plumbline::query::promql
