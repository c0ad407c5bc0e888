#include <catch2/catch.hpp>
#include <protozero/pbf_writer.hpp>

#include "ingest/text/label_text.hpp"
#include "ingest/text/log_level.hpp"
#include "ingest/text/loki.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using model::Labels;

namespace {

struct Decoding {
  Refusals refusals{"entry"};
  storage::WriteBatch batch;
  std::size_t streams = 0;
  Status status;
};

Decoding json(std::string_view body) {
  Decoding d;
  LokiRows rows(d.refusals);
  d.status = decode_loki_json(body, rows);
  d.streams = rows.streams();
  d.batch = rows.take();
  return d;
}
Decoding protobuf(std::string_view body) {
  Decoding d;
  LokiRows rows(d.refusals);
  d.status = decode_loki_protobuf(body, rows);
  d.streams = rows.streams();
  d.batch = rows.take();
  return d;
}

std::string text(const model::Row& row, std::string_view name) {
  const model::Value* v = row.find(name);
  return v == nullptr ? "<absent>" : std::get<std::string>(*v);
}

struct Entry {
  std::int64_t seconds;
  std::int32_t nanos;
  std::string line;
  std::vector<std::pair<std::string, std::string>> metadata;
};

std::string push_message(const std::string& labels, const std::vector<Entry>& entries) {
  std::string out;
  protozero::pbf_writer request(out);
  protozero::pbf_writer stream(request, 1);
  stream.add_string(1, labels);
  for (const Entry& e : entries) {
    protozero::pbf_writer entry(stream, 2);
    {
      protozero::pbf_writer time(entry, 1);
      time.add_int64(1, e.seconds);
      time.add_int32(2, e.nanos);
    }
    entry.add_string(2, e.line);
    for (const auto& [name, value] : e.metadata) {
      protozero::pbf_writer pair(entry, 3);
      pair.add_string(1, name);
      pair.add_string(2, value);
    }
  }
  stream.add_uint64(3, 42);
  stream.commit();
  return out;
}

}  // namespace

TEST_CASE("Loki JSON becomes rows", "[loki]") {
  const Decoding d = json(
      R"({"streams":[{"stream":{"app":"x","env":"prod"},"values":[["1570818238000000000","level=warn fizzbuzz"],
    ["1570818238000000001","l2",{"trace_id":"0242AC1200020242AC12000202420242","user.id":"u1","line":"z"}]]}]})");
  REQUIRE(d.status);
  CHECK(d.refusals.count() == 0);
  REQUIRE(d.batch.events.size() == 1);
  CHECK(d.batch.events[0].stream.str() == R"({app="x", env="prod", service_name="x"})");
  REQUIRE(d.batch.events[0].rows.size() == 2);
  const model::Row& first = d.batch.events[0].rows[0];
  CHECK(first.time_ns == 1570818238000000000);
  CHECK(text(first, "line") == "level=warn fizzbuzz");
  CHECK(text(first, "detected_level") == "warn");
  const model::Row& second = d.batch.events[0].rows[1];
  CHECK(text(second, "trace_id") == "0242ac1200020242ac12000202420242");
  CHECK(text(second, "user_id") == "u1");
  CHECK(text(second, "line") == "l2");
  CHECK(text(second, "line_extracted") == "z");
  CHECK(text(second, "detected_level") == "unknown");
}

TEST_CASE("bad Loki entries are named, the good ones stay", "[loki]") {
  struct Case {
    std::string_view entry, reason;
  };
  const auto c =
      GENERATE(Case{R"([1570818238000000000,"x"])", "invalid_time"}, Case{R"(["soon","x"])", "invalid_time"},
               Case{R"(["1",2])", "wrong_type"}, Case{R"(["1"])", "wrong_type"},
               Case{R"(["1","x",{"a":1}])", "wrong_type"}, Case{R"(["1","x",[]])", "wrong_type"},
               Case{R"({})", "wrong_type"}, Case{R"(["1","x",{},{}])", "wrong_type"},
               Case{R"(["1","x",{"":"y"}])", "invalid_metadata"},
               Case{R"(["99999999999999999999","x"])", "invalid_time"});
  INFO(c.entry);
  const Decoding d = json(R"({"streams":[{"stream":{"a":"b"},"values":[["1","good"],)" +
                          std::string(c.entry) + R"(,["2","good"]]}]})");
  REQUIRE(d.status);
  REQUIRE(d.refusals.by_reason().size() == 1);
  CHECK(d.refusals.by_reason()[0].reason == c.reason);
  CHECK(d.refusals.by_reason()[0].message.find("stream 1, entry 2: ") == 0);
  REQUIRE(d.batch.events.size() == 1);
  CHECK(d.batch.events[0].rows.size() == 2);
}

