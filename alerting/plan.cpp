#include "alerting/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "alerting/schedule.hpp"
#include "alerting/webhook.hpp"
#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {

std::string Place::str() const {
  return fmt::format("{}:{}:{}", file, line, column);
}

bool is_label_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

bool is_metric_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':';
  });
}

const ReceiverSpec* Plan::receiver(std::string_view name) const {
  for (const ReceiverSpec& r : receivers)
    if (r.name == name) return &r;
  return nullptr;
}

namespace {

std::string percent_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || std::string_view("-_.~").find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", u);
  }
  return out;
}

class Planner {
 public:
  Planner(const RuleSet& rules, const ExpressionCheck& check, std::vector<std::string>& errors)
      : rules_(rules), check_(check), errors_(errors) {}

  Plan run() {
    plan_.external_labels = rules_.external_labels;
    plan_.external_url = rules_.external_url;
    while (plan_.external_url.ends_with('/')) plan_.external_url.pop_back();
    for (const auto& [name, value] : rules_.external_labels)
      if (!is_label_name(name))
        errors_.push_back(fmt::format("external_labels: invalid label name {}", json_quote(name)));
    groups();
    slos();
    drift();
    routing();
    return std::move(plan_);
  }

 private:
  void error(const Place& place, std::string_view message) {
    errors_.push_back(place.str() + ": " + std::string(message));
  }

  // Equal rules (same group, name and labels) are told apart by their order, as Prometheus does on reload.
  std::string uid(std::initializer_list<std::string_view> parts, StringPairs labels) {
    std::sort(labels.begin(), labels.end());
    ByteWriter bytes;
    for (const std::string_view part : parts) bytes.sized(part);
    for (const auto& [name, value] : labels) {
      bytes.sized(name);
      bytes.sized(value);
    }
    const int twin = twins_[bytes.str()]++;
    bytes.varint(static_cast<std::uint64_t>(twin));
    return hash128_hex(bytes.str());
  }

  Templates templates(const StringPairs& pairs, std::string_view what, const Place& place,
                      std::string_view context) {
    Templates out;
    std::set<std::string> seen;
    for (const auto& [name, text] : pairs) {
      if (!is_label_name(name) || (what == "label" && name == model::metric_name_label))
        error(place, fmt::format("{}invalid {} name {}", context, what, json_quote(name)));
      if (!seen.insert(name).second)
        error(place, fmt::format("{}duplicate {} {}", context, what, json_quote(name)));
      auto parsed = Template::parse(text);
      if (parsed)
        out.emplace_back(name, std::move(*parsed));
      else
        error(place,
              fmt::format("{}{} {}: template: {}", context, what, json_quote(name), parsed.error().message));
    }
    return out;
  }

  std::string query_link(std::string_view expr) const {
    return plan_.external_url + "/api/v1/query?query=" + percent_escape(expr);
  }

  // The rule's own question; of the window that ends when it is followed.
  std::string drift_link(const DriftSpec& spec) const {
    std::string features;  // a name with a comma cannot be asked for: then of all
    if (std::ranges::none_of(spec.features, [](const std::string& name) { return name.contains(',') || trim(name) != name; }))
      for (const std::string& name : spec.features) features += (features.empty() ? "&features=" : ",") + percent_escape(name);
    const std::string where = spec.where.empty() ? "" : "&where=" + percent_escape(spec.where);
    return fmt::format("{}/api/v1/models/{}/drift?reference={}&statistic={}&window={}&threshold={}&rows_min={}{}{}", plan_.external_url,
                       percent_escape(spec.model), percent_escape(spec.reference), query::name_of(spec.statistic),
                       format_duration_ms(spec.window.count()), format_number(spec.threshold), spec.rows_min, features, where);
  }

