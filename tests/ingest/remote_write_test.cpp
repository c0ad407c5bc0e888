// The generated classes encode, the receiver decodes: two readings of one wire format.
#include <catch2/catch.hpp>
#include <cmath>

#include "daemon/base/compression.hpp"
#include "ingest/remote_write.hpp"
#include "prometheus/remote_write.pb.h"
#include "tests/ingest/exemplars.hpp"
#include "tests/ingest/mutation.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::ingest;

namespace {

void label(prometheus::TimeSeries& series, std::string name, std::string value) {
  auto& l = *series.add_labels();
  l.set_name(std::move(name));
  l.set_value(std::move(value));
}

struct Fixture {
  test::ManualClock clock;
  test::MemoryStore store;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  Sink sink{store, store, clock, *log, registry};
  http::Routes routes = remote_write_routes(sink, Limits{});

  prometheus::TimeSeries& good(prometheus::WriteRequest& request, std::string name, double value) {
    auto& series = *request.add_timeseries();
    label(series, "__name__", std::move(name));
    label(series, "job", "api");
    auto& sample = *series.add_samples();
    sample.set_value(value);
    sample.set_timestamp(clock.now_ms());
    return series;
  }
  http::Response post(std::string body, http::Pairs headers = {{"content-type", "application/x-protobuf"},
                                                              {"content-encoding", "snappy"}}) {
    http::Request request;
    request.method = "POST";
    request.path = "/api/v1/write";
    request.headers = std::move(headers);
    request.body = std::move(body);
    return routes[0].handler(request);
  }
  http::Response post(const prometheus::WriteRequest& request) { return post(snappy(request.SerializeAsString())); }
  std::vector<std::pair<std::string, double>> stored() {
    std::vector<std::pair<std::string, double>> out;
    REQUIRE(store.select({{}, {}}, [&](const model::Labels& l, std::span<const model::Sample> s) {
      for (const auto& sample : s) out.emplace_back(l.str(), sample.v);
      return true;
    }));
    return out;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "remote write stores samples bit for bit and metadata") {
  prometheus::WriteRequest request;
  good(request, "a", 1.5);
  good(request, "b", model::stale_nan);
  good(request, "c", -0.0);
  auto& meta = *request.add_metadata();
  meta.set_metric_family_name("a");
  meta.set_type(prometheus::MetricMetadata::COUNTER);
  meta.set_help("helps");
  meta.set_unit("seconds");
  const http::Response response = post(request);
  CHECK(response.status == 204);
  CHECK(response.body.empty());
  const auto all = stored();
  REQUIRE(all.size() == 3);
  CHECK(all[0].first == R"(a{job="api"})");
  CHECK(model::is_stale(all[1].second));
  CHECK(std::signbit(all[2].second));
  const auto metadata = store.metadata("a");
  REQUIRE(metadata);
  REQUIRE(metadata->size() == 1);
  CHECK((*metadata)[0].type == "counter");
  CHECK((*metadata)[0].help == "helps");
}

TEST_CASE_METHOD(Fixture, "a bad series is named and the others are stored") {
  prometheus::WriteRequest request;
  good(request, "a", 1);
  auto& nameless = *request.add_timeseries();
  label(nameless, "job", "x");
  nameless.add_samples()->set_timestamp(clock.now_ms());
  auto& twice = good(request, "twice", 1);
  label(twice, "job", "again");
  auto& bytes = good(request, "bytes", 1);
  label(bytes, "bad", "\xff\xfe");
  auto& unnamed = good(request, "unnamed", 1);
  label(unnamed, "", "v");
  good(request, "z", 2);
  const http::Response response = post(request);
  CHECK(response.status == 400);
  INFO(response.body);
  CHECK(response.body.find("4 rows refused") != std::string::npos);
  CHECK(response.body.find("timeseries 1: ") != std::string::npos);
  CHECK(response.body.find("has no __name__") != std::string::npos);
  CHECK(response.body.find("label \"job\" more than once") != std::string::npos);
  CHECK(response.body.find("label \"bad\" is not valid UTF-8") != std::string::npos);
  CHECK(response.body.find("a label without a name") != std::string::npos);
  CHECK(stored().size() == 2);
  const std::string metrics = registry.render();
  for (const char* reason : {"missing_name", "duplicate_label", "invalid_utf8", "empty_label_name"})
    CHECK(metrics.find(std::string("reason=\"") + reason + "\"} 1") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "native histograms are stored, bad ones refused by name") {
  prometheus::WriteRequest request;
  auto& histogram = good(request, "h", 1);
  histogram.clear_samples();
  histogram.add_histograms()->set_sum(2);
  histogram.mutable_histograms(0)->set_timestamp(clock.now_ms());
  CHECK(post(request).status == 204);
  std::vector<double> sums;
  REQUIRE(store.select({{model::Matcher::equal("__name__", "h")}, {}}, [&](const model::Labels&, const storage::SeriesPoints& points) {
    for (const auto& s : points.histograms) sums.push_back(s.h.sum);
    return true;
  }));
  CHECK(sums == std::vector<double>{2});
  histogram.add_histograms()->set_schema(42);
  const http::Response response = post(request);
  CHECK(response.status == 400);
  CHECK(response.body.find("its schema is 42") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "exemplars are rows of their series; a bad one fails neither its sample nor the request") {
  prometheus::WriteRequest request;
  auto& series = good(request, "a", 1);
  auto& exemplar = *series.add_exemplars();
  exemplar.set_value(0.25);
  exemplar.set_timestamp(clock.now_ms() - 5);
  for (const auto& [name, value] : {std::pair{"trace_id", "4bf9"}, {"user", "7"}}) {
    exemplar.add_labels()->set_name(name);
    exemplar.mutable_labels(exemplar.labels_size() - 1)->set_value(value);
  }
  auto& bad = *series.add_exemplars();
  bad.set_timestamp(clock.now_ms());
  bad.add_labels()->set_name("trace_id");
  bad.mutable_labels(0)->set_value(std::string(121, 'x'));
  CHECK(post(request).status == 204);
  CHECK(stored().size() == 1);
  CHECK(registry.render().find("reason=\"exemplar_too_long\"} 1") != std::string::npos);
  const auto found = test::exemplars(store);
  REQUIRE(found.size() == 1);
  CHECK(found[0].first == "a{job=\"api\"}");
  CHECK(found[0].second.time_ns == (clock.now_ms() - 5) * 1'000'000);
  CHECK(found[0].second.fields == std::vector<model::Field>{
                                      {"value", 0.25}, {"trace_id", std::string("4bf9")}, {"exemplar.user", std::string("7")}});
}

TEST_CASE_METHOD(Fixture, "content types and encodings that are not remote write get 415") {
  const std::string body = snappy(prometheus::WriteRequest().SerializeAsString());
  CHECK(post(body).status == 204);
  CHECK(post(body, {}).status == 204);  // as Prometheus: an old sender without headers
  CHECK(post(body, {{"content-type", "application/json"}}).status == 415);
  CHECK(post(body, {{"content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"}}).status == 415);
  CHECK(post(body, {{"content-type", "application/x-protobuf"}, {"content-encoding", "gzip"}}).status == 415);
}

TEST_CASE_METHOD(Fixture, "bodies that lie about themselves are refused") {
  prometheus::WriteRequest request;
  good(request, "a", 1);
  const std::string message = request.SerializeAsString();
  const std::string body = snappy(message);
  CHECK(post(body.substr(0, body.size() / 2)).status == 400);
  CHECK(post(snappy(message.substr(0, message.size() - 3))).status == 400);
  CHECK(post("not snappy at all").status == 400);
  CHECK(post(std::string()).status == 400);
  // Declares 2 GiB in five bytes: refused from the declaration alone.
  CHECK(post(std::string("\xff\xff\xff\xff\x07", 5)).status == 413);
  CHECK(stored().empty());
}

TEST_CASE_METHOD(Fixture, "a store that cannot write now is 503 with Retry-After") {
  prometheus::WriteRequest request;
  good(request, "a", 1);
  store.fail_writes(Error{Code::unavailable, "disk full"});
  const http::Response response = post(request);
  CHECK(response.status == 503);
  bool retry = false;
  for (const auto& [name, value] : response.headers) retry = retry || name == "Retry-After";
  CHECK(retry);
}

TEST_CASE_METHOD(Fixture, "fields of a foreign wire type are skipped, not trusted") {
  // Field 1 as varint, field 3 as fixed32, then a good series.
  prometheus::WriteRequest request;
  good(request, "a", 1);
  const auto decoded = decode_remote_write(std::string("\x08\x01\x1d\x01\x02\x03\x04", 7) + request.SerializeAsString());
  REQUIRE(decoded);
  CHECK(decoded->batch.wire.series.size() == 1);
}

TEST_CASE_METHOD(Fixture, "remote write survives damaged bytes") {
  prometheus::WriteRequest request;
  for (int i = 0; i < 20; ++i) good(request, "metric_" + std::to_string(i), i).add_exemplars()->set_value(1);
  request.add_metadata()->set_metric_family_name("m");
  const std::string message = request.SerializeAsString();
  test::Mutator mutate(test::fuzz_seed());
  for (int i = 0; i < 20'000; ++i) {
    const std::string damaged = mutate(message);
    const auto decoded = decode_remote_write(damaged);
    if (decoded) REQUIRE(decoded->batch.series.size() + decoded->batch.wire.series.size() <= damaged.size());
  }
}
