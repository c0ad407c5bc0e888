#include <catch2/catch.hpp>

#include <algorithm>

#include "alerting/alerting.hpp"
#include "alerting/plan.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;

namespace {

RuleSpec alert_rule(std::string name, std::string expr) {
  RuleSpec out;
  out.alert = std::move(name);
  out.expr = std::move(expr);
  out.place = {"r.yaml", 10, 7};
  out.expr_place = {"r.yaml", 11, 13};
  return out;
}

GroupSpec group(std::vector<RuleSpec> rules) {
  GroupSpec out;
  out.name = "g";
  out.file = "r.yaml";
  out.place = {"r.yaml", 5, 3};
  out.rules = std::move(rules);
  return out;
}

SloSpec slo(std::string objective) {
  SloSpec out;
  out.name = "availability";
  out.service = "fraud";
  out.objective = std::move(objective);
  out.error_query = "sum(rate(errors_total[{{.window}}]))";
  out.total_query = "sum(rate(requests_total[{{ .window }}]))";
  out.place = {"r.yaml", 20, 5};
  out.error_place = {"r.yaml", 22, 9};
  out.total_place = {"r.yaml", 23, 9};
  return out;
}

DriftSpec drift() {
  DriftSpec out;
  out.name = "psi";
  out.model = "fraud";
  out.reference = "training";
  out.place = {"r.yaml", 40, 5};
  return out;
}

RuleSet good() {
  RuleSet out;
  RuleSpec record;
  record.record = "job:up:sum";
  record.expr = "sum by (job) (up)";
  record.place = {"r.yaml", 6, 7};
  out.groups = {group({alert_rule("Down", "up == 0"), record})};
  out.slos = {slo("99.9")};
  out.drift = {drift()};
  out.receivers = {simple_receiver("hook")};
  out.receivers[0].place = {"r.yaml", 50, 5};
  out.route = simple_route("hook", Millis(1000), Millis(1000), Millis(1000));
  out.route->place = {"r.yaml", 60, 3};
  return out;
}

// The only error of `rules`; all of them, joined, when there are more or none.
std::string error_of(const RuleSet& rules) {
  std::string out;
  for (const std::string& e : check(rules)) out += (out.empty() ? "" : "\n") + e;
  return out;
}

template <class Change>
std::string broken(Change change) {
  RuleSet rules = good();
  change(rules);
  return error_of(rules);
}

}  // namespace

TEST_CASE("a good rule set has no errors", "[alerting][check]") {
  CHECK(error_of(good()) == "");
}

