// The Histogram message of remote write: the generated class encodes, the receiver decodes and checks.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "ingest/remote_write.hpp"
#include "ingest/remote_write_histogram.hpp"
#include "prometheus/remote_write.pb.h"
#include "prometheus/remote_write_v2.pb.h"
#include "tests/ingest/mutation.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using remote_write::read_histogram;

namespace {

prometheus::Histogram integers() {
  prometheus::Histogram h;
  h.set_count_int(21);
  h.set_sum(18.4);
  h.set_schema(1);
  h.set_zero_threshold(0.001);
  h.set_zero_count_int(2);
  const auto span = [](prometheus::BucketSpan& s, int offset, unsigned length) {
    s.set_offset(offset);
    s.set_length(length);
  };
  span(*h.add_positive_spans(), -3, 2);
  span(*h.add_positive_spans(), 1, 2);
  for (const int d : {1, 1, -1, 0}) h.add_positive_deltas(d);  // 1, 2, 1, 1
  span(*h.add_negative_spans(), 0, 2);
  for (const int d : {5, 4}) h.add_negative_deltas(d);  // 5, 9
  h.set_reset_hint(prometheus::Histogram::RESET_NO);
  h.set_timestamp(1'700'000'000'123);
  return h;
}

std::string trouble(const prometheus::Histogram& h) {
  const auto read = read_histogram(h.SerializeAsString());
  if (read) return "";
  CHECK(read.error().reason == "bad_histogram");
  return read.error().message;
}

}  // namespace

TEST_CASE("an integer histogram's differences become counts", "[remote_write][histogram]") {
  const auto read = read_histogram(integers().SerializeAsString());
  REQUIRE(read);
  CHECK(read->t == 1'700'000'000'123);
  const model::Histogram& h = read->h;
  CHECK(h.is_integer);
  CHECK(h.reset == model::ResetHint::no_reset);
  CHECK(h.layout.schema == 1);
  CHECK(h.layout.zero_threshold == 0.001);
  CHECK(h.layout.positive_spans == std::vector<model::BucketSpan>{{-3, 2}, {1, 2}});
  CHECK(h.positive == std::vector<double>{1, 2, 1, 1});
  CHECK(h.negative == std::vector<double>{5, 9});
  CHECK(h.zero_count == 2);
  CHECK(h.count == 21);
  CHECK(h.sum == 18.4);
}

TEST_CASE("float histograms, custom buckets and stale markers are read", "[remote_write][histogram]") {
  prometheus::Histogram h;
  h.set_schema(-53);
  h.set_count_float(3.5);
  h.set_sum(2);
  for (const double b : {0.5, 1.0}) h.add_custom_values(b);
  auto& span = *h.add_positive_spans();
  span.set_offset(1);
  span.set_length(2);
  for (const double c : {1.5, 2.0}) h.add_positive_counts(c);
  const auto read = read_histogram(h.SerializeAsString());
  REQUIRE(read);
  CHECK_FALSE(read->h.is_integer);
  CHECK(read->h.layout.custom_bounds == std::vector<double>{0.5, 1.0});
  CHECK(read->h.positive == std::vector<double>{1.5, 2.0});

  prometheus::Histogram stale;
  stale.set_sum(model::stale_nan);
  const auto marker = read_histogram(stale.SerializeAsString());
  REQUIRE(marker);
  CHECK(marker->h.is_stale());
}

