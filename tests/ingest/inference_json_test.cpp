#include <catch2/catch.hpp>

#include "ingest/text/inference.hpp"
#include "ingest/text/inference_json.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using model::Value;

namespace {

constexpr std::int64_t now_ns = 1'700'000'000'000'000'000;

struct Decoding {
  Refusals refusals{"row"};
  JsonRows rows;
  std::string reasons() const {
    std::string out;
    for (const Rejection& r : refusals.by_reason())
      out += (out.empty() ? "" : ",") + r.reason + ":" + std::to_string(r.count);
    return out;
  }
};

Decoding decode(std::string_view body) {
  Decoding d;
  d.rows = decode_inferences(body, now_ns, d.refusals);
  return d;
}
Decoding labels(std::string_view body) {
  Decoding d;
  d.rows = decode_labels(body, now_ns, d.refusals);
  return d;
}

const model::Row& only_row(const Decoding& d) {
  INFO(d.refusals.summary());
  REQUIRE(d.refusals.count() == 0);
  REQUIRE(d.rows.batch.events.size() == 1);
  REQUIRE(d.rows.batch.events[0].rows.size() == 1);
  return d.rows.batch.events[0].rows[0];
}

Value get(const model::Row& row, std::string_view name) {
  const Value* v = row.find(name);
  return v == nullptr ? Value{std::string("<absent>")} : *v;
}

}  // namespace

TEST_CASE("a full record becomes the row of event.hpp", "[inference]") {
  const Decoding d = decode(R"({"model":"m","version":"3","prediction_id":"p1","time":"2024-05-01T10:00:00Z",
    "features":{"age":42,"income":1234.5,"country":"DE","member":true,"note":null,"embedding":[1,2.5,-3]},
    "prediction":1,"score":{"yes":0.75,"no":0.25},"label":"yes","segment":{"region":"eu"},
    "trace_id":"0AF7651916CD43DD8448EB211C80319C","span_id":"b7ad6b7169203331","latency_ms":12.5,"status":"ok"})");
  const model::Row& row = only_row(d);
  CHECK(d.rows.batch.events[0].kind == model::EventKind::inference);
  CHECK(d.rows.batch.events[0].stream.str() == R"({model="m", version="3"})");
  CHECK(row.time_ns == 1714557600000000000);
  CHECK(get(row, "prediction_id") == Value{std::string("p1")});
  CHECK(get(row, "feature.age") == Value{42.0});
  CHECK(get(row, "feature.income") == Value{1234.5});
  CHECK(get(row, "feature.country") == Value{std::string("DE")});
  CHECK(get(row, "feature.member") == Value{true});
  CHECK(get(row, "feature.note") == Value{});
  CHECK(get(row, "feature.embedding") == Value{model::List{1, 2.5, -3}});
  CHECK(get(row, "prediction") == Value{1.0});
  CHECK(get(row, "score.yes") == Value{0.75});
  CHECK(get(row, "score.no") == Value{0.25});
  CHECK(get(row, "label") == Value{std::string("yes")});
  CHECK(get(row, "segment.region") == Value{std::string("eu")});
  CHECK(get(row, "trace_id") == Value{std::string("0af7651916cd43dd8448eb211c80319c")});
  CHECK(get(row, "latency_ms") == Value{12.5});
  CHECK(get(row, "status") == Value{std::string("ok")});
}

TEST_CASE("model and features, or a prediction, are enough", "[inference]") {
  const Decoding d = decode(R"({"model":"m","prediction":"cat"})");
  const model::Row& row = only_row(d);
  CHECK(row.time_ns == now_ns);
  CHECK(row.fields.size() == 1);
  CHECK(row.find("prediction_id") == nullptr);
  CHECK(decode(R"({"model":"m","features":{"a":1}})").refusals.count() == 0);
}

TEST_CASE("numbers keep every bit a double has", "[inference]") {
  const Decoding d = decode(
      R"({"model":"m","features":{"a":9007199254740993,"b":0.1,"c":-0.0,"d":123456789012345678901234567890,"e":5e-324,"f":1e-400,"g":2.2250738585072011e-308}})");
  const model::Row& row = only_row(d);
  CHECK(get(row, "feature.a") == Value{9007199254740992.0});
  CHECK(get(row, "feature.b") == Value{0.1});
  CHECK(std::signbit(std::get<double>(get(row, "feature.c"))));
  CHECK(get(row, "feature.d") == Value{123456789012345678901234567890.0});
  CHECK(get(row, "feature.e") == Value{5e-324});
  CHECK(get(row, "feature.f") == Value{0.0});
  CHECK(get(row, "feature.g") == Value{2.2250738585072011e-308});
}

