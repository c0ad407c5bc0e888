#include <catch2/catch.hpp>

#include "alerting/grouping.hpp"
#include "alerting/outbox.hpp"
#include "alerting/webhook.hpp"

using namespace plumbline;
using namespace plumbline::alerting;
using model::Labels;

namespace {

RouteSpec route(std::string receiver, std::vector<std::string> matchers, std::vector<RouteSpec> children = {},
                bool go_on = false) {
  RouteSpec out;
  out.receiver = std::move(receiver);
  out.matchers = std::move(matchers);
  out.routes = std::move(children);
  out.continue_matching = go_on;
  out.place = {"r.yaml", 3, 5};
  return out;
}

std::string receivers(const RouteTree& tree, const Labels& labels) {
  std::string out;
  for (const std::size_t i : tree.match(labels)) out += (out.empty() ? "" : ",") + tree.node(i).receiver;
  return out;
}

RoutedAlert alert(const std::string& name, std::int64_t starts, std::int64_t ends = 0,
                  std::string instance = "1") {
  return {Labels::of({{"alertname", name}, {"instance", instance}}),
          {{"summary", "s"}},
          starts,
          ends,
          "http://g"};
}

}  // namespace

TEST_CASE("matchers are read as Alertmanager reads them", "[alerting][routing]") {
  const auto text = [](std::string_view t) {
    const auto parsed = parse_matchers(t);
    if (!parsed) return parsed.error().message;
    std::string out;
    for (const auto& m : *parsed) out += (out.empty() ? "" : ",") + m.str();
    return out;
  };
  CHECK(text("severity=\"page\"") == "severity=\"page\"");
  CHECK(text(" severity = page ") == "severity=\"page\"");
  CHECK(text("team=~\"a|b\"") == "team=~\"a|b\"");
  CHECK(text("{a!=\"b\", c!~\"d.*\",}") == "a!=\"b\",c!~\"d.*\"");
  CHECK(text("a=\"x\\\"y\"") == "a=\"x\\\"y\"");
  CHECK(text("a").find("expected an operator") != std::string::npos);
  CHECK(text("=b").find("expected a label name") != std::string::npos);
  CHECK(text("a=\"b").find("expected a closing quote") != std::string::npos);
  CHECK_FALSE(parse_matchers("a=~\"(\""));
}

TEST_CASE("the route tree: first child wins unless it continues, the parent takes the rest",
          "[alerting][routing]") {
  std::vector<std::string> errors;
  RouteSpec root =
      route("root", {},
            {route("pager", {"severity=\"page\""}, {route("ml", {"team=~\"ml|ai\""})}),
             route("audit", {"severity=~\".+\""}, {}, true), route("tickets", {"severity=\"ticket\""})});
  root.group_by = {"alertname"};
  const RouteTree tree = RouteTree::make(root, errors);
  REQUIRE(errors.empty());
  CHECK(receivers(tree, Labels::of({{"severity", "page"}})) == "pager");
  CHECK(receivers(tree, Labels::of({{"severity", "page"}, {"team", "ai"}})) == "ml");
  CHECK(receivers(tree, Labels::of({{"severity", "ticket"}})) == "audit,tickets");
  CHECK(receivers(tree, Labels::of({{"severity", "info"}})) == "audit");
  CHECK(receivers(tree, Labels::of({{"x", "y"}})) == "root");
  const std::size_t ml = tree.match(Labels::of({{"severity", "page"}, {"team", "ml"}}))[0];
  CHECK(tree.node(ml).group_by.contains("alertname"));
  CHECK(group_key(tree.node(ml), Labels::of({{"alertname", "X"}, {"job", "y"}})) ==
        "{}/{severity=\"page\"}/{team=~\"ml|ai\"}:{alertname=\"X\", job=\"y\"}");
}

TEST_CASE("route errors name their place", "[alerting][routing]") {
  std::vector<std::string> errors;
  RouteTree::make(route("", {"a=\"b\""}, {route("x", {"!"})}), errors);
  REQUIRE(errors.size() == 3);
  CHECK(errors[0] == "r.yaml:3:5: the root route needs a receiver");
  CHECK(errors[1].starts_with("r.yaml:3:5: the root route must not have matchers"));
  CHECK(errors[2].starts_with("r.yaml:3:5: matcher \"!\" at position 1: expected a label name"));
}

TEST_CASE("fingerprints are Alertmanager's", "[alerting][routing]") {
  // FNV-1a 64 of nothing is its offset basis.
  CHECK(fingerprint(Labels()) == "cbf29ce484222325");
  CHECK(fingerprint(Labels::of({{"a", "b"}})).size() == 16);
  CHECK(fingerprint(Labels::of({{"a", "b"}})) != fingerprint(Labels::of({{"a", "c"}})));
}