TEST_CASE("malformed histograms are refused with the place", "[remote_write][histogram]") {
  const auto broken = [](const auto& damage) {
    prometheus::Histogram h = integers();
    damage(h);
    return trouble(h);
  };
  using Message = prometheus::Histogram;
  CHECK(broken([](Message&) {}) == "");
  CHECK(broken([](Message& h) { h.set_schema(42); }) == "its schema is 42; known are -4 to 8, and -53 for custom buckets");
  CHECK(broken([](Message& h) { h.add_positive_deltas(1); }) == "its positive spans name 4 buckets, it has counts of 5");
  CHECK(broken([](Message& h) { h.set_positive_deltas(1, -7); }) == "positive bucket 1 is -6; counts are not negative");
  CHECK(broken([](Message& h) { h.mutable_positive_spans(0)->set_length(0xffffffff); }) ==
        "its positive spans name more than 8192 buckets");
  CHECK(broken([](Message& h) { h.set_count_int(20); }) == "21 observations in its buckets, its count is 20");
  // 2^53 + 1 is no double: it must not pass as 2^53.
  CHECK(broken([](Message& h) { h.set_count_int((1ull << 53) + 1); }).ends_with("integer counts are below 2^53"));
  CHECK(broken([](Message& h) {
          h.set_negative_deltas(0, std::numeric_limits<std::int64_t>::max());
          h.set_negative_deltas(1, std::numeric_limits<std::int64_t>::max());
        }) == "its bucket differences add up to more than 64 bits");
  CHECK(broken([](Message& h) {
          for (int i = 0; i < 9000; ++i) h.add_positive_deltas(0);
        }) == "it has more than 8192 buckets, spans or bounds on a side");
}

TEST_CASE("both versions keep good histograms and refuse bad ones", "[remote_write][histogram]") {
  prometheus::Histogram bad = integers();
  bad.set_schema(9);
  prometheus::WriteRequest v1;
  auto& series = *v1.add_timeseries();
  series.add_labels()->set_name("__name__");
  series.mutable_labels(0)->set_value("h");
  *series.add_histograms() = integers();
  *series.add_histograms() = bad;
  *series.add_histograms() = bad;

  io::prometheus::write::v2::Request v2;
  for (const char* s : {"", "__name__", "h"}) v2.add_symbols(s);
  auto& series2 = *v2.add_timeseries();
  for (const unsigned ref : {1u, 2u}) series2.add_labels_refs(ref);
  for (const auto& h : series.histograms()) REQUIRE(series2.add_histograms()->ParseFromString(h.SerializeAsString()));

  for (const auto& decoded : {decode_remote_write(v1.SerializeAsString()), decode_remote_write_v2(v2.SerializeAsString())}) {
    REQUIRE(decoded);
    REQUIRE(decoded->rejections.size() == 1);
    CHECK(decoded->rejections[0].reason == "bad_histogram");
    CHECK(decoded->rejections[0].count == 2);
    CHECK(decoded->rejections[0].message == "timeseries 0 h: its schema is 9; known are -4 to 8, and -53 for custom buckets");
    REQUIRE(decoded->batch.histograms.size() == 1);
    CHECK(decoded->batch.histograms[0].labels.str() == "h");
    REQUIRE(decoded->batch.histograms[0].samples.size() == 1);
    CHECK(same_bits(decoded->batch.histograms[0].samples[0].h, read_histogram(integers().SerializeAsString())->h));
  }
}

TEST_CASE("damaged histograms are refused or valid", "[remote_write][histogram]") {
  const std::string message = integers().SerializeAsString();
  prometheus::Label label;
  label.set_name("__name__");
  label.set_value("h");
  const std::string inner = label.SerializeAsString();
  test::Mutator mutate(test::fuzz_seed());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = mutate(message);
    // A WriteRequest by hand: the bytes are no Histogram that the generated class could hold.
    if (bytes.size() > 127) continue;
    std::string body = "\x0a" + std::string(1, static_cast<char>(inner.size())) + inner + "\x22" +
                       std::string(1, static_cast<char>(bytes.size())) + bytes;
    std::string whole = "\x0a";
    for (std::size_t n = body.size();; n >>= 7) {
      whole += static_cast<char>(n < 128 ? n : (n & 127) | 128);
      if (n < 128) break;
    }
    const auto decoded = decode_remote_write(whole + body);
    if (decoded) CHECK(decoded->batch.series.empty());
  }
}
