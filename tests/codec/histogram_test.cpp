// Native histograms: which are accepted, and that their blocks give back the same bits.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>

#include "daemon/base/text.hpp"
#include "storage/codec/histogram_column.hpp"
#include "storage/codec/histogram_row.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::model;
using namespace plumbline::storage::codec;

namespace {

Histogram simple() {
  Histogram h;
  h.layout.schema = 3;
  h.layout.zero_threshold = 0.001;
  h.layout.positive_spans = {{-2, 2}, {1, 1}};
  h.layout.negative_spans = {{0, 1}};
  h.positive = {1, 2, 3};
  h.negative = {4};
  h.zero_count = 5;
  h.count = 15;
  h.sum = 1.25;
  return h;
}

Histogram custom() {
  Histogram h;
  h.layout.schema = histogram_schema_custom;
  h.layout.custom_bounds = {0.1, 1, 10};
  h.layout.positive_spans = {{0, 2}, {1, 1}};
  h.positive = {1, 2, 3};
  h.count = 6;
  h.sum = 33;
  return h;
}

std::string trouble(const Histogram& h) {
  const Status status = check_histogram(h);
  return status ? "" : status.error().message;
}

void require_same(const std::vector<HistogramSample>& a, const std::vector<HistogramSample>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("sample " << i);
    REQUIRE(a[i].t == b[i].t);
    REQUIRE(same_bits(a[i].h, b[i].h));
  }
}

std::uint64_t seed() {
  const char* given = std::getenv("PLUMBLINE_SEED");
  const std::uint64_t out = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  WARN("PLUMBLINE_SEED=" << out);
  return out;
}

}  // namespace

TEST_CASE("histograms as senders make them are accepted", "[histogram]") {
  CHECK(trouble(simple()) == "");
  CHECK(trouble(custom()) == "");
  CHECK(trouble(Histogram{}) == "");
  Histogram nan = simple();
  nan.sum = std::numeric_limits<double>::quiet_NaN();
  nan.count = 16;  // the NaN itself is in no bucket
  CHECK(trouble(nan) == "");
  Histogram stale;
  stale.sum = stale_nan;
  CHECK(trouble(stale) == "");
}

TEST_CASE("rows of histograms give back the same bits, and damaged ones are refused", "[histogram]") {
  const std::uint64_t s = seed();
  test::HistogramMaker make(s);
  for (int round = 0; round < 50; ++round) {
    const std::vector<HistogramSample> samples = make.series(20);
    ByteWriter out;
    for (std::size_t i = 0; i < samples.size(); ++i) put_histogram(out, samples[i].h, i == 0 ? nullptr : &samples[i - 1].h.layout);
    const std::string bytes = out.take();
    ByteReader in(bytes);
    std::vector<HistogramSample> back;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      Histogram h;
      REQUIRE(get_histogram(in, h, i == 0 ? nullptr : &back[i - 1].h.layout));
      back.push_back({samples[i].t, h});
    }
    CHECK(in.done());
    require_same(back, samples);
    std::string bad = bytes;
    for (int i = 0; i < 3; ++i) bad[make.below(bad.size())] = static_cast<char>(make.below(256));
    ByteReader damaged(bad);
    Histogram h;
    HistogramLayout layout;
    while (get_histogram(damaged, h, &layout)) layout = h.layout;  // ends, whatever the bytes are
  }
}