TEST_CASE("times are read by their magnitude, integers exactly", "[inference]") {
  struct Case {
    std::string_view time;
    std::int64_t ns;
  };
  const auto c = GENERATE(
      Case{"1700000000", 1'700'000'000'000'000'000}, Case{"1700000000123", 1'700'000'000'123'000'000},
      Case{"1700000000123456", 1'700'000'000'123'456'000},
      Case{"1700000000123456789", 1'700'000'000'123'456'789}, Case{"1700000000.5", 1'700'000'000'500'000'000},
      Case{"\"1700000000123456789\"", 1'700'000'000'123'456'789},
      Case{"\"2023-11-14T23:13:20+01:00\"", 1'700'000'000'000'000'000}, Case{"0", 0},
      Case{"-1", -1'000'000'000}, Case{"null", now_ns});
  INFO(c.time);
  CHECK(only_row(decode(R"({"model":"m","prediction":1,"time":)" + std::string(c.time) + "}")).time_ns ==
        c.ns);
}

TEST_CASE("a bad row is refused with its number and reason, the others stay", "[inference]") {
  struct Case {
    std::string_view row, reason, says;
  };
  const auto c = GENERATE(
      Case{R"({"features":{"a":1}})", "missing_model", "no model"},
      Case{R"({"model":"m"})", "missing_features", "neither"},
      Case{R"({"model":"m","features":{}})", "missing_features", "neither"},
      Case{R"({"model":"m","features":[1]})", "wrong_type", "features is an array"},
      Case{R"({"model":"m","features":{"a":{"b":1}}})", "wrong_type", "features.a is an object"},
      Case{R"({"model":"m","features":{"a":[1,"x"]}})", "wrong_type", "features.a[1] is a string"},
      Case{R"({"model":7,"features":{"a":1}})", "wrong_type", "model is a number"},
      Case{R"({"model":"m","features":{"a":1},"colour":1})", "unknown_key", "\"colour\""},
      Case{R"({"model":"m","features":{"a":1,"a":2}})", "duplicate_key", "\"a\""},
      Case{R"({"model":"m","model":"n","prediction":1})", "duplicate_key", "\"model\""},
      Case{R"({"model":"m","prediction":1,"time":"yesterday"})", "invalid_time", "yesterday"},
      Case{R"({"model":"m","prediction":1,"time":99999999999})", "invalid_time", "99999999999"},
      Case{R"({"model":"m","prediction":1,"time":{}})", "wrong_type", "time is an object"},
      Case{R"({"model":"m","prediction":1,"trace_id":"xyz"})", "invalid_id", "32 hex digits"},
      Case{R"({"model":"m","prediction":1,"span_id":"b7ad6b716920333100"})", "invalid_id", "16 hex digits"},
      Case{R"({"model":"m","prediction":1,"latency_ms":"fast"})", "wrong_type", "latency_ms is a string"},
      Case{R"({"model":"m","prediction":[1]})", "wrong_type", "prediction is an array"},
      Case{R"({"model":"m","prediction":1,"score":"high"})", "wrong_type", "score is not a number"},
      Case{R"({"model":"m","prediction":1,"score":{"a":"high"}})", "wrong_type", "is not a number"},
      Case{R"({"model":"m","features":{"a":1e999}})", "out_of_range", "features.a"},
      Case{R"({"model":"m","features":{"":1}})", "invalid_name", "empty name"},
      Case{R"([1])", "wrong_type", "the row is an array"},
      Case{R"("x")", "wrong_type", "the row is a string"},
      Case{R"({"model":"m","features":{"a":1})", "json", "offset"},
      Case{R"({"model":"m",})", "json", "offset"},
      Case{R"({"model":"m","features":{"a":NaN}})", "json", "offset"},
      Case{R"({"model":"m","features":{"a":01}})", "json", "offset"},
      Case{"{\"model\":\"\xff\"}", "json", "offset"},
      Case{R"({"model":"m","features":{"a":[[[[[[1]]]]]]}})", "json", "nested"});
  INFO(c.row);
  const Decoding d = decode(R"({"model":"m","prediction":1})"
                            "\n\n" +
                            std::string(c.row) +
                            "\n"
                            R"({"model":"m","prediction":2})");
  CHECK(d.rows.rows == 3);
  CHECK(d.reasons() == std::string(c.reason) + ":1");
  REQUIRE_FALSE(d.refusals.by_reason().empty());
  const std::string message = d.refusals.by_reason()[0].message;
  INFO(message);
  CHECK(message.find("row 2: ") == 0);
  CHECK(message.find(c.says) != std::string::npos);
  REQUIRE(d.rows.batch.events.size() == 1);
  CHECK(d.rows.batch.events[0].rows.size() == 2);
}

TEST_CASE("a JSON array, one record over several lines, and NDJSON are all rows", "[inference]") {
  CHECK(
      decode(R"( [{"model":"m","prediction":1}, {"model":"n","prediction":1}] )").rows.batch.events.size() ==
      2);
  CHECK(decode("[]").rows.rows == 0);
  CHECK(decode("").rows.rows == 0);
  CHECK(decode("{\n \"model\": \"m\",\n \"prediction\": 1\n}\n").rows.rows == 1);
  const Decoding bad_second =
      decode(R"([{"model":"m","prediction":1},{"model":"m"},{"model":"m","prediction":1}])");
  CHECK(bad_second.reasons() == "missing_features:1");
  CHECK(bad_second.rows.batch.events[0].rows.size() == 2);
}

TEST_CASE("an array with broken JSON is refused whole and counts its rows", "[inference]") {
  const Decoding d = decode(R"([{"model":"m","prediction":1},{"model":"m","prediction":2},{"model":)");
  CHECK(d.rows.batch.empty());
  CHECK(d.rows.rows == 3);
  CHECK(d.refusals.count() == 3);
  CHECK(d.refusals.by_reason()[0].message.find("row 3: ") == 0);
}

TEST_CASE("late labels", "[inference]") {
  const Decoding d = labels(
      "{\"model\":\"m\",\"prediction_id\":\"p\",\"label\":1,\"time\":1700000000}\n"
      "{\"model\":\"m\",\"prediction_id\":7,\"label\":\"cat\"}\n{\"model\":\"m\",\"label\":true}\n"
      "{\"model\":\"m\",\"prediction_id\":\"p\"}\n{\"prediction_id\":\"p\",\"label\":1}\n"
      "{\"model\":\"m\",\"prediction_id\":\"p\",\"label\":[1]}\n{\"model\":\"m\",\"prediction_id\":\"p\","
      "\"label\":1,\"x\":1}");
  REQUIRE(d.rows.batch.labels.size() == 2);
  CHECK(d.rows.batch.labels[0].label == Value{1.0});
  CHECK(d.rows.batch.labels[0].time_ns == 1'700'000'000'000'000'000);
  CHECK(d.rows.batch.labels[1].prediction_id == "7");
  CHECK(d.rows.batch.labels[1].time_ns == now_ns);
  CHECK(d.reasons() == "missing_prediction_id:1,missing_label:1,missing_model:1,wrong_type:1,unknown_key:1");
}

TEST_CASE("add_inference leaves the batch alone when it refuses", "[inference]") {
  storage::WriteBatch batch;
  InferenceInput bad;
  bad.model = "m";
  CHECK_FALSE(add_inference(batch, bad, now_ns));
  bad.features = {{std::string(300, 'x'), Value{1.0}}};
  const auto too_long = add_inference(batch, bad, now_ns);
  REQUIRE_FALSE(too_long);
  CHECK(refusal_of(too_long.error(), "record 4").reason == "too_long");
  CHECK(refusal_of(too_long.error(), "record 4").message.find("record 4: feature") == 0);
  CHECK(batch.empty());

  InferenceInput good;
  good.model = "m";
  good.features = {{"a", Value{std::int64_t{7}}}};
  good.trace_id = std::string(32, '0');
  REQUIRE(add_inference(batch, good, now_ns));
  REQUIRE(add_inference(batch, good, now_ns));
  REQUIRE(batch.events.size() == 1);
  CHECK(batch.events[0].rows.size() == 2);
  CHECK(batch.events[0].rows[0].fields == std::vector<model::Field>{{"feature.a", Value{7.0}}});
}
