#include <catch2/catch.hpp>
#include <boost/json.hpp>

#include "query/query.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;
using test::call;

namespace {
constexpr std::int64_t t0 = 1'700'000'000'000'000'000;
struct Fixture {
  test::ManualClock clock{t0 / 1'000'000};
  test::MemoryStore store;
  Models models{store, store, clock};
  http::Routes routes = ml_routes(models, store, clock);
  Fixture() {
    storage::WriteBatch batch;
    model::StreamRows rows{model::EventKind::inference, model::Labels::of({{"model", "m"}, {"version", "1"}}), {}};
    for (int i = 0; i < 300; ++i)
      rows.rows.push_back({t0 - 1'000'000'000 + i, {{"feature.x", static_cast<double>(i)}, {"prediction", 1.0}, {"label", 1.0}}});
    batch.events.push_back(std::move(rows));
    REQUIRE(store.write(std::move(batch)));
  }
};
}  // namespace

TEST_CASE_METHOD(Fixture, "references over HTTP: upload, pin, list") {
  auto made = call(routes, "POST", "/api/v1/models/m/references", {{"name", "up"}}, "x,y_pred\n1,1\n2,0\n", "text/csv; charset=utf-8");
  REQUIRE(made.status == 200);
  CHECK(made.body.find(R"("id":"up@1")") != std::string::npos);
  CHECK(made.body.find(R"("features":[{"name":"x","type":"number","missing":0}])") != std::string::npos);
  auto pinned = call(routes, "POST", "/api/v1/models/m/references",
                     {{"name", "live"}, {"start", "1699999999"}, {"end", "2023-11-14T22:13:20Z"}});
  REQUIRE(pinned.status == 200);
  CHECK(pinned.body.find(R"("rows":300)") != std::string::npos);
  auto listed = call(routes, "GET", "/api/v1/models/m/references");
  CHECK(listed.body.find("live@1") < listed.body.find("up@1"));
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {}, "x\n1\n", "text/csv").status == 400);
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}}, "x", "image/png").status == 415);
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}}).status == 400);
  // A file whose type curl was not told, also one with = in it, and beside a window that it would be passed over for.
  const std::string form = "application/x-www-form-urlencoded";
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}}, "x,y\n1,2\n", form).status == 415);
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}}, "x\na=b\n", form).status == 415);
  CHECK(call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}, {"start", "0"}, {"end", "9999999999"}}, "x\n1\n", form).status == 415);
  auto bad = call(routes, "POST", "/api/v1/models/m/references", {{"name", "z"}}, "x,z\n1\n", "text/csv");
  CHECK(bad.status == 400);
  CHECK(bad.body.find("row 2: 1 cells, the header has 2") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "drift, performance and listings over HTTP") {
  REQUIRE(models.pin_reference("m", "r", {t0 - 1'000'000'000, t0, ""}));
  auto drift = call(routes, "GET", "/api/v1/models/m/drift", {{"reference", "r"}, {"statistic", "psi,ks"}});
  REQUIRE(drift.status == 200);
  const auto json = boost::json::parse(drift.body);
  const auto& scores = json.at("data").at("scores").as_array();
  REQUIRE(scores.size() == 2);
  CHECK(scores[0].at("verdict").as_string() == "ok");
  CHECK(scores[0].at("n").as_int64() == 300);
  CHECK(scores[1].at("statistic").as_string() == "ks");
  CHECK(scores[1].at("p_value").to_number<double>() == 1);
  auto missing = call(routes, "GET", "/api/v1/models/m/drift", {{"reference", "x"}});
  CHECK(missing.status == 404);
  CHECK(missing.body.find("known are r@1") != std::string::npos);
  CHECK(call(routes, "GET", "/api/v1/models/m/drift", {{"statistic", "zap"}}).status == 400);
  CHECK(call(routes, "GET", "/api/v1/models/m/drift", {{"start", "yesterday"}}).status == 400);
  // `window` is what rules have: so long before the end.
  const auto window = [&](const char* length, http::Pairs more = {}) {
    more.emplace_back("window", length);
    return call(routes, "GET", "/api/v1/models/m/drift", more);
  };
  const auto times = [](const http::Response& r) {
    const auto answer = boost::json::parse(r.body).at("data").at("window").as_object();
    return std::string(answer.at("start").as_string()) + " " + std::string(answer.at("end").as_string());
  };
  CHECK(times(window("1h")) == times(drift));
  CHECK(times(window("10m", {{"end", "2023-11-14T22:13:20Z"}})) == "2023-11-14T22:03:20Z 2023-11-14T22:13:20Z");
  for (const char* bad : {"", "10", "0s", "2y", "soon"}) CHECK(window(bad).status == 400);
  CHECK(window("10m", {{"start", "1699999999"}}).status == 400);
  CHECK(call(routes, "GET", "/api/v1/models/m/drift", {{"where", "x >"}}).body.find("where: 1:4") != std::string::npos);
  auto performance = call(routes, "GET", "/api/v1/models/m/performance");
  REQUIRE(performance.status == 200);
  CHECK(performance.body.find(R"("coverage":1,)") != std::string::npos);
  CHECK(performance.body.find(R"("roc_auc":null)") != std::string::npos);
  auto list = call(routes, "GET", "/api/v1/models");
  REQUIRE(list.status == 200);
  CHECK(list.body.find(R"("model":"m","versions":[{"version":"1","rows":300,)") != std::string::npos);
  CHECK(list.body.find(R"({"name":"x","type":"number"})") != std::string::npos);
  CHECK(list.body.find(R"("references":["r@1"])") != std::string::npos);
}
