#include <catch2/catch.hpp>

#include <boost/json.hpp>

#include "daemon/query_output.hpp"

using namespace plumbline;
using namespace plumbline::daemon;

namespace {

std::string rendered(std::string_view data, std::string_view format) {
  const auto chosen = parse_query_format(format);
  REQUIRE(chosen);
  const auto text = render(boost::json::parse(data).as_object(), *chosen);
  return text ? *text : "error: " + text.error().message;
}

constexpr std::string_view vector = R"({"resultType":"vector","result":[
  {"metric":{"__name__":"up","job":"a,\"b\"","zone":"x"},"value":[1700000000.5,"1"]},
  {"metric":{"Zone":"y"},"value":[1700000000,"NaN"]},
  {"metric":{"__name__":"h"},"histogram":[1700000000,{"count":"3","sum":"2","buckets":[[0,"0.5","1","1"],[3,"-0.1","0.1","2"],[1,"-2","-1","0.5"]]}]}]})";
constexpr std::string_view matrix = R"({"resultType":"matrix","result":[
  {"metric":{"__name__":"m","a":"line\nbreak"},"values":[[10,"1"],[30,"+Inf"]],"histograms":[[20,{"count":"0","sum":"0"}]]}]})";

}  // namespace

TEST_CASE("answers as CSV", "[query_output]") {
  CHECK(rendered(vector, "csv") ==
        "__name__,Zone,job,zone,timestamp,value\r\n"
        "up,,\"a,\"\"b\"\"\",x,1700000000.5,1\r\n"
        ",y,,,1700000000,NaN\r\n"
        "h,,,,1700000000,\"{count:3, sum:2, (0.5,1]:1, [-0.1,0.1]:2, [-2,-1):0.5}\"\r\n");
  CHECK(rendered(matrix, "csv") == "__name__,a,timestamp,value\r\n"
                                   "m,\"line\nbreak\",10,1\r\nm,\"line\nbreak\",20,\"{count:0, sum:0}\"\r\nm,\"line\nbreak\",30,+Inf\r\n");
  CHECK(rendered(R"({"resultType":"scalar","result":[5,"1.5"]})", "csv") == "timestamp,value\r\n5,1.5\r\n");
  CHECK(rendered(R"({"resultType":"vector","result":[]})", "csv") == "timestamp,value\r\n");
}

TEST_CASE("answers as PromQL's text", "[query_output]") {
  CHECK(rendered(vector, "promql") ==
        "up{job=\"a,\\\"b\\\"\", zone=\"x\"} 1 @ 1700000000.5\n"
        "{Zone=\"y\"} NaN @ 1700000000\n"
        "h {count:3, sum:2, (0.5,1]:1, [-0.1,0.1]:2, [-2,-1):0.5} @ 1700000000\n");
  CHECK(rendered(matrix, "promql") == "m{a=\"line\\nbreak\"} 1 @ 10\nm{a=\"line\\nbreak\"} {count:0, sum:0} @ 20\nm{a=\"line\\nbreak\"} +Inf @ 30\n");
  CHECK(rendered(R"({"resultType":"scalar","result":[5,"1.5"]})", "promql") == "1.5 @ 5\n");
  CHECK(rendered(R"({"resultType":"string","result":[5,"a\"b"]})", "promql") == "\"a\\\"b\" @ 5\n");
  CHECK(rendered(R"({"resultType":"vector","result":[{"metric":{},"value":[5,"1"]}]})", "promql") == "{} 1 @ 5\n");
}

TEST_CASE("answers as a table", "[query_output]") {
  CHECK(rendered(vector, "table").starts_with("up{job=\"a,\\\"b\\\"\", zone=\"x\"} => 1 @[1700000000.5]\n"));
  CHECK(rendered(matrix, "table") == "m{a=\"line\\nbreak\"} =>\n1 @[10]\n{count:0, sum:0} @[20]\n+Inf @[30]\n");
  CHECK(rendered(R"({"resultType":"string","result":[5,"x"]})", "table") == "x @[5]\n");
}

TEST_CASE("what is no answer is refused", "[query_output]") {
  for (const char* text : {"{}", R"({"resultType":"vector"})", R"({"resultType":"vector","result":5})",
                           R"({"resultType":"vector","result":[{"metric":{},"value":[5]}]})",
                           R"({"resultType":"vector","result":[{"metric":{},"value":["5","1"]}]})",
                           R"({"resultType":"vector","result":[{"metric":{"a":1},"value":[5,"1"]}]})"})
    for (const char* format : {"table", "csv", "promql"}) {
      INFO(text << " " << format);
      CHECK(rendered(text, format).starts_with("error: "));
    }
  CHECK(parse_query_format("xml").error().message == "\"xml\" is no format; write table, json, csv or promql");
}
