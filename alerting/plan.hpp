// A rule set compiled: templates parsed, budgets computed, routes built, every unit with its slot on the time
// line. What compiles can run; every error carries its place. Immutable once made.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "alerting/alert_machine.hpp"
#include "alerting/routing.hpp"
#include "alerting/slo.hpp"
#include "alerting/template.hpp"

namespace plumbline::alerting {

using Templates = std::vector<std::pair<std::string, Template>>;

struct PlannedRule {
  std::string
      uid;  // survives reloads: group, name and labels (and a counter between equals), never the position
  std::string name;
  bool alerting = true;
  std::string expr;  // of SLO and drift alerts: the same condition over our own series
  Timing timing;
  Templates labels, annotations;
  StringPairs fixed_labels;  // of recording rules
  std::string severity;      // of an SLO alert
  std::string generator_url;
};

struct PlannedUnit {
  enum class Kind { group, slo, drift } kind = Kind::group;
  std::string name;
  std::string file;
  std::int64_t interval_ms = 60'000;
  std::int64_t offset_ms = 0;
  std::int64_t query_offset_ms = 0;
  std::uint64_t limit = 0;
  std::vector<PlannedRule> rules;
  std::optional<SloSpec> slo;
  std::vector<BurnWindow> windows;  // of the SLO
  Budget budget;
  std::optional<DriftSpec> drift;
};

struct Plan {
  std::vector<PlannedUnit> units;
  RouteTree routes;
  std::vector<ReceiverSpec> receivers;
  StringPairs external_labels;
  std::string external_url;

  const ReceiverSpec* receiver(std::string_view name) const;
};

// PromQL's parser, behind a seam.
using ExpressionCheck = std::function<Status(std::string_view)>;

Plan make_plan(const RuleSet& rules, const ExpressionCheck& check_expression,
               std::vector<std::string>& errors);

bool is_label_name(std::string_view name);
bool is_metric_name(std::string_view name);

}  // namespace plumbline::alerting