TEST_CASE("a stream with bad labels refuses its entries only", "[loki]") {
  const auto stream =
      GENERATE(as<std::string>{}, R"("stream":{"a-b":"c"})", R"("stream":{})", R"("stream":{"a":1})",
               R"("stream":[])", R"("labels":"{a=")", R"("nothing":1)", R"("stream":{"a":"b","a":"c"})");
  INFO(stream);
  const Decoding d = json("{\"streams\":[{" + stream +
                          R"(,"values":[["1","x"],["2","y"]]},{"stream":{"a":"b"},"values":[["1","x"]]}]})");
  REQUIRE(d.status);
  CHECK(d.refusals.count() == 2);
  CHECK(d.batch.events.size() == 1);
}

TEST_CASE("broken Loki JSON names the offset, an empty push has no streams", "[loki]") {
  const Decoding broken = json(R"({"streams":[{"stream":{"a":"b"},"values":[["1","x"])");
  REQUIRE_FALSE(broken.status);
  CHECK(broken.status.error().message.find("offset") != std::string::npos);
  CHECK_FALSE(json("[]").status);
  CHECK_FALSE(json(R"({"streams":{}})").status);
  CHECK(json("{}").streams == 0);
  CHECK(json(R"({"streams":[]})").streams == 0);
}

TEST_CASE("long lines and much metadata are refused", "[loki]") {
  const std::string fits(loki_limits::line_bytes_max, 'x');
  CHECK(json(R"({"streams":[{"stream":{"a":"b"},"values":[["1",")" + fits + R"("]]}]})").refusals.count() ==
        0);
  CHECK(json(R"({"streams":[{"stream":{"a":"b"},"values":[["1",")" + fits + R"(y"]]}]})")
            .refusals.by_reason()[0]
            .reason == "line_too_long");
  Entry entry{1, 0, "x", {}};
  for (int i = 0; i < 200; ++i) entry.metadata.emplace_back("k" + std::to_string(i), "v");
  CHECK(protobuf(push_message("{a=\"b\"}", {entry})).refusals.by_reason()[0].reason == "too_much_metadata");
}

TEST_CASE("the form of /api/prom/push is read too", "[loki]") {
  const Decoding d = json(
      R"({"streams":[{"labels":"{job=\"j\"}","entries":[{"ts":"2024-05-01T10:00:00.000000001Z","line":"x"},{"ts":1,"line":"y"}]}]})");
  REQUIRE(d.batch.events.size() == 1);
  CHECK(d.batch.events[0].rows[0].time_ns == 1714557600000000001);
  CHECK(d.refusals.count() == 1);
}

TEST_CASE("Loki protobuf becomes rows", "[loki]") {
  const Decoding d = protobuf(push_message(
      "{app=\"x\", b=`y`}",
      {{1700000000, 5, "hello", {{"k", "v"}, {"detected_level", "ERR"}}}, {1, 1'000'000'000, "bad", {}}}));
  REQUIRE(d.status);
  REQUIRE(d.batch.events.size() == 1);
  CHECK(d.batch.events[0].stream.str() == R"({app="x", b="y", service_name="x"})");
  REQUIRE(d.batch.events[0].rows.size() == 1);
  CHECK(d.batch.events[0].rows[0].time_ns == 1700000000000000005);
  CHECK(text(d.batch.events[0].rows[0], "k") == "v");
  CHECK(text(d.batch.events[0].rows[0], "detected_level") == "error");
  CHECK(d.refusals.by_reason()[0].reason == "invalid_time");
  const std::string good = push_message("{a=\"b\"}", {{1, 0, "x", {}}});
  CHECK_FALSE(protobuf(good.substr(0, good.size() - 5)).status);
  CHECK(protobuf(push_message("{a=\"b\"}", {{1, 0, "\xff", {}}})).refusals.by_reason()[0].reason ==
        "invalid_utf8");
}

TEST_CASE("label text", "[loki]") {
  const auto good = parse_label_text(R"( { a = "x" , b="\"\\\n\t\u00e9\x41\101", c=`raw\n`, } )");
  REQUIRE(good);
  CHECK(*good == std::vector<model::Label>{{"a", "x"},
                                           {"b",
                                            "\"\\\n\té"
                                            "AA"},
                                           {"c", "raw\\n"}});
  CHECK(parse_label_text("{}"));
  for (const std::string_view bad :
       {"", "{", "{a}", "{a=}", "{a=\"x\"", "{a=\"x}", "{a=\"x\"} y", "{1a=\"x\"}", "{a=~\"x\"}",
        "{a=\"\\q\"}", "{a=\"\\u12\"}", "{a=\"\\ud800\"}", "{a=\"x\" b=\"y\"}", "{a=`x}"}) {
    INFO(bad);
    const auto r = parse_label_text(bad);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find("column") != std::string::npos);
  }
}

TEST_CASE("the level is found as Loki finds it", "[loki]") {
  struct Case {
    std::string_view line, level;
  };
  const auto c = GENERATE(Case{"level=INFO msg=x", "info"}, Case{"msg=x lvl=\"dbg\"", "debug"},
                          Case{"severity=wrn level=err", "error"}, Case{"a=b", "unknown"},
                          Case{R"({"level":"Critical","a":1})", "critical"},
                          Case{R"({"log":{"severity":"FATAL"}})", "fatal"},
                          Case{R"({"a":{"b":{"level":"info"}}})", "info"}, Case{R"({"level":3})", "unknown"},
                          Case{"[ERROR] x", "error"}, Case{"WARN: x", "warn"}, Case{"warning x", "warn"},
                          Case{"DEBUG x", "debug"}, Case{"an error occurred", "unknown"},
                          Case{"INFO x", "info"}, Case{"", "unknown"}, Case{"critical: x", "critical"});
  INFO(c.line);
  CHECK(detect_level({}, {}, c.line) == c.level);
}

TEST_CASE("a level label or field comes before the line", "[loki]") {
  const std::vector<model::Field> fields{{"severity", model::Value{std::string("Warning")}}};
  CHECK(detect_level(Labels::of({{"level", "notice"}}), fields, "level=error") == "notice");
  CHECK(detect_level({}, fields, "level=error") == "warn");
  CHECK(detect_level({}, std::vector<model::Field>{{"severity_number", model::Value{std::string("17")}}},
                     "level=info") == "error");
}

TEST_CASE("a service name is found", "[loki]") {
  CHECK(discover_service_name(Labels::of({{"job", "j"}, {"app", "a"}})) == "a");
  CHECK(discover_service_name(Labels::of({{"x", "y"}})) == "unknown_service");
  const Decoding d = json(R"({"streams":[{"stream":{"app":"a","service_name":"s"},"values":[["1","x"]]}]})");
  CHECK(d.batch.events[0].stream.get("service_name") == "s");
}
