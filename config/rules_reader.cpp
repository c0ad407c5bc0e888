#include "config/rules_reader.hpp"

#include <map>

#include "config/values.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

Rule read_rule(Reading& reading, Section& from) {
  Rule rule;
  rule.place = from.place();
  from.read("record", rule.record);
  from.read("alert", rule.alert);
  from.read("expr", rule.expr, rule.expr_place);
  from.read("for", rule.hold);
  from.read("keep_firing_for", rule.keep_firing_for);
  from.read("labels", rule.labels);
  from.read("annotations", rule.annotations);
  if (rule.record.empty() == rule.alert.empty()) {
    reading.report(rule.place, rule.record.empty() ? "a rule needs 'record' or 'alert'"
                                                   : "a rule has either 'record' or 'alert', not both");
  } else if (!rule.record.empty()) {
    if (!valid_metric_name(rule.record))
      reading.report(from.place_of("record"), "'record' is " + json_quote(rule.record) +
                                                  "; write a metric name (letters, digits, _ and :, no digit first)");
    for (const std::string_view name : {"for", "keep_firing_for", "annotations"})
      if (from.has(name))
        reading.report(from.place_of(name), "a recording rule has no '" + std::string(name) + "'; that is for alerts");
  }
  return rule;
}

}  // namespace

void read_groups(Reading& reading, Section& root, const std::string& file, std::vector<RuleGroup>& out) {
  std::map<std::string, int> lines_of_names;
  root.each("groups", [&](Section& from) {
    RuleGroup group;
    group.file = file;
    group.place = from.place();
    from.read("name", group.name);
    from.read("interval", group.interval);
    from.read("query_offset", group.query_offset);
    from.read("limit", group.limit);
    from.read("labels", group.labels);
    from.each("rules", [&](Section& rule) { group.rules.push_back(read_rule(reading, rule)); });
    const auto [first, is_new] = lines_of_names.emplace(group.name, group.place.line);
    if (!is_new && !group.name.empty())
      reading.report(from.place_of("name"), "a second group named " + json_quote(group.name) + "; the first is in line " +
                                                std::to_string(first->second));
    out.push_back(std::move(group));
  });
}

}  // namespace plumbline::config
