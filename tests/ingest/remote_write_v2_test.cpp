// Remote write 2.0 through the door of /api/v1/write: the generated classes encode, the receiver decodes.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "daemon/base/compression.hpp"
#include "ingest/remote_write.hpp"
#include "prometheus/remote_write.pb.h"
#include "prometheus/remote_write_v2.pb.h"
#include "tests/ingest/exemplars.hpp"
#include "tests/ingest/mutation.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
namespace v2 = io::prometheus::write::v2;

namespace {

// A request and its table of symbols, as a sender fills them.
struct Request {
  v2::Request message;
  std::map<std::string, std::uint32_t> refs;

  Request() { ref(""); }
  std::uint32_t ref(const std::string& text) {
    const auto [it, fresh] = refs.try_emplace(text, static_cast<std::uint32_t>(message.symbols_size()));
    if (fresh) message.add_symbols(text);
    return it->second;
  }
  v2::TimeSeries& series(std::initializer_list<std::pair<std::string, std::string>> labels) {
    auto& out = *message.add_timeseries();
    for (const auto& [name, value] : labels) {
      out.add_labels_refs(ref(name));
      out.add_labels_refs(ref(value));
    }
    return out;
  }
};

struct Fixture {
  test::ManualClock clock;
  test::MemoryStore store;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  Sink sink{store, store, clock, *log, registry};
  http::Routes routes = remote_write_routes(sink, Limits{});

