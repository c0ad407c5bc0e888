// /api/v1/status/*, in upstream's shapes.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;

TEST_CASE("the daemon tells of itself in Prometheus' shapes", "[status]") {
  const test::ManualClock clock(60'000);
  query::DaemonStatus status;
  status.runtime = [] {
    return query::RuntimeInfo{.start_ms = 1'000, .working_directory = "/srv", .host = "h", .reload_succeeded = false, .reloaded_ms = 2'500,
                              .threads = 17, .cores = 2, .corruptions = 3, .retention = "30d"};
  };
  status.config_yaml = [] { return std::string("log:\n  level: debug\n"); };
  status.options = [] { return std::vector<std::pair<std::string, std::string>>{{"b", "2"}, {"a.b", ""}}; };
  status.journal_replayed = 41;
  const http::Routes routes = query::status_routes(clock, std::move(status));
  const auto data = [&](const std::string& path) {
    const http::Response r = test::call(routes, "GET", "/api/v1/" + path);
    CHECK(r.status == 200);
    const std::string begin = R"({"status":"success","data":)";
    REQUIRE(r.body.starts_with(begin));
    return r.body.substr(begin.size(), r.body.size() - begin.size() - 1);
  };
  CHECK(data("status/runtimeinfo") ==
        R"({"startTime":"1970-01-01T00:00:01.000Z","CWD":"/srv","hostname":"h","serverTime":"1970-01-01T00:01:00.000Z",)"
        R"("reloadConfigSuccess":false,"lastConfigTime":"1970-01-01T00:00:02.500Z","corruptionCount":3,"goroutineCount":17,)"
        R"("GOMAXPROCS":2,"GOMEMLIMIT":9223372036854775807,"GOGC":"","GODEBUG":"","storageRetention":"30d"})");
  CHECK(data("status/config") == R"({"yaml":"log:\n  level: debug\n"})");
  CHECK(data("status/flags") == R"({"a.b":"","b":"2"})");
  CHECK(data("status/walreplay") == R"({"min":0,"max":41,"current":41})");
  CHECK(data("alertmanagers") == R"({"activeAlertmanagers":[],"droppedAlertmanagers":[]})");
  CHECK(test::call(routes, "POST", "/api/v1/status/config").status == 404);  // of this table; the server says 405
}