TEST_CASE("groups wait, tell what is new, repeat, and tell the end", "[alerting][grouping]") {
  std::vector<std::string> errors;
  RouteSpec spec = route("hook", {});
  spec.group_by = {"alertname"};
  spec.group_wait = Millis(30'000);
  spec.group_interval = Millis(300'000);
  spec.repeat_interval = Millis(3'600'000);
  Grouping g(RouteTree::make(spec, errors));
  const auto apply = [&](AlertEvent::Kind kind, const RoutedAlert& a, std::int64_t now) {
    g.install(g.apply({{kind, a}}, now));
  };
  const auto flush = [&](std::int64_t now) {
    const GroupChanges c = g.flush(now);
    g.install(c);
    std::string out;
    for (const Notification& n : c.notifications) out += n.reason + ":" + std::to_string(n.alerts.size());
    return out;
  };
  using Kind = AlertEvent::Kind;
  const std::int64_t t = 1'000'000;
  apply(Kind::fire, alert("A", t), t);
  CHECK(g.next_ms() == t + 30'000);
  CHECK(flush(t + 29'999).empty());
  CHECK(flush(t + 30'000) == "first notification:1");
  apply(Kind::fire, alert("A", t, 0, "2"), t + 40'000);
  CHECK(flush(t + 300'000).empty());
  CHECK(flush(t + 330'000) == "new alerts added:2");
  CHECK(flush(t + 630'000).empty());
  apply(Kind::resolve, alert("A", 0, t + 700'000, "2"), t + 700'000);
  const GroupChanges ended = g.flush(t + 930'000);
  REQUIRE(ended.notifications.size() == 1);
  CHECK(ended.notifications[0].reason == "some alerts resolved");
  CHECK(ended.notifications[0].alerts[1].starts_at_ms == t);
  CHECK(ended.notifications[0].alerts[1].ends_at_ms == t + 700'000);
  CHECK(ended.durable.size() == 1);
  g.install(ended);
  std::string repeats;
  std::int64_t now = t + 930'000;
  while (repeats.empty()) repeats = flush(now += 300'000);
  CHECK(repeats == "repeat interval elapsed:1");
  CHECK(now == t + 930'000 + 3'600'000);
  apply(Kind::resolve, alert("A", 0, now), now);
  CHECK(flush(now + 300'000) == "all alerts resolved:1");
  CHECK(g.groups().empty());
  SECTION("an alert that ends within group_wait is not told at all") {
    apply(Kind::fire, alert("B", now), now);
    apply(Kind::resolve, alert("B", now, now + 10'000), now + 10'000);
    CHECK(flush(now + 30'000).empty());
    CHECK(g.groups().empty());
  }
  SECTION("a group that was told before a restart is not told again") {
    apply(Kind::fire, alert("C", now), now);
    flush(now + 30'000);
    std::vector<AlertGroup> stored;
    for (const auto& [id, group] : g.groups()) stored.push_back(group);
    stored[0].next_flush_ms = 0;
    Grouping again(RouteTree::make(spec, errors));
    again.adopt(stored, now + 60'000);
    CHECK(again.flush(now + 60'000).notifications.empty());
    again.install(again.apply({{Kind::resolve, alert("C", now, now + 60'000)}}, now + 60'000));
    const auto c = again.flush(now + 60'000);
    REQUIRE(c.notifications.size() == 1);
    CHECK(c.notifications[0].reason == "all alerts resolved");
  }
}

TEST_CASE("the webhook body is Alertmanager's version 4", "[alerting][webhook]") {
  Notification n{"hook", "{}:{alertname=\"A\"}", Labels::of({{"alertname", "A"}}),
                 {},     "first notification",   true};
  n.alerts.push_back(alert("A", 1'700'000'000'000));
  n.alerts.push_back(alert("A", 1'700'000'000'000, 1'700'000'060'500, "2"));
  WebhookSpec hook;
  const auto body = webhook_body(n, hook, "http://plumb");
  REQUIRE(body);
  const std::string f1 = fingerprint(n.alerts[0].labels), f2 = fingerprint(n.alerts[1].labels);
  CHECK(*body ==
        "{\"receiver\":\"hook\",\"status\":\"firing\",\"alerts\":["
        "{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\",\"instance\":\"1\"},\"annotations\":{"
        "\"summary\":\"s\"},"
        "\"startsAt\":\"2023-11-14T22:13:20.000Z\",\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":"
        "\"http://g\",\"fingerprint\":\"" +
            f1 +
            "\"},"
            "{\"status\":\"resolved\",\"labels\":{\"alertname\":\"A\",\"instance\":\"2\"},\"annotations\":{"
            "\"summary\":\"s\"},"
            "\"startsAt\":\"2023-11-14T22:13:20.000Z\",\"endsAt\":\"2023-11-14T22:14:20.500Z\","
            "\"generatorURL\":\"http://g\",\"fingerprint\":\"" +
            f2 +
            "\"}],"
            "\"groupLabels\":{\"alertname\":\"A\"},\"commonLabels\":{\"alertname\":\"A\"},"
            "\"commonAnnotations\":{\"summary\":\"s\"},"
            "\"externalURL\":\"http://"
            "plumb\",\"version\":\"4\",\"groupKey\":\"{}:{alertname=\\\"A\\\"}\",\"truncatedAlerts\":0,"
            "\"notification_reason\":\"first notification\",\"routeLabels\":{}}");
  hook.max_alerts = 1;
  CHECK(webhook_body(n, hook, "")->find("\"truncatedAlerts\":1") != std::string::npos);
  hook.send_resolved = false;
  CHECK(webhook_body(n, hook, "")->find("resolved\",\"labels") == std::string::npos);
  n.firing_news = false;
  CHECK_FALSE(webhook_body(n, hook, ""));
}

TEST_CASE("a request carries a stable id and keeps the URL's secrets to itself", "[alerting][webhook]") {
  WebhookSpec hook;
  hook.url = "http://user:p%40ss@hooks.example:8080/services/x?token=secret";
  hook.headers = {{"X-Team", "ml"}};
  const auto request = webhook_request(hook, "msg_1", "{}", 1'700'000'000'999);
  REQUIRE(request);
  CHECK(request->method == "POST");
  CHECK(request->url.host == "hooks.example");
  CHECK(request->url.target == "/services/x?token=secret");
  std::map<std::string, std::string> headers(request->headers.begin(), request->headers.end());
  CHECK(headers["webhook-id"] == "msg_1");
  CHECK(headers["webhook-timestamp"] == "1700000000");
  CHECK(headers["content-type"] == "application/json");
  CHECK(headers["authorization"] == "Basic dXNlcjpwQHNz");
  CHECK(headers["x-team"] == "ml");
  CHECK(redacted_url(hook.url) == "http://hooks.example:8080/services/x");
  CHECK(redacted("cannot reach /services/x?token=secret as user:p%40ss", hook.url) ==
        "cannot reach /services/x... as ...");
}

TEST_CASE("what is retried, and for how long", "[alerting][outbox]") {
  Delivery d;
  d.created_ms = 0;
  const RetryPolicy policy;
  const auto answer = [](int status, std::string after = "") -> Result<http::Response> {
    http::Response r = http::Response::empty(status);
    if (!after.empty()) r.with("Retry-After", after);
    return r;
  };
  const auto kind = [&](int status) { return decide(d, answer(status), policy, 1000, 0.5).kind; };
  for (const int status : {200, 201, 204}) CHECK(kind(status) == Decision::Kind::delivered);
  for (const int status : {408, 425, 429, 500, 502, 503, 504}) CHECK(kind(status) == Decision::Kind::retry);
  for (const int status : {301, 302, 400, 401, 404, 410, 422}) CHECK(kind(status) == Decision::Kind::dead);
  CHECK(decide(d, fail(Code::io, "refused"), policy, 1000, 0.5) ==
        Decision{Decision::Kind::retry, 1500, "refused"});
  d.attempts = 3;
  CHECK(decide(d, answer(500), policy, 1000, 0.5).next_ms == 1000 + 4000);
  d.attempts = 30;
  CHECK(decide(d, answer(500), policy, 1000, 0.999).next_ms <= 1000 + 300'000);
  CHECK(decide(d, answer(429, "17"), policy, 1000, 0).next_ms == 1000 + 17'000);
  CHECK(decide(d, answer(503, "Thu, 01 Jan 1970 00:00:31 GMT"), policy, 1000, 0).next_ms == 31'000);
  CHECK(decide(d, answer(503, "99999"), policy, 1000, 0).next_ms == 1000 + 3'600'000);
  CHECK(decide(d, answer(503, "soon"), policy, 1000, 0).next_ms == 1000);
  d.attempts = 499;
  CHECK(decide(d, answer(500), policy, 1000, 0).error ==
        "the receiver answered 500; gave up after 500 attempts");
  d.attempts = 1;
  CHECK(decide(d, answer(500), policy, 86'400'000, 0).error == "the receiver answered 500; gave up after 1d");
}

TEST_CASE("deliveries of one group keep their order, groups do not wait for each other",
          "[alerting][outbox]") {
  Outbox box;
  const auto add = [&](std::uint64_t seq, std::string group) {
    Delivery d;
    d.seq = seq;
    d.receiver = "r";
    d.group_key = std::move(group);
    box.add(d);
  };
  add(1, "a");
  add(2, "a");
  add(3, "b");
  CHECK(box.take(0)->seq == 1);
  CHECK(box.take(0)->seq == 3);
  CHECK_FALSE(box.take(0));
  box.finished(1, {Decision::Kind::retry, 5'000, "no"});
  CHECK_FALSE(box.take(4'999));
  CHECK(box.next_ms() == 5'000);
  auto again = box.take(5'000);
  REQUIRE(again);
  CHECK(again->seq == 1);
  CHECK(again->attempts == 1);
  box.finished(1, {Decision::Kind::delivered, 0, ""});
  CHECK(box.take(5'000)->seq == 2);
  box.finished(2, {Decision::Kind::dead, 0, "x"});
  box.finished(3, {Decision::Kind::delivered, 0, ""});
  CHECK(box.size() == 0);
  CHECK(box.next_ms() == std::numeric_limits<std::int64_t>::max());
}
