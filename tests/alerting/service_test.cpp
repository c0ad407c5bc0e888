// The threads around the core, on the real clock: what is asserted is what happens, never when.
#include <catch2/catch.hpp>

#include "alerting/alerting.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;
using namespace std::chrono_literals;

namespace {

class WaitingClient final : public http::Client {
 public:
  Result<http::Response> send(const http::ClientRequest& request) override {
    Lock lock(mutex_);
    bodies_.push_back(request.body);
    came_.notify_all();
    return http::Response::text("ok");
  }
  // Waits until a body holds the text; gives up after a minute, which only a broken service needs.
  bool wait_for(std::string_view text) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    Lock lock(mutex_);
    while (true) {
      for (const std::string& body : bodies_)
        if (body.find(text) != std::string::npos) return true;
      if (came_.wait_until(mutex_, deadline) == std::cv_status::timeout) return false;
    }
  }

 private:
  Mutex mutex_;
  Condition came_;
  std::vector<std::string> bodies_ PLUMBLINE_GUARDED_BY(mutex_);
};

struct Daemon {
  SystemClock clock;
  test::MemoryStore store;
  query::Engine engine{store, clock, {}};
  query::Models models{store, store, clock};
  WaitingClient client;
  Registry registry;
  std::unique_ptr<Log> log = make_null_log();
  Service service{{engine, models, store, store, client, clock, *log, registry}};
};

RuleSet rules(std::string expr) {
  RuleSet out;
  GroupSpec group;
  group.name = "g";
  group.file = "r.yaml";
  group.interval = 20ms;
  RuleSpec rule;
  rule.alert = "Always";
  rule.expr = std::move(expr);
  group.rules = {rule};
  out.groups = {group};
  DriftSpec drift;
  drift.name = "psi";
  drift.model = "nobody";
  drift.reference = "training";
  drift.interval = 20ms;
  out.drift = {drift};
  out.receivers = {simple_receiver("hook", "http://127.0.0.1:9/hook")};
  out.route = simple_route("hook", 0ms, 20ms, 4h);
  return out;
}

}  // namespace

TEST_CASE("the service evaluates, delivers, reloads and stops", "[alerting][service]") {
  Daemon d;
  RuleSet bad = rules("vector(1) >");
  REQUIRE(d.service.start(bad).error().code == Code::invalid_input);
  REQUIRE(d.service.start(rules("vector(1) > 0")));
  CHECK(d.client.wait_for("\"status\":\"firing\""));
  CHECK(d.service.reload(bad).error().code == Code::invalid_input);
  for (const http::Route& route : d.service.routes()) {
    INFO(route.pattern);
    const http::Response response = route.handler({});
    CHECK(response.status == 200);
    CHECK(response.body.starts_with("{\"status\":\"success\",\"data\":"));
  }
  REQUIRE(d.service.reload(rules("vector(1) > 1")));
  CHECK(d.client.wait_for("\"status\":\"resolved\""));
  d.service.stop();
  d.service.stop();
}

TEST_CASE("a service that never started stops quietly", "[alerting][service]") {
  Daemon d;
}