  v2::TimeSeries& good(Request& request, const std::string& name, double value) {
    auto& series = request.series({{"__name__", name}, {"job", "api"}});
    auto& sample = *series.add_samples();
    sample.set_value(value);
    sample.set_timestamp(clock.now_ms());
    sample.set_start_timestamp(clock.now_ms() - 1000);
    return series;
  }
  http::Response post_bytes(const std::string& message,
                            std::string type = "application/x-protobuf;proto=io.prometheus.write.v2.Request") {
    http::Request request;
    request.method = "POST";
    request.path = "/api/v1/write";
    request.headers = {{"content-type", std::move(type)},
                       {"content-encoding", "snappy"},
                       {"x-prometheus-remote-write-version", "2.0.0"}};
    request.body = snappy(message);
    return routes[0].handler(request);
  }
  http::Response post(const Request& request) { return post_bytes(request.message.SerializeAsString()); }
  std::map<std::string, double> stored() {
    std::map<std::string, double> out;
    REQUIRE(store.select({{}, {}}, [&](const model::Labels& l, std::span<const model::Sample> s) {
      for (const auto& sample : s) out[l.str()] = sample.v;
      return true;
    }));
    return out;
  }
};

std::string header(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "absent";
}

void check_written(const http::Response& response, std::string_view samples, std::string_view exemplars = "0") {
  CHECK(header(response, "X-Prometheus-Remote-Write-Samples-Written") == samples);
  CHECK(header(response, "X-Prometheus-Remote-Write-Histograms-Written") == "0");
  CHECK(header(response, "X-Prometheus-Remote-Write-Exemplars-Written") == exemplars);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "remote write 2.0 stores samples bit for bit and says how many") {
  Request request;
  good(request, "a", 1.5);
  good(request, "b", model::stale_nan);
  good(request, "c", -0.0);
  const http::Response response = post(request);
  CHECK(response.status == 204);
  check_written(response, "3");
  const auto all = stored();
  REQUIRE(all.size() == 3);
  CHECK(all.at(R"(a{job="api"})") == 1.5);
  CHECK(model::is_stale(all.at(R"(b{job="api"})")));
  CHECK(std::signbit(all.at(R"(c{job="api"})")));
}

TEST_CASE_METHOD(Fixture, "remote write 2.0 stores histograms beside samples and says how many") {
  Request request;
  good(request, "a", 1.5);
  auto& series = request.series({{"__name__", "h"}});
  for (const int count : {3, 5}) {
    auto& h = *series.add_histograms();
    h.set_count_int(static_cast<std::uint64_t>(count));
    h.set_sum(2.5);
    h.set_timestamp(clock.now_ms() + count);
    auto& span = *h.add_positive_spans();
    span.set_offset(-1);
    span.set_length(1);
    h.add_positive_deltas(count);
  }
  const http::Response response = post(request);
  CHECK(response.status == 204);
  CHECK(header(response, "X-Prometheus-Remote-Write-Samples-Written") == "1");
  CHECK(header(response, "X-Prometheus-Remote-Write-Histograms-Written") == "2");
  std::vector<double> counts;
  REQUIRE(store.select({{model::Matcher::equal("__name__", "h")}, {}}, [&](const model::Labels&, const storage::SeriesPoints& points) {
    for (const auto& s : points.histograms) counts.push_back(s.h.positive.at(0));
    return true;
  }));
  CHECK(counts == std::vector<double>{3, 5});
}

TEST_CASE_METHOD(Fixture, "metadata of 2.0 is kept by metric family") {
  Request request;
  const auto describe = [&](v2::TimeSeries& series, v2::Metadata::MetricType type, const std::string& help) {
    series.mutable_metadata()->set_type(type);
    series.mutable_metadata()->set_help_ref(request.ref(help));
    series.mutable_metadata()->set_unit_ref(request.ref("seconds"));
  };
  describe(good(request, "requests_total", 1), v2::Metadata::COUNTER, "Requests.");
  for (const char* name : {"took_bucket", "took_sum", "took_count"})
    describe(good(request, name, 1), v2::Metadata::HISTOGRAM, "How long.");
  describe(good(request, "size_count", 1), v2::Metadata::SUMMARY, "Sizes.");
  describe(good(request, "queue_count", 1), v2::Metadata::GAUGE, "A gauge that is called so.");
  good(request, "plain", 1).mutable_metadata();
  CHECK(post(request).status == 204);
  const auto all = store.metadata("");
  REQUIRE(all);
  std::vector<std::string> got;
  for (const auto& m : *all) got.push_back(m.metric + "|" + m.type + "|" + m.help + "|" + m.unit);
  std::sort(got.begin(), got.end());
  CHECK(got == std::vector<std::string>{"queue_count|gauge|A gauge that is called so.|seconds",
                                        "requests_total|counter|Requests.|seconds", "size|summary|Sizes.|seconds",
                                        "took|histogram|How long.|seconds"});
}

TEST_CASE_METHOD(Fixture, "a series of 2.0 with bad references is named and the others are stored") {
  Request request;
  good(request, "a", 1);
  good(request, "outside", 1).set_labels_refs(3, 999);
  good(request, "odd", 1).add_labels_refs(1);
  request.series({{"job", "nameless"}}).add_samples()->set_timestamp(clock.now_ms());
  auto& described = good(request, "described", 2);
  described.mutable_metadata()->set_type(v2::Metadata::GAUGE);
  described.mutable_metadata()->set_help_ref(500);
  const http::Response response = post(request);
  INFO(response.body);
  CHECK(response.status == 400);
  check_written(response, "2");
  CHECK(response.body.find("timeseries 1: a label refers to symbol 999, the table has ") != std::string::npos);
  CHECK(response.body.find("timeseries 2: labels_refs has 5 entries; names and values come in pairs") != std::string::npos);
  CHECK(response.body.find("timeseries 3: ") != std::string::npos);
  CHECK(response.body.find("timeseries 4: its metadata refers to symbol 500") != std::string::npos);
  CHECK(stored().size() == 2);
  CHECK(registry.render().find("reason=\"bad_symbol\"} 3") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "2.0 refuses bad native histograms by name") {
  Request request;
  good(request, "a", 1);
  http::Response response;
  request.series({{"__name__", "h"}}).add_histograms()->set_schema(42);
  response = post(request);
  CHECK(response.status == 400);
  check_written(response, "1");
  CHECK(response.body.find("timeseries 1 h: its schema is 42") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "2.0 stores exemplars, and refuses those whose symbols are not there without failing the request") {
  Request request;
  auto& series = good(request, "a", 1);
  auto& exemplar = *series.add_exemplars();
  exemplar.set_value(3);
  exemplar.set_timestamp(clock.now_ms());
  exemplar.add_labels_refs(request.ref("trace_id"));
  exemplar.add_labels_refs(request.ref("4bf9"));
  auto& lost = *series.add_exemplars();
  lost.add_labels_refs(7000);
  lost.add_labels_refs(7001);
  const http::Response response = post(request);
  CHECK(response.status == 204);
  check_written(response, "1", "1");
  CHECK(registry.render().find("reason=\"exemplar_bad_symbol\"} 1") != std::string::npos);
  const auto found = test::exemplars(store);
  REQUIRE(found.size() == 1);
  CHECK(found[0].second.fields == std::vector<model::Field>{{"value", 3.0}, {"trace_id", std::string("4bf9")}});
}

TEST_CASE_METHOD(Fixture, "a table of symbols that does not start empty fails the request") {
  Request request;
  good(request, "a", 1);
  request.message.set_symbols(0, "x");
  const http::Response response = post(request);
  CHECK(response.status == 400);
  check_written(response, "0");
  CHECK(response.body.find("symbols[0] must be the empty string") != std::string::npos);
  CHECK(stored().empty());
}

TEST_CASE_METHOD(Fixture, "references may stand unpacked, and before their symbols") {
  Request request;
  good(request, "a", 7);
  v2::Request table;
  for (const auto& s : request.message.symbols()) table.add_symbols(s);
  v2::Request rest = request.message;
  rest.clear_symbols();
  CHECK(post_bytes(rest.SerializeAsString() + table.SerializeAsString()).status == 204);
  CHECK(stored().size() == 1);

  // labels_refs 1, 2 as two varint fields instead of one packed one, and no samples: read, and nothing to store.
  const std::string series("\x08\x01\x08\x02", 4);
  const auto decoded = decode_remote_write_v2(table.SerializeAsString() + std::string("\x2a\x04", 2) + series);
  REQUIRE(decoded);
  CHECK(decoded->rejections.empty());
}

TEST_CASE_METHOD(Fixture, "the proto parameter chooses the version") {
  Request request;
  good(request, "a", 1);
  const std::string message = request.message.SerializeAsString();
  CHECK(post_bytes(message, "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"; q=1").status == 204);
  CHECK(stored().size() == 1);
  const auto unknown = post_bytes(message, "application/x-protobuf;proto=io.prometheus.write.v3.Request");
  CHECK(unknown.status == 415);
  CHECK(unknown.body.find("io.prometheus.write.v2.Request (2.0)") != std::string::npos);
  CHECK(header(unknown, "X-Prometheus-Remote-Write-Samples-Written") == "absent");
  // Answers to 1.0 must not have the headers: its senders would take them for those of 2.0.
  const auto v1 = post_bytes(prometheus::WriteRequest().SerializeAsString(), "application/x-protobuf;proto=prometheus.WriteRequest");
  CHECK(v1.status == 204);
  CHECK(header(v1, "X-Prometheus-Remote-Write-Samples-Written") == "absent");
}

TEST_CASE_METHOD(Fixture, "labels that a few bytes ask for do not become megabytes") {
  Request request;
  good(request, "a", 1);
  const std::uint32_t large = request.ref(std::string(1u << 20, 'x'));
  for (int i = 0; i < 3; ++i) {
    auto& series = good(request, "b", 1);
    series.add_labels_refs(request.ref("l"));
    series.add_labels_refs(large);
  }
  auto& many = good(request, "c", 1);
  for (int i = 0; i < 5000; ++i) many.add_labels_refs(1);
  const auto decoded = decode_remote_write_v2(request.message.SerializeAsString());
  REQUIRE(decoded);
  CHECK(decoded->batch.series.size() == 1);
  REQUIRE(decoded->rejections.size() >= 2);
  CHECK(decoded->rejections.front().reason == "label_too_long");
  CHECK(decoded->rejections.back().reason == "too_many_labels");
}

TEST_CASE_METHOD(Fixture, "remote write 2.0 survives damaged bytes") {
  Request request;
  for (int i = 0; i < 20; ++i) {
    auto& series = good(request, "metric_" + std::to_string(i), i);
    series.add_exemplars()->set_value(1);
    series.mutable_metadata()->set_type(v2::Metadata::GAUGE);
    series.mutable_metadata()->set_help_ref(request.ref("help " + std::to_string(i)));
  }
  const std::string message = request.message.SerializeAsString();
  test::Mutator mutate(test::fuzz_seed());
  for (int i = 0; i < 20'000; ++i) {
    const std::string damaged = mutate(message);
    const auto decoded = decode_remote_write_v2(damaged);
    if (decoded) REQUIRE(decoded->batch.series.size() <= damaged.size());
  }
}
