// Chunks of native histograms: the bytes that Prometheus' clients of remote read decode.
#include <random>

#include <catch2/catch.hpp>

#include "daemon/base/text.hpp"
#include "query/api/histogram_chunk.hpp"
#include "query/api/xor_chunk.hpp"
#include "tests/query/chunk_reader.hpp"

using namespace plumbline;
using model::Histogram;
using model::HistogramSample;
using model::ResetHint;

namespace {

Histogram small(double first, double second) {
  Histogram h;
  h.layout = {1, 0, {{0, 2}}, {}, {}};
  h.positive = {first, second};
  h.count = first + second;
  h.sum = 1;
  return h;
}

// All samples, chunk by chunk, as a client puts them together again.
std::vector<HistogramSample> through_chunks(std::span<const HistogramSample> samples, std::vector<std::size_t>& sizes) {
  std::vector<HistogramSample> out;
  while (!samples.empty()) {
    const std::size_t n = query::histogram_chunk_samples(samples);
    REQUIRE(n >= 1);
    REQUIRE(n <= std::min(samples.size(), query::xor_chunk_samples));
    const auto read = test::decode_histogram_chunk(query::histogram_chunk_encoding(samples.front().h),
                                                   query::encode_histogram_chunk(samples.first(n)));
    REQUIRE(read.size() == n);
    out.insert(out.end(), read.begin(), read.end());
    sizes.push_back(n);
    samples = samples.subspan(n);
  }
  return out;
}

std::vector<std::size_t> chunk_sizes(std::vector<Histogram> histograms) {
  std::vector<HistogramSample> samples;
  for (Histogram& h : histograms) samples.push_back({static_cast<std::int64_t>(samples.size()) * 1000, std::move(h)});
  std::vector<std::size_t> sizes;
  through_chunks(samples, sizes);
  return sizes;
}

}  // namespace

TEST_CASE("chunks of histograms have upstream's bytes") {
  // By hand. One sample, hint unknown: count 0001, flags 00; then bits: threshold 0 in a byte; schema 1 -> 10 001; one span of 2 at 0
  // -> 10 001, 10 010, 0; none -> 0; t 5 (of six bits) -> 110 000101; count 3 -> 10 011; zero count -> 0; sum 1.0; buckets 1 and
  // 2 - 1 -> 10 001 each.
  // 00000000 10001100 01100100 01100001 01100110, the sum, 10001100 01000000.
  CHECK(hex(query::encode_histogram_chunk(std::vector<HistogramSample>{{5, small(1, 2)}})) ==
        "000100" "00" "8c646166" "3ff0000000000000" "8c40");
  Histogram h = small(1, 2);
  h.is_integer = false;
  h.reset = ResetHint::reset;
  // Floats: count, zero count, sum and buckets as they are, each two bits after the beginning of a byte, of which the first has the
  // end of t: 01.
  CHECK(hex(query::encode_histogram_chunk(std::vector<HistogramSample>{{5, h}})) ==
        "000180" "00" "8c6461" "5002000000000000" "0000000000000000" "0ffc000000000000" "0ffc000000000000" "1000000000000000" "00");
}

TEST_CASE("a chunk of histograms ends where a reader could not tell") {
  using Sizes = std::vector<std::size_t>;
  CHECK(chunk_sizes({small(1, 2), small(1, 3), small(2, 3)}) == Sizes{3});
  // A count that fell, also below a count that grew; a hint of a reset, although nothing fell.
  CHECK(chunk_sizes({small(1, 2), small(0, 9), small(0, 9)}) == Sizes{1, 2});
  Histogram reset = small(1, 3);
  reset.reset = ResetHint::reset;
  CHECK(chunk_sizes({small(1, 2), reset, small(1, 3)}) == Sizes{1, 2});
  Histogram zero = small(1, 2), zero_less = small(2, 2);
  zero.zero_count = 1;
  zero.count = 4;
  CHECK(chunk_sizes({zero, zero_less}) == Sizes{1, 1});
  // Gauges may fall, but do not stand beside counters.
  Histogram gauge = small(5, 5), fallen = small(1, 1);
  gauge.reset = fallen.reset = ResetHint::gauge;
  CHECK(chunk_sizes({gauge, fallen, gauge, small(9, 9)}) == Sizes{3, 1});
  // Another layout, another form, another threshold.
  Histogram wider = small(1, 2), threshold = small(1, 2), floats = small(1, 2);
  wider.layout.positive_spans = {{0, 1}, {1, 1}};
  threshold.layout.zero_threshold = 0.5;
  floats.is_integer = false;
  CHECK(chunk_sizes({small(1, 2), wider, threshold, floats}) == Sizes{1, 1, 1, 1});
  // The ends of a series.
  Histogram end;
  end.sum = std::bit_cast<double>(model::stale_nan_bits);
  CHECK(chunk_sizes({small(1, 2), end, end, small(1, 2)}) == Sizes{1, 2, 1});
  CHECK(chunk_sizes(std::vector<Histogram>(250, small(1, 2))) == Sizes{120, 120, 10});
}

