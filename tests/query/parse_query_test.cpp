// The tree of an expression as JSON.
#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/route_call.hpp"

using namespace plumbline;

namespace {

std::string tree(const std::string& expression) {
  const http::Response r = test::call(query::parse_query_routes(), "POST", "/api/v1/parse_query", {{"query", expression}});
  const std::string_view before = R"({"status":"success","data":)";
  REQUIRE(r.status == 200);
  REQUIRE(r.body.starts_with(before));
  return r.body.substr(before.size(), r.body.size() - before.size() - 1);
}

}  // namespace

TEST_CASE("parse_query writes every kind of node") {
  const std::string up = R"({"type":"vectorSelector","name":"up","matchers":[{"name":"__name__","type":"=","value":"up"}],)"
                         R"("offset":0,"timestamp":null,"startOrEnd":null,"anchored":false,"smoothed":false})";
  CHECK(tree("1.5") == R"({"type":"numberLiteral","val":"1.5"})");
  CHECK(tree(R"("a\"")") == R"({"type":"stringLiteral","val":"a\""})");
  CHECK(tree("up") == up);
  CHECK(tree("-(up)") == R"({"type":"unaryExpr","op":"-","expr":{"type":"parenExpr","expr":)" + up + "}}");
  CHECK(tree(R"(up{job=~"a|b"}[5m] offset -1m)") ==
        R"({"type":"matrixSelector","range":300000,"name":"up","matchers":[{"name":"job","type":"=~","value":"a|b"},)"
        R"({"name":"__name__","type":"=","value":"up"}],"offset":-60000,"timestamp":null,"startOrEnd":null,"anchored":false,"smoothed":false})");
  CHECK(tree("up[1h:1m] @ 7") == R"({"type":"subquery","expr":)" + up +
                                     R"(,"range":3600000,"step":60000,"offset":0,"timestamp":7000,"startOrEnd":null})");
  CHECK(tree("up @ end()").ends_with(R"("startOrEnd":"end","anchored":false,"smoothed":false})"));
  CHECK(tree("up smoothed").ends_with(R"("anchored":false,"smoothed":true})"));
  CHECK(tree("up[1m] anchored").ends_with(R"("anchored":true,"smoothed":false})"));
  CHECK(tree("rate(up[1m])").starts_with(
      R"({"type":"call","func":{"name":"rate","argTypes":["matrix"],"variadic":0,"returnType":"vector"},"args":[{"type":"matrixSelector")"));
  CHECK(tree("topk by (job) (2, up)") == R"({"type":"aggregation","op":"topk","expr":)" + up +
                                             R"(,"param":{"type":"numberLiteral","val":"2"},"grouping":["job"],"without":false})");
  CHECK(tree("up * on (job) group_left (x) up") ==
        R"({"type":"binaryExpr","op":"*","lhs":)" + up + R"(,"rhs":)" + up +
            R"(,"matching":{"card":"many-to-one","labels":["job"],"on":true,"include":["x"],"fillValues":{"lhs":null,"rhs":null}},"bool":false})");
  CHECK(tree("up + fill_right(-1.5) up").find(R"("fillValues":{"lhs":null,"rhs":-1.5})") != std::string::npos);
  CHECK(tree("up + fill(2) up").find(R"("fillValues":{"lhs":2,"rhs":2})") != std::string::npos);
  CHECK(tree("up or up").find(R"("matching":{"card":"many-to-many","labels":[],"on":false,"include":[],"fillValues":{"lhs":null,"rhs":null}})") != std::string::npos);
  CHECK(tree("up > bool 1").ends_with(R"("matching":null,"bool":true})"));
  // What only a running query knows is told as text.
  CHECK(tree("up[step()]").find(R"x("range":"step()")x") != std::string::npos);
}

TEST_CASE("parse_query refuses as query does") {
  const http::Response r = test::call(query::parse_query_routes(), "GET", "/api/v1/parse_query", {{"query", "up{"}});
  CHECK(r.status == 400);
  CHECK(r.body.find(R"("errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error)") != std::string::npos);
}