TEST_CASE("what is wrong with a histogram is said", "[histogram]") {
  const auto broken = [](Histogram h, const auto& damage) {
    damage(h);
    return trouble(h);
  };
  using H = Histogram&;
  CHECK(broken(simple(), [](H h) { h.layout.schema = 9; }) == "its schema is 9; known are -4 to 8, and -53 for custom buckets");
  CHECK(broken(simple(), [](H h) { h.positive.pop_back(); }) == "its positive spans name 3 buckets, it has counts of 2");
  CHECK(broken(simple(), [](H h) { h.layout.negative_spans.clear(); }) == "its negative spans name 0 buckets, it has counts of 1");
  CHECK(broken(simple(), [](H h) { h.layout.positive_spans[1].offset = -1; }) ==
        "positive span 1 has offset -1; only the first may be negative");
  CHECK(broken(simple(), [](H h) { h.layout.positive_spans[1].length = 4'000'000'000; }) ==
        "its positive spans name more than 8192 buckets");
  CHECK(broken(simple(), [](H h) { h.layout.positive_spans = {{2'147'483'647, 3}}; }) ==
        "positive span 0 ends beyond the largest bucket index, 2147483647");
  CHECK(broken(simple(), [](H h) { h.positive[1] = -2; }) == "positive bucket 1 is -2; counts are not negative");
  CHECK(broken(simple(), [](H h) { h.negative[0] = std::nan(""); }).starts_with("negative bucket 0 is "));
  CHECK(broken(simple(), [](H h) { h.positive[0] = 1.5; }) == "positive bucket 0 is 1.5 in a histogram of integers");
  CHECK(broken(simple(), [](H h) { h.count = 1e17; }).find("integer counts are below 2^53") != std::string::npos);
  CHECK(broken(simple(), [](H h) { h.count = 14; }) == "15 observations in its buckets, its count is 14");
  CHECK(broken(simple(), [](H h) { h.layout.zero_threshold = -1; }) == "its zero threshold is -1");
  CHECK(broken(simple(), [](H h) { h.layout.custom_bounds = {1}; }) == "it has custom bounds with schema 3");
  CHECK(broken(simple(), [](H h) { h.reset = static_cast<ResetHint>(7); }) == "its reset hint is 7; known are 0 to 3");
  CHECK(broken(custom(), [](H h) { h.layout.custom_bounds[1] = 0.1; }) == "custom bound 1 is 0.1 after 0.1; bounds increase");
  CHECK(broken(custom(), [](H h) { h.layout.custom_bounds[2] = INFINITY; }) == "custom bound 2 is inf; bounds are finite");
  CHECK(broken(custom(), [](H h) { h.layout.positive_spans[1].offset = 2; }) ==
        "its spans reach bucket 5, 3 custom bounds make 4");
  CHECK(broken(custom(), [](H h) { h.layout.positive_spans[0].offset = -1; }) ==
        "its first span begins before the first custom bucket");
  CHECK(broken(custom(), [](H h) { h.zero_count = 1; }) ==
        "a histogram of custom buckets has neither a zero bucket nor negative buckets");
}

TEST_CASE("histogram blocks give back the same bits", "[histogram]") {
  test::HistogramMaker maker(seed());
  for (int round = 0; round < 100; ++round) {
    const std::vector<HistogramSample> samples = maker.series(1 + maker.below(200));
    for (const HistogramSample& s : samples)
      REQUIRE(trouble(s.h) == "");
    std::string bytes;
    REQUIRE(encode_histograms(samples, bytes) == samples.size());
    std::vector<HistogramSample> again;
    REQUIRE(decode_histograms(bytes, again));
    require_same(again, samples);
  }
}

TEST_CASE("a long series is cut into blocks", "[histogram]") {
  std::vector<HistogramSample> samples(histogram_block_samples_max + 7, {0, simple()});
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].t = static_cast<std::int64_t>(i) * 1000;
  std::string first, second;
  REQUIRE(encode_histograms(samples, first) == histogram_block_samples_max);
  REQUIRE(encode_histograms(std::span(samples).subspan(histogram_block_samples_max), second) == 7);
  CHECK(first.size() < 200);  // nothing changes but the time
  std::vector<HistogramSample> again;
  REQUIRE(decode_histograms(first, again));
  REQUIRE(decode_histograms(second, again));
  require_same(again, samples);
}

TEST_CASE("a damaged histogram block is refused or read, never trusted", "[histogram]") {
  test::HistogramMaker maker(seed());
  std::string bytes;
  const auto samples = maker.series(50);
  REQUIRE(encode_histograms(samples, bytes) == samples.size());
  std::vector<HistogramSample> out;
  for (std::size_t n = 0; n < bytes.size(); ++n) REQUIRE_FALSE(decode_histograms(std::string_view(bytes).substr(0, n), out));
  CHECK(out.empty());
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = bytes;
    damaged[maker.below(damaged.size())] = static_cast<char>(maker.below(256));
    out.clear();
    if (decode_histograms(damaged, out)) CHECK(out.size() <= histogram_block_samples_max);
  }
  bytes[0] = 2;
  const Status newer = decode_histograms(bytes, out);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Code::unsupported);
}

// Not a test: bytes per sample of a latency histogram as an SDK keeps it, 40 buckets hit unevenly, 15 s apart for two hours.
TEST_CASE("the size of a histogram block", "[.][measure]") {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(-2, 0.7);
  Histogram h;
  h.layout.schema = 3;
  h.layout.zero_threshold = std::ldexp(1, -128);
  h.layout.positive_spans = {{-40, 40}};
  h.positive.resize(40);
  std::vector<HistogramSample> samples;
  std::size_t raw = 0;
  for (std::int64_t t = 0; t < 480; ++t) {
    for (int i = 0; i < 150; ++i) {
      const double v = latency(random);
      const int bucket = std::clamp(static_cast<int>(std::ceil(std::log2(v) * 8)) + 39, 0, 39);
      h.positive[static_cast<std::size_t>(bucket)] += 1;
      h.count += 1;
      h.sum += v;
    }
    samples.push_back({1'700'000'000'000 + t * 15'000, h});
    raw += 8 * (h.positive.size() + 3);
  }
  std::string bytes;
  REQUIRE(encode_histograms(samples, bytes) == samples.size());
  WARN(static_cast<double>(bytes.size()) / 480 << " bytes per histogram of 40 buckets, "
                                               << static_cast<double>(raw) / 480 << " as f64");
}

TEST_CASE("the histogram block of the document is what the code writes and reads", "[histogram]") {
  std::vector<HistogramSample> samples{{1000, simple()}, {16'000, simple()}};
  samples[1].h.reset = ResetHint::no_reset;
  samples[1].h.positive[2] = 7;
  samples[1].h.count = 19;
  samples[1].h.sum = 2.5;
  std::string bytes;
  REQUIRE(encode_histograms(samples, bytes) == 2);
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/histogram.md");
  REQUIRE(in);
  std::string line, digits;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line == "```hex" || line == "```") {
      inside = line == "```hex";
      continue;
    }
    if (!inside) continue;
    for (const char c : line.substr(0, line.find(';')))
      if (c != ' ') digits += c;
  }
  CHECK(hex(bytes) == digits);
}