TEST_CASE("histograms come back from chunks bit for bit") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  for (int round = 0; round < 500; ++round) {
    Histogram h;
    h.is_integer = below(2) == 0;
    h.reset = static_cast<ResetHint>(below(4));
    static constexpr double thresholds[] = {0, 0.001, 0x1p-128, 0x1p-243, 0x1p-244, 1024, 2048, 3};
    h.layout.zero_threshold = thresholds[below(std::size(thresholds))];
    h.layout.schema = static_cast<int>(below(13)) - 4;
    if (below(4) == 0) {
      h.layout.schema = model::histogram_schema_custom;
      h.layout.zero_threshold = 0;
      h.layout.custom_bounds = {-0.0, 0.001, 0.0015, 33'554.43, 33'554.431, 1e300};
      if (below(2) == 0) h.layout.custom_bounds[0] = 0;
    }
    for (std::uint64_t i = below(4); i-- > 0;)
      h.layout.positive_spans.push_back({static_cast<std::int32_t>(below(300)) - 100, static_cast<std::uint32_t>(below(70))});
    for (std::uint64_t i = below(4); i-- > 0;) h.layout.negative_spans.push_back({static_cast<std::int32_t>(below(3)), 2});
    h.positive.resize(test::chunk_reader::buckets(h.layout.positive_spans));
    h.negative.resize(test::chunk_reader::buckets(h.layout.negative_spans));
    std::vector<HistogramSample> samples;
    std::int64_t t = static_cast<std::int64_t>(random()) >> (8 + below(50));
    for (std::size_t n = 1 + below(300); samples.size() < n;) {
      for (std::vector<double>* side : {&h.positive, &h.negative})
        for (double& count : *side)
          if (below(3) == 0) count = h.is_integer ? static_cast<double>(random() >> (11 + below(53))) : std::bit_cast<double>(random() >> 2);
      h.count = h.is_integer ? static_cast<double>(random() >> (11 + below(53))) : std::bit_cast<double>(random() >> 2);
      h.zero_count = static_cast<double>(below(9));
      h.sum = below(2) == 0 ? static_cast<double>(below(1000)) / 8 : std::bit_cast<double>(random());
      if (h.is_stale()) h.sum = 0;
      samples.push_back({t, h});
      t += below(10) == 0 ? static_cast<std::int64_t>(below(1ull << 50)) : 15'000 + static_cast<std::int64_t>(below(3));
    }
    std::vector<std::size_t> sizes;
    const std::vector<HistogramSample> read = through_chunks(samples, sizes);
    REQUIRE(read.size() == samples.size());
    std::size_t begin = 0, chunk = 0;
    for (std::size_t i = 0; i < read.size(); ++i) {
      // The hint is the first sample's; to those after it a chunk gives its own.
      if (i == begin + sizes[chunk]) begin += sizes[chunk++];
      HistogramSample expected = samples[i];
      if (i != begin && h.reset != ResetHint::gauge) expected.h.reset = ResetHint::no_reset;
      REQUIRE(read[i].t == expected.t);
      REQUIRE(same_bits(read[i].h, expected.h));
    }
  }
}

TEST_CASE("the end of a series is a chunk without buckets") {
  Histogram end = small(1, 2);
  end.sum = std::bit_cast<double>(model::stale_nan_bits);
  for (const bool integer : {true, false}) {
    end.is_integer = integer;
    const std::vector<HistogramSample> samples{{1000, end}, {2000, end}};
    std::vector<std::size_t> sizes;
    const std::vector<HistogramSample> read = through_chunks(samples, sizes);
    CHECK(sizes == std::vector<std::size_t>{2});
    CHECK(read[1].t == 2000);
    CHECK(read[1].h.is_stale());
    CHECK(read[1].h.layout.positive_spans.empty());
  }
}
