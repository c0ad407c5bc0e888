#include <catch2/catch.hpp>

#include "ingest/ingest.hpp"
#include "ingest/limits.hpp"
#include "ingest/sink_schema.hpp"
#include "ingest/text/inference.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::ingest;

namespace {

struct CountingLog final : Log {
  int lines = 0;
  void write(LogLevel, std::string_view, LogFields) override { ++lines; }
};

struct Fixture {
  test::ManualClock clock;
  test::MemoryStore store;
  CountingLog log;
  Registry registry;
  Sink sink{store, store, clock, log, registry};

  Decoded record(std::vector<std::pair<std::string, model::Value>> features, std::string id = "p1") {
    Decoded d;
    add_to(d, std::move(features), std::move(id));
    return d;
  }
  void add_to(Decoded& d, std::vector<std::pair<std::string, model::Value>> features, std::string id) {
    InferenceInput in;
    in.model = "iris";
    in.prediction_id = std::move(id);
    in.features = std::move(features);
    REQUIRE(add_inference(d.batch, std::move(in), clock.now_ns()));
  }
  int rows() {
    int n = 0;
    storage::EventQuery all;
    all.kind = model::EventKind::inference;
    REQUIRE(store.scan(all, [&](const storage::RowBlock& b) { return n += static_cast<int>(b.times_ns.size()), true; }));
    return n;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a feature keeps the type of its first row; the rest of the batch is stored") {
  Decoded batch = record({{"age", 4.5}, {"name", std::string("x")}}, "a");
  add_to(batch, {{"age", std::string("old")}}, "b");   // wrong
  add_to(batch, {{"age", std::monostate{}}}, "c");     // null fits
  add_to(batch, {{"age", true}}, "d");                 // bool is its own type
  add_to(batch, {{"age", 1.0}}, "e");
  const auto receipt = sink.accept("inferences", std::move(batch));
  REQUIRE(receipt);
  CHECK(receipt->rows == 3);
  REQUIRE(receipt->refused() == 2);
  CHECK(receipt->rejections[0].reason == "wrong_type");
  CHECK(receipt->rejections[0].message ==
        "model \"iris\" (prediction_id \"b\"): feature \"age\" is a number, got a string");
  CHECK(receipt->summary().starts_with("2 rows refused: "));
  CHECK(rows() == 3);
  CHECK(registry.render().find(R"(plumbline_ingest_refused_total{protocol="inferences",reason="wrong_type"} 2)") !=
        std::string::npos);
  CHECK(registry.render().find(R"(plumbline_ingest_rows_total{protocol="inferences"} 3)") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "known types survive a restart") {
  REQUIRE(sink.accept("inferences", record({{"age", 1.0}, {"tags", model::List{1, 2}}})));
  Sink again(store, store, clock, log, registry);
  REQUIRE(again.load());
  const auto receipt = again.accept("inferences", record({{"tags", 3.0}}));
  REQUIRE(receipt);
  CHECK(receipt->rows == 0);
  REQUIRE(receipt->refused() == 1);
  CHECK(receipt->rejections[0].message.find("feature \"tags\" is a list, got a number") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a failed write teaches nothing") {
  store.fail_writes(Error{Code::unavailable, "disk full"});
  const auto failed = sink.accept("inferences", record({{"age", 1.0}}));
  REQUIRE(!failed);
  CHECK(failed.error().code == Code::unavailable);
  store.fail_writes(std::nullopt);
  const auto receipt = sink.accept("inferences", record({{"age", std::string("young")}}));
  REQUIRE(receipt);
  CHECK(receipt->rows == 1);
}

TEST_CASE_METHOD(Fixture, "a damaged stored schema is said, a newer one too") {
  REQUIRE(store.put({{"ingest/schema/iris", std::string("\x01\x05", 2)}}));
  CHECK(sink.load().error().code == Code::corrupt);
  REQUIRE(store.put({{"ingest/schema/iris", std::string("\x09\x00", 2)}}));
  CHECK(sink.load().error().code == Code::unsupported);
}

TEST_CASE_METHOD(Fixture, "a model with too many features refuses the row that would pass the limit") {
  FeatureTypes many;
  for (std::size_t i = 0; i < FeatureSchema::features_max; ++i) many.emplace("f" + std::to_string(i), FeatureType::number);
  FeatureSchema schema;
  schema.learn({{"iris", many}});
  const auto verdict = schema.check(record({{"one more", 1.0}}).batch.events);
  REQUIRE(verdict.refused.size() == 1);
  CHECK(verdict.refused[0].reason == "too_many_features");
  CHECK(schema.check(record({{"f3", 1.0}}).batch.events).refused.empty());
}

TEST_CASE_METHOD(Fixture, "refusals are logged once a minute per protocol and reason") {
  REQUIRE(sink.accept("inferences", record({{"age", 1.0}})));
  for (int i = 0; i < 5; ++i) REQUIRE(sink.accept("inferences", record({{"age", true}})));
  CHECK(log.lines == 1);
  REQUIRE(sink.accept("grpc", record({{"age", true}})));
  CHECK(log.lines == 2);
  clock.advance(std::chrono::seconds(61));
  REQUIRE(sink.accept("inferences", record({{"age", true}})));
  CHECK(log.lines == 3);
}

TEST_CASE("rejections name the first ones of a reason and count the rest") {
  Rejections list;
  for (int i = 0; i < 100; ++i) list.add("bad", "row " + std::to_string(i));
  list.add("other", "row x", 7);
  CHECK(list.count() == 107);
  CHECK(!list.wants_message("bad"));
  CHECK(list.take().size() == limit::refusals_named_max + 1);
}
