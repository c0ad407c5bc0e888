#include "config/alerting_reader.hpp"

#include <algorithm>
#include <map>

#include "config/values.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

// Reports the second of two equal names.
class Names {
 public:
  Names(Reading& reading, std::string what) : reading_(reading), what_(std::move(what)) {}
  void add(const std::string& name, const Place& group, const Place& place) {
    if (name.empty()) return;
    const auto [first, is_new] = lines_.emplace(name, group.line);
    if (!is_new)
      reading_.report(place, "a second " + what_ + " named " + json_quote(name) + "; the first is in line " +
                                 std::to_string(first->second));
  }

 private:
  Reading& reading_;
  const std::string what_;
  std::map<std::string, int> lines_;
};

SloWindow read_window(Reading& reading, Section& from) {
  SloWindow window;
  window.place = from.place();
  from.read("severity", window.severity);
  from.read("long", window.long_window);
  from.read("short", window.short_window);
  from.read("factor", window.factor);
  if (window.long_window.count() > 0 && window.short_window >= window.long_window)
    reading.report(from.place_of("short"), "'short' is " + format_duration_ms(window.short_window.count()) +
                                               "; write a window shorter than 'long'");
  return window;
}

Slo read_slo(Reading& reading, Section& from) {
  Slo slo;
  slo.place = from.place();
  from.read("name", slo.name);
  from.read("service", slo.service);
  from.read("description", slo.description);
  from.read("objective", slo.objective, slo.objective_place);
  if (!slo.objective.empty()) {
    const std::optional<double> percent = parse_number(slo.objective);
    if (!percent || !(*percent > 0 && *percent < 100))
      reading.report(slo.objective_place, "'objective' is " + json_quote(slo.objective) +
                                              "; write a percentage above 0 and below 100, such as 99.9");
  }
  from.read("window", slo.window);
  from.child("sli", [&](Section& sli) {
    sli.read("error_query", slo.error_query, slo.error_place);
    sli.read("total_query", slo.total_query, slo.total_place);
  });
  from.read("interval", slo.interval);
  from.each("windows", [&](Section& window) { slo.windows.push_back(read_window(reading, window)); });
  from.child("alert", [&](Section& alert) {
    alert.read("name", slo.alert_name);
    alert.read("labels", slo.alert_labels);
    alert.read("annotations", slo.alert_annotations);
  });
  return slo;
}

Drift read_drift_rule(Section& from) {
  Drift drift;
  drift.place = from.place();
  from.read("name", drift.name);
  from.read("model", drift.model);
  from.read("features", drift.features);
  from.read("statistic", drift.statistic);
  from.read("reference", drift.reference);
  from.read("where", drift.where, drift.where_place);
  from.read("window", drift.window);
  from.read("interval", drift.interval);
  from.read("threshold", drift.threshold);
  from.read("consecutive", drift.consecutive);
  from.read("rows_min", drift.rows_min);
  from.read("labels", drift.labels);
  from.read("annotations", drift.annotations);
  return drift;
}

Receiver read_receiver(Section& from) {
  Receiver receiver;
  receiver.place = from.place();
  from.read("name", receiver.name);
  from.each("webhook_configs", [&](Section& webhook) {
    Webhook& to = receiver.webhook_configs.emplace_back();
    to.place = webhook.place();
    webhook.read("url", to.url);
    webhook.read("send_resolved", to.send_resolved);
    webhook.read("max_alerts", to.max_alerts);
    webhook.read("timeout", to.timeout);
    webhook.read("headers", to.headers);
  });
  return receiver;
}

Route read_route(Reading& reading, Section& from, const std::vector<Receiver>& receivers, bool is_root) {
  Route route;
  route.place = from.place();
  from.read("receiver", route.receiver);
  from.read("matchers", route.matchers);
  from.read("group_by", route.group_by);
  from.read("group_wait", route.group_wait);
  from.read("group_interval", route.group_interval);
  from.read("repeat_interval", route.repeat_interval);
  from.read("continue", route.continue_matching);
  // Depth is bounded by depth_max of the tree.
  from.each_at("routes", "route",
               [&](Section& below) { route.routes.push_back(read_route(reading, below, receivers, false)); });

  if (is_root && route.receiver.empty()) reading.report(route.place, "the root route needs a 'receiver'");
  if (is_root && !route.matchers.empty())
    reading.report(from.place_of("matchers"), "the root route takes every alert and has no 'matchers'");
  if (!route.receiver.empty() && std::ranges::find(receivers, route.receiver, &Receiver::name) == receivers.end()) {
    std::vector<std::string_view> names;
    for (const Receiver& receiver : receivers) names.push_back(receiver.name);
    const std::string near = closest(route.receiver, names);
    reading.report(from.place_of("receiver"),
                   "'receiver' is " + json_quote(route.receiver) + ", which 'receivers' does not name" +
                       (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  for (const std::string& label : route.group_by)
    if (label != "..." && !valid_label_name(label))
      reading.report(from.place_of("group_by"), "'group_by' has " + json_quote(label) + "; write label names or ...");
  if (route.group_by.size() > 1 && std::ranges::find(route.group_by, "...") != route.group_by.end())
    reading.report(from.place_of("group_by"), "'group_by' has ... beside other labels; it already means every label");
  return route;
}

}  // namespace

void read_slos(Reading& reading, Section& root, std::vector<Slo>& out) {
  Names names(reading, "SLO of the same service");
  root.each("slos", [&](Section& from) {
    Slo slo = read_slo(reading, from);
    names.add(slo.name.empty() ? "" : slo.service + "/" + slo.name, slo.place, from.place_of("name"));
    out.push_back(std::move(slo));
  });
}

void read_drift(Reading& reading, Section& root, std::vector<Drift>& out) {
  Names names(reading, "drift rule");
  root.each("drift", [&](Section& from) {
    Drift drift = read_drift_rule(from);
    names.add(drift.name, drift.place, from.place_of("name"));
    out.push_back(std::move(drift));
  });
}

void read_notifications(Reading& reading, Section& root, Config& out) {
  Names names(reading, "receiver");
  root.each("receivers", [&](Section& from) {
    Receiver receiver = read_receiver(from);
    names.add(receiver.name, receiver.place, from.place_of("name"));
    out.receivers.push_back(std::move(receiver));
  });
  root.child("route", [&](Section& from) { out.route = read_route(reading, from, out.receivers, true); });
}

}  // namespace plumbline::config