  void schedule(PlannedUnit& unit, const Place& place, Millis interval) {
    if (interval.count() <= 0) {
      error(place, "interval must be above zero");
      interval = Millis(60'000);
    }
    unit.interval_ms = interval.count();
    unit.offset_ms = slot_offset_ms(unit.name, unit.file, unit.interval_ms);
  }

  void groups() {
    std::map<std::pair<std::string, std::string>, Place> names;
    for (const GroupSpec& group : rules_.groups) {
      if (group.name.empty()) error(group.place, "a group needs a name");
      const auto [first, fresh] = names.emplace(std::pair(group.file, group.name), group.place);
      if (!fresh)
        error(group.place, fmt::format("group name {} is repeated in the same file; first at {}",
                                       json_quote(group.name), first->second.str()));
      PlannedUnit unit;
      unit.name = group.name;
      unit.file = group.file;
      unit.limit = group.limit;
      unit.query_offset_ms = group.query_offset.count();
      if (unit.query_offset_ms < 0) error(group.place, "query_offset must not be negative");
      schedule(unit, group.place, group.interval);
      for (std::size_t i = 0; i < group.rules.size(); ++i) unit.rules.push_back(rule(group, i));
      plan_.units.push_back(std::move(unit));
    }
  }

  PlannedRule rule(const GroupSpec& group, std::size_t index) {
    const RuleSpec& spec = group.rules[index];
    PlannedRule out;
    out.alerting = !spec.alert.empty();
    out.name = out.alerting ? spec.alert : spec.record;
    out.expr = spec.expr;
    const std::string context =
        fmt::format("group {}, rule {}, {}: ", json_quote(group.name), index + 1, json_quote(out.name));
    if (spec.record.empty() == spec.alert.empty())
      error(spec.place, context + (spec.record.empty() ? "one of 'record' or 'alert' must be set"
                                                       : "only one of 'record' and 'alert' must be set"));
    if (spec.expr.empty()) {
      error(spec.place, context + "field 'expr' must be set");
    } else if (const Status parsed = check_(spec.expr); !parsed) {
      error(spec.expr_place.line > 0 ? spec.expr_place : spec.place,
            context + "could not parse expression: " + parsed.error().message);
    }
    StringPairs labels = spec.labels;  // the rule's own win over its group's
    for (const auto& [name, value] : group.labels)
      if (std::none_of(labels.begin(), labels.end(), [&](const auto& l) { return l.first == name; }))
        labels.emplace_back(name, value);
    out.uid = uid({"group", group.name, out.alerting ? "alert" : "record", out.name}, labels);
    out.generator_url = query_link(spec.expr);
    if (out.alerting) {
      if (spec.hold.count() < 0 || spec.keep_firing_for.count() < 0)
        error(spec.place, context + "durations must not be negative");
      out.timing = {spec.hold, spec.keep_firing_for, group.limit};
      out.labels = templates(labels, "label", spec.place, context);
      out.annotations = templates(spec.annotations, "annotation", spec.place, context);
      return out;
    }
    if (spec.hold.count() != 0) error(spec.place, context + "invalid field 'for' in recording rule");
    if (spec.keep_firing_for.count() != 0)
      error(spec.place, context + "invalid field 'keep_firing_for' in recording rule");
    if (!spec.annotations.empty())
      error(spec.place, context + "invalid field 'annotations' in recording rule");
    if (!spec.record.empty() && !is_metric_name(spec.record))
      error(spec.place, context + "invalid recording rule name: " + spec.record);
    for (const auto& [name, value] : labels)
      if (!is_label_name(name) || name == model::metric_name_label)
        error(spec.place, context + "invalid label name " + json_quote(name));
    out.fixed_labels = labels;
    return out;
  }

  void query(const Place& place, const Place& fallback, std::string_view what, const std::string& text,
             std::string_view context) {
    const Place& at = place.line > 0 ? place : fallback;
    if (text.empty()) return error(at, fmt::format("{}{} must be set", context, what));
    if (!has_window_placeholder(text))
      return error(
          at, fmt::format("{}{} must contain {{{{.window}}}}, such as rate(requests_total[{{{{.window}}}}])",
                          context, what));
    if (const Status parsed = check_(with_window(text, Millis(300'000))); !parsed)
      error(at, fmt::format("{}{} (with the window 5m): {}", context, what, parsed.error().message));
  }

  void slos() {
    std::set<std::pair<std::string, std::string>> names;
    for (const SloSpec& slo : rules_.slos) {
      const std::string context = fmt::format("slo {}: ", json_quote(slo.name));
      const auto bad = [&](std::string_view message) { error(slo.place, context + std::string(message)); };
      if (slo.name.empty()) bad("name must be set");
      if (slo.service.empty()) bad("service must be set");
      if (!names.emplace(slo.service, slo.name).second)
        bad(fmt::format("repeated for service {}", json_quote(slo.service)));
      PlannedUnit unit;
      unit.kind = PlannedUnit::Kind::slo;
      unit.name = fmt::format("slo/{}/{}", slo.service, slo.name);
      unit.file = slo.place.file;
      schedule(unit, slo.place, slo.interval);
      unit.windows = windows_of(slo);
      unit.slo = slo;
      if (slo.window.count() <= 0) bad("window must be above zero");
      query(slo.error_place, slo.place, "error_query", slo.error_query, context);
      query(slo.total_place, slo.place, "total_query", slo.total_query, context);
      if (!slo.error_query.empty() && slo.error_query == slo.total_query)
        bad("error_query and total_query are the same");
      const auto budget = parse_objective(slo.objective);
      if (budget) {
        unit.budget = *budget;
        for (const BurnWindow& w : unit.windows) window(slo, *budget, w, context);
      } else {
        bad(budget.error().message);
        unit.budget = {1, 1000};
      }
      const Templates labels = templates(slo.labels, "label", slo.place, context);
      const Templates annotations = templates(slo.annotations, "annotation", slo.place, context);
      for (const std::string& severity : severities_of(unit.windows)) {
        PlannedRule rule;
        rule.name = slo.alert_name.empty() ? slo.name : slo.alert_name;
        rule.severity = severity;
        rule.uid = uid({"slo", slo.service, slo.name, severity}, {});
        rule.expr = slo_expression(slo, unit.windows, severity);
        rule.labels = labels;
        rule.annotations = annotations;
        rule.generator_url = query_link(rule.expr);
        unit.rules.push_back(std::move(rule));
      }
      plan_.units.push_back(std::move(unit));
    }
  }

  void window(const SloSpec& slo, const Budget& budget, const BurnWindow& w, const std::string& context) {
    const std::string which = fmt::format(
        "window {} ({}/{}, factor {}): ", json_quote(w.severity), format_duration_ms(w.long_window.count()),
        format_duration_ms(w.short_window.count()), format_number(w.factor));
    const auto bad = [&](std::string_view message) {
      error(slo.place, context + which + std::string(message));
    };
    if (w.severity.empty()) bad("severity must be set");
    if (!(w.factor > 0) || !std::isfinite(w.factor)) return bad("factor must be above zero");
    if (w.short_window.count() <= 0 || w.long_window <= w.short_window)
      bad("the long window must be longer than the short one, and both above zero");
    if (w.long_window > slo.window)
      bad(fmt::format("the long window is longer than the SLO's window {}",
                      format_duration_ms(slo.window.count())));
    if (!budget.can_fire(w.factor))
      bad(
          fmt::format("can never fire: factor x budget is {} and an error ratio never passes 1; a factor "
                      "below {} could fire",
                      format_number(budget.threshold(w.factor)), format_number(budget.factor_max())));
  }

  void drift() {
    std::set<std::string> names;
    for (const DriftSpec& spec : rules_.drift) {
      const std::string context = fmt::format("drift rule {}: ", json_quote(spec.name));
      const auto bad = [&](std::string_view message) { error(spec.place, context + std::string(message)); };
      if (spec.name.empty()) bad("name must be set");
      if (!names.insert(spec.name).second) bad("the name is repeated");
      if (spec.model.empty()) bad("model must be set");
      if (spec.reference.empty()) bad("reference must be set: the name of an uploaded or pinned reference");
      if (spec.window.count() <= 0) bad("window must be above zero");
      if (!(spec.threshold > 0) || !std::isfinite(spec.threshold)) bad("threshold must be above zero");
      if (spec.statistic != query::Statistic::psi && spec.threshold > 1)
        bad(fmt::format("can never fire: {} is at most 1 and the threshold is {}",
                        spec.statistic == query::Statistic::chi_square ? "Cramer's V, which chi_square compares," : query::name_of(spec.statistic),
                        format_number(spec.threshold)));
      if (const Status where = query::check_where(spec.where); !where)
        error(spec.where_place.line > 0 ? spec.where_place : spec.place, context + where.error().message);
      if (spec.consecutive < 1) bad("consecutive must be at least 1");
      PlannedUnit unit;
      unit.kind = PlannedUnit::Kind::drift;
      unit.name = "drift/" + spec.name;
      unit.file = spec.place.file;
      schedule(unit, spec.place, spec.interval);
      unit.drift = spec;
      PlannedRule rule;
      rule.name = spec.name;
      rule.uid = uid({"drift", spec.name}, {});
      rule.expr = fmt::format("plumbline_drift_verdict{{rule={}}} == 1", json_quote(spec.name));
      rule.labels = templates(spec.labels, "label", spec.place, context);
      rule.annotations = templates(spec.annotations, "annotation", spec.place, context);
      rule.generator_url = drift_link(spec);
      unit.rules.push_back(std::move(rule));
      plan_.units.push_back(std::move(unit));
    }
  }

  void routing() {
    plan_.receivers = rules_.receivers;
    std::set<std::string> names;
    for (const ReceiverSpec& receiver : rules_.receivers) {
      if (receiver.name.empty()) error(receiver.place, "a receiver needs a name");
      if (!names.insert(receiver.name).second)
        error(receiver.place,
              fmt::format("notification config name {} is not unique", json_quote(receiver.name)));
      for (const WebhookSpec& hook : receiver.webhooks) {
        const Place& at = hook.place.line > 0 ? hook.place : receiver.place;
        if (const auto request = webhook_request(hook, "", "", 0); !request)
          error(at, fmt::format("receiver {}: {}", json_quote(receiver.name), request.error().message));
        if (hook.timeout.count() <= 0)
          error(at, fmt::format("receiver {}: timeout must be above zero", json_quote(receiver.name)));
      }
    }
    if (!rules_.route) {
      if (!rules_.receivers.empty())
        error(rules_.receivers[0].place, "there are receivers but no route: nothing would be sent");
      return;
    }
    plan_.routes = RouteTree::make(*rules_.route, errors_);
    known_receivers(*rules_.route, names);
  }

  void known_receivers(const RouteSpec& route, const std::set<std::string>& names) {
    if (!route.receiver.empty() && !names.contains(route.receiver))
      error(route.place, fmt::format("undefined receiver {} used in route", json_quote(route.receiver)));
    for (const std::string& name : route.group_by)
      if (name != "..." && !is_label_name(name))
        error(route.place, fmt::format("invalid label name {} in group_by", json_quote(name)));
    for (const RouteSpec& child : route.routes) known_receivers(child, names);
  }

  const RuleSet& rules_;
  const ExpressionCheck& check_;
  std::vector<std::string>& errors_;
  Plan plan_;
  std::map<std::string, int> twins_;
};

}  // namespace

Plan make_plan(const RuleSet& rules, const ExpressionCheck& check_expression,
               std::vector<std::string>& errors) {
  return Planner(rules, check_expression, errors).run();
}

}  // namespace plumbline::alerting