TEST_CASE("every error of a rule set names its place", "[alerting][check]") {
  const std::string in = "group \"g\", rule 1, \"Down\": ";
  CHECK(broken([](RuleSet& r) {
          r.groups[0].rules[0].expr = "up ===";
        }).starts_with("r.yaml:11:13: " + in + "could not parse expression: 1:"));
  CHECK(broken([](RuleSet& r) { r.groups[0].rules[0].expr = ""; }) ==
        "r.yaml:10:7: " + in + "field 'expr' must be set");
  CHECK(broken([](RuleSet& r) { r.groups[0].rules[0].record = "x"; }) ==
        "r.yaml:10:7: " + in + "only one of 'record' and 'alert' must be set");
  CHECK(broken([](RuleSet& r) {
          r.groups[0].rules[0].labels = {{"a-b", "x"}};
        }) == "r.yaml:10:7: " + in + "invalid label name \"a-b\"");
  CHECK(broken([](RuleSet& r) {
          r.groups[0].rules[0].annotations = {{"s", "x {{ foo }}"}};
        }) == "r.yaml:10:7: " + in + "annotation \"s\": template: 1:6: function \"foo\" not defined");
  CHECK(broken([](RuleSet& r) { r.groups[0].rules[1].record = "job up"; }) ==
        "r.yaml:6:7: group \"g\", rule 2, \"job up\": invalid recording rule name: job up");
  CHECK(broken([](RuleSet& r) { r.groups[0].rules[1].hold = Millis(1); }) ==
        "r.yaml:6:7: group \"g\", rule 2, \"job:up:sum\": invalid field 'for' in recording rule");
  CHECK(broken([](RuleSet& r) { r.groups.push_back(r.groups[0]); }) ==
        "r.yaml:5:3: group name \"g\" is repeated in the same file; first at r.yaml:5:3");
  CHECK(broken([](RuleSet& r) { r.groups[0].interval = Millis(0); }) ==
        "r.yaml:5:3: interval must be above zero");

  CHECK(broken([](RuleSet& r) { r.slos[0].objective = "100"; }) ==
        "r.yaml:20:5: slo \"availability\": objective \"100\" is not between 0 and 100, both excluded; write "
        "a percentage such as 99.9");
  CHECK(broken([](RuleSet& r) { r.slos[0].error_query = "sum(rate(errors_total[5m]))"; }) ==
        "r.yaml:22:9: slo \"availability\": error_query must contain {{.window}}, such as "
        "rate(requests_total[{{.window}}])");
  CHECK(broken([](RuleSet& r) {
          r.slos[0].total_query = "sum(rate(x[{{.window}}])";
        }).starts_with("r.yaml:23:9: slo \"availability\": total_query (with the window 5m): 1:"));
  CHECK(broken([](RuleSet& r) { r.slos[0].objective = "90"; }) ==
        "r.yaml:20:5: slo \"availability\": window \"page\" (1h/5m, factor 14.4): can never fire: factor x "
        "budget is 1.44 and an error "
        "ratio never passes 1; a factor below 10 could fire");
  CHECK(broken([](RuleSet& r) { r.slos.push_back(r.slos[0]); }) ==
        "r.yaml:20:5: slo \"availability\": repeated for service \"fraud\"");

  CHECK(broken([](RuleSet& r) { r.drift[0].threshold = 0; }) ==
        "r.yaml:40:5: drift rule \"psi\": threshold must be above zero");
  CHECK(broken([](RuleSet& r) { r.drift[0].consecutive = 0; }) ==
        "r.yaml:40:5: drift rule \"psi\": consecutive must be at least 1");
  CHECK(broken([](RuleSet& r) {
          r.drift[0].where = "segment.channel=web";
          r.drift[0].where_place = {"r.yaml", 44, 12};
        }).starts_with("r.yaml:44:12: drift rule \"psi\": where: 1:17: expected a value"));
  CHECK(broken([](RuleSet& r) {
          r.drift[0].statistic = query::Statistic::chi_square;
          r.drift[0].threshold = 5;
        }) == "r.yaml:40:5: drift rule \"psi\": can never fire: Cramer's V, which chi_square compares, is at most 1 and the threshold is 5");

  CHECK(broken([](RuleSet& r) {
          r.route->routes.push_back(*r.route);
          r.route->routes[0].receiver = "nobody";
        }) == "r.yaml:60:3: undefined receiver \"nobody\" used in route");
  CHECK(broken([](RuleSet& r) { r.route->receiver = ""; }) == "r.yaml:60:3: the root route needs a receiver");
  CHECK(broken([](RuleSet& r) { r.route.reset(); }) ==
        "r.yaml:50:5: there are receivers but no route: nothing would be sent");
  const std::string url =
      broken([](RuleSet& r) { r.receivers[0].webhooks[0].url = "ftp://u:pw@x/?k=hidden"; });
  CHECK(url.starts_with("r.yaml:50:5: receiver \"hook\": url ftp://x/: "));
  CHECK(url.find("hidden") == std::string::npos);
  CHECK(url.find("pw") == std::string::npos);
}

TEST_CASE("rules keep their identity when they move, and twins are told apart", "[alerting][check]") {
  std::vector<std::string> errors;
  const auto plan = [&](std::vector<RuleSpec> rules) {
    RuleSet set;
    set.groups = {group(std::move(rules))};
    return make_plan(
        set, [](std::string_view) { return Status(); }, errors);
  };
  const Plan p = plan({alert_rule("A", "x"), alert_rule("B", "x")});
  const Plan q = plan({alert_rule("B", "y"), alert_rule("A", "z")});
  CHECK(p.units[0].rules[0].uid == q.units[0].rules[1].uid);
  const Plan twins = plan({alert_rule("A", "x"), alert_rule("A", "y")});
  CHECK(twins.units[0].rules[0].uid != twins.units[0].rules[1].uid);
}
