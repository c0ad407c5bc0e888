// Remote read and federation: the bytes that Prometheus' clients read.
#include <bit>
#include <random>

#include <catch2/catch.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "daemon/base/bytes.hpp"
#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "query/api/xor_chunk.hpp"
#include "query/query.hpp"
#include "tests/query/chunk_reader.hpp"
#include "tests/query/route_call.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using model::Sample;
using test::decode_xor_chunk;

namespace {

bool same(std::span<const Sample> a, std::span<const Sample> b) {
  return std::ranges::equal(a, b, [](const Sample& x, const Sample& y) {
    return x.t == y.t && std::bit_cast<std::uint64_t>(x.v) == std::bit_cast<std::uint64_t>(y.v);
  });
}

struct Matcher {
  int type;
  std::string name, value;
};

std::string request(std::int64_t start, std::int64_t end, const std::vector<Matcher>& matchers, std::vector<int> forms = {}) {
  std::string bytes;
  protozero::pbf_writer out(bytes);
  {
    protozero::pbf_writer query(out, 1);
    query.add_int64(1, start);
    query.add_int64(2, end);
    for (const Matcher& m : matchers) {
      protozero::pbf_writer matcher(query, 3);
      matcher.add_enum(1, m.type);
      matcher.add_string(2, m.name);
      matcher.add_string(3, m.value);
    }
  }
  if (!forms.empty()) out.add_packed_enum(2, forms.begin(), forms.end());
  return snappy(bytes);
}

model::Labels read_label(protozero::pbf_reader in, const model::Labels& others) {
  std::string name, value;
  while (in.next()) {
    std::string& to = in.tag() == 1 ? name : value;  // get_*() forgets the tag
    to = in.get_string();
  }
  return others.with(name, value);
}

struct Series {
  model::Labels labels;
  std::vector<Sample> samples;
  std::vector<model::HistogramSample> histograms;
  std::vector<int> encodings;  // of its chunks
};

std::vector<Series> read_samples(std::string_view body) {
  std::vector<Series> out;
  const auto bytes = unsnappy(body, 1 << 24);
  REQUIRE(bytes);
  protozero::pbf_reader response(bytes->data(), bytes->size());
  while (response.next(1)) {
    protozero::pbf_reader result = response.get_message();
    while (result.next(1)) {
      protozero::pbf_reader series = result.get_message();
      Series s;
      while (series.next()) {
        const bool label = series.tag() == 1;
        protozero::pbf_reader part = series.get_message();
        if (label) {
          s.labels = read_label(part, s.labels);
        } else {
          Sample sample;
          while (part.next())
            if (part.tag() == 1)
              sample.v = part.get_double();
            else
              sample.t = part.get_int64();
          s.samples.push_back(sample);
        }
      }
      out.push_back(std::move(s));
    }
  }
  return out;
}

// A series whose chunks came in several frames is there several times.
std::vector<Series> read_frames(std::string_view body, std::size_t& largest) {
  std::vector<Series> out;
  largest = 0;
  for (ByteReader in(body); !in.done();) {
    const std::uint64_t size = in.varint();
    const std::uint32_t crc = in.be32();
    const std::string_view message = in.raw(size);
    REQUIRE(in.ok());
    REQUIRE(crc == crc32c(message));
    largest = std::max(largest, message.size());
    protozero::pbf_reader response(message.data(), message.size());
    while (response.next()) {
      REQUIRE(response.tag() == 1);
      protozero::pbf_reader series = response.get_message();
      Series s;
      while (series.next()) {
        const bool label = series.tag() == 1;
        protozero::pbf_reader part = series.get_message();
        if (label) {
          s.labels = read_label(part, s.labels);
          continue;
        }
        std::int64_t first = 0, last = 0;
        int encoding = 0;
        std::string data;
        while (part.next()) switch (part.tag()) {
            case 1: first = part.get_int64(); break;
            case 2: last = part.get_int64(); break;
            case 3: encoding = part.get_enum(); break;
            default: data = part.get_string();
          }
        s.encodings.push_back(encoding);
        if (encoding != 1) {
          const std::vector<model::HistogramSample> histograms = test::decode_histogram_chunk(encoding, data);
          REQUIRE(histograms.front().t == first);
          REQUIRE(histograms.back().t == last);
          s.histograms.insert(s.histograms.end(), histograms.begin(), histograms.end());
          continue;
        }
        const std::vector<Sample> samples = decode_xor_chunk(data);
        REQUIRE(samples.size() <= query::xor_chunk_samples);
        REQUIRE(samples.front().t == first);
        REQUIRE(samples.back().t == last);
        s.samples.insert(s.samples.end(), samples.begin(), samples.end());
      }
      out.push_back(std::move(s));
    }
  }
  return out;
}

struct Api {
  test::MemoryStore store;
  test::ManualClock clock{3'600'000};
  query::Engine engine{store, clock, {}};
  http::Routes read = query::remote_read_routes(store);
  http::Routes federate = query::federate_routes(engine, store, clock);

  void add(const model::Labels& labels, std::vector<Sample> samples) {
    storage::WriteBatch batch;
    batch.series.push_back({labels, std::move(samples)});
    REQUIRE(store.write(std::move(batch)));
  }
  http::Response ask(std::string body) { return test::call(read, "POST", "/api/v1/read", {}, std::move(body), "application/x-protobuf"); }
};

}  // namespace

TEST_CASE("an XOR chunk has upstream's bytes") {
  // By hand. 16 bits: two samples. t0 = 1 -> zigzag varint 02. v0 = 1.0 = 3ff0... ; delta 15 -> 0f; the same value -> bit 0.
  CHECK(hex(query::encode_xor_chunk(std::vector<Sample>{{1, 1.0}, {16, 1.0}})) == "0002" "02" "3ff0000000000000" "0f" "00");
  // A third one a millisecond late, of 2.0: dod 1 -> 10 and 14 bits 00000000000001. 3ff0.. ^ 4000.. = 7ff0..: one leading zero, 52
  // trailing, 11 bits of ones -> 1 1 00001 001011 11111111111. After the 0 of the second value:
  // 0 10 00000000000001 1 1 00001 001011 11111111111 -> 0100 0000 0000 0000 1110 0001 0010 1111 1111 1111 1000 0000
  CHECK(hex(query::encode_xor_chunk(std::vector<Sample>{{1, 1.0}, {16, 1.0}, {32, 2.0}})) ==
        "0003" "02" "3ff0000000000000" "0f" "4000e12fff80");
}

TEST_CASE("XOR chunks come back bit for bit") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Sample> samples;
    std::int64_t t = static_cast<std::int64_t>(random() >> (random() % 40)) >> 8;
    std::uint64_t v = random();
    const std::size_t count = 1 + random() % 150;
    for (std::size_t i = 0; i < count; ++i) {
      switch (random() % 4) {
        case 0: v = random(); break;
        case 1: v ^= 1ull << random() % 64; break;
        case 2: v = std::bit_cast<std::uint64_t>(static_cast<double>(random() % 1000)); break;
        default: break;
      }
      samples.push_back({t, std::bit_cast<double>(v)});
      // Steps around the borders of the buckets: 2^13, 2^16, 2^19.
      static constexpr std::int64_t steps[] = {15'000, 15'001, 15'000 + 8192, 15'000 + 65'536, 15'000 + 524'288, 1, 1ll << 40};
      t += steps[random() % std::size(steps)];
    }
    REQUIRE(same(decode_xor_chunk(query::encode_xor_chunk(samples)), samples));
  }
}

TEST_CASE_METHOD(Api, "remote read answers samples and chunks") {
  std::vector<Sample> many;
  for (int i = 0; i < 1000; ++i) many.push_back({i * 1000, i % 7 == 0 ? std::bit_cast<double>(model::stale_nan_bits) : i * 0.1});
  const auto a = model::Labels::of({{"__name__", "m"}, {"i", "a"}}), b = model::Labels::of({{"__name__", "m"}, {"i", "b"}});
  add(b, {{5'000, 1}, {6'000, 2}});
  add(a, many);
  add(model::Labels::of({{"__name__", "other"}}), {{5'000, 1}});
  SECTION("samples, by labels, both ends included") {
    const http::Response r = ask(request(5'000, 800'000, {{0, "__name__", "m"}, {2, "i", "a|b"}}));
    CHECK(r.status == 200);
    CHECK(r.headers == http::Pairs{{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", "snappy"}});
    const std::vector<Series> got = read_samples(r.body);
    REQUIRE(got.size() == 2);
    CHECK(got[0].labels == a);
    CHECK(same(got[0].samples, std::span(many).subspan(5, 796)));
    CHECK(got[1].labels == b);
    CHECK(same(got[1].samples, std::vector<Sample>{{5'000, 1}, {6'000, 2}}));
  }
  SECTION("chunks, when they are the first form that is known") {
    const http::Response r = ask(request(0, 1'000'000, {{0, "__name__", "m"}, {1, "i", "b"}}, {7, 1, 0}));
    CHECK(r.headers == http::Pairs{{"Content-Type", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"}});
    std::size_t largest = 0;
    const std::vector<Series> got = read_frames(r.body, largest);
    REQUIRE(got.size() == 1);
    CHECK(got[0].labels == a);
    CHECK(same(got[0].samples, many));
  }
  SECTION("nothing") {
    CHECK(read_samples(ask(request(0, 1, {{0, "__name__", "m"}, {3, "i", ".+"}})).body).empty());
    CHECK(ask(request(0, 1, {{0, "__name__", "none"}}, {1})).body.empty());
  }
}

TEST_CASE_METHOD(Api, "histograms are sent as samples") {
  model::Histogram h;
  h.layout = {3, 0.001, {{-2, 2}, {1, 1}}, {{0, 1}}, {}};
  h.positive = {1, 2, 7};
  h.negative = {4};
  h.zero_count = 5;
  h.count = 19;
  h.sum = 2.5;
  h.reset = model::ResetHint::no_reset;
  model::Histogram custom;
  custom.is_integer = false;
  custom.layout = {model::histogram_schema_custom, 0, {{1, 2}}, {}, {0.5, 1}};
  custom.positive = {1.5, 2};
  custom.count = 3.5;
  storage::WriteBatch batch;
  batch.histograms.push_back({model::Labels::of({{"__name__", "m"}}), {{2'000, h}, {3'000, custom}}});
  REQUIRE(store.write(std::move(batch)));
  add(model::Labels::of({{"__name__", "m"}}), {{1'000, 7}});
  for (const std::vector<int>& forms : {std::vector<int>{}, std::vector<int>{0, 1}}) {
    const http::Response r = ask(request(0, 10'000, {{0, "__name__", "m"}}, forms));
    REQUIRE(r.status == 200);
    CHECK(r.headers.front().second == "application/x-protobuf");
    const auto bytes = unsnappy(r.body, 1 << 20);
    REQUIRE(bytes);
    // ReadResponse.results[0].timeseries[0]: a label, a sample and the histograms' bytes, by hand.
    std::vector<std::string> found;
    protozero::pbf_reader response(bytes->data(), bytes->size());
    REQUIRE(response.next(1));
    protozero::pbf_reader result = response.get_message();
    REQUIRE(result.next(1));
    protozero::pbf_reader series = result.get_message();
    std::size_t samples = 0;
    while (series.next()) {
      samples += series.tag() == 2 ? 1 : 0;
      if (series.tag() == 4)
        found.push_back(hex(series.get_string()));
      else
        series.skip();
    }
    CHECK(samples == 1);
    REQUIRE(found.size() == 2);
    CHECK(found[0] == "0813" "190000000000000440" "2006" "29fca9f1d24d62503f" "3005" "42040800" "1001" "4a0108" "5a0408031002"
                      "5a0408021001" "620302020a" "7002" "78d00f");
    CHECK(found[1] == "110000000000000c40" "190000000000000000" "2069" "290000000000000000" "390000000000000000" "5a0408021002"
                      "6a10000000000000f83f0000000000000040" "7000" "78b817" "820110000000000000e03f000000000000f03f");
  }
  // Text exposition has no form for them.
  CHECK(test::call(federate, "GET", "/federate", {{"match[]", "m"}}).body.empty());
}

TEST_CASE_METHOD(Api, "histograms and floats of one series are streamed as chunks in the order of time") {
  model::Histogram h;
  h.layout = {3, 0.001, {{-2, 2}}, {}, {}};
  h.positive = {1, 2};
  h.count = 3;
  model::Histogram fractions = h;
  fractions.is_integer = false;
  fractions.positive = {1.5, 2};
  fractions.count = 3.5;
  model::Histogram more = h;
  more.positive = {1, 3};
  more.count = 4;
  const auto labels = model::Labels::of({{"__name__", "m"}});
  storage::WriteBatch batch;
  batch.histograms.push_back({labels, {{2'000, h}, {3'000, more}, {5'000, more}, {6'000, fractions}}});
  REQUIRE(store.write(std::move(batch)));
  add(labels, {{1'000, 7}, {4'000, 8}, {7'000, 9}, {8'000, 10}});
  std::size_t largest = 0;
  const std::vector<Series> got = read_frames(ask(request(0, 10'000, {{0, "__name__", "m"}}, {1, 0})).body, largest);
  REQUIRE(got.size() == 1);
  CHECK(got[0].encodings == std::vector<int>{1, 2, 1, 2, 3, 1});
  CHECK(same(got[0].samples, std::vector<Sample>{{1'000, 7}, {4'000, 8}, {7'000, 9}, {8'000, 10}}));
  REQUIRE(got[0].histograms.size() == 4);
  std::vector<std::int64_t> times;
  for (const model::HistogramSample& s : got[0].histograms) times.push_back(s.t);
  CHECK(times == std::vector<std::int64_t>{2'000, 3'000, 5'000, 6'000});
  more.reset = model::ResetHint::no_reset;  // what a chunk says of its second sample
  CHECK(same_bits(got[0].histograms[1].h, more));
  CHECK(same_bits(got[0].histograms[3].h, fractions));
}

TEST_CASE_METHOD(Api, "a long series comes in several frames of a megabyte") {
  std::mt19937_64 random(7);
  std::vector<Sample> many;
  for (int i = 0; i < 200'000; ++i) many.push_back({i * 1000, std::bit_cast<double>(random() >> 2)});
  add(model::Labels::of({{"__name__", "m"}}), many);
  const http::Response r = ask(request(0, 1ll << 40, {{0, "__name__", "m"}}, {1}));
  std::size_t largest = 0;
  std::vector<Sample> all;
  const std::vector<Series> got = read_frames(r.body, largest);
  CHECK(got.size() == 2);
  for (const Series& s : got) all.insert(all.end(), s.samples.begin(), s.samples.end());
  CHECK(same(all, many));
  CHECK(largest < (1u << 20) + 4096);
}

TEST_CASE_METHOD(Api, "bad remote reads are refused with the reason") {
  const auto refused = [&](std::string body) {
    const http::Response r = ask(std::move(body));
    return std::to_string(r.status) + " " + r.body;
  };
  CHECK(refused("not snappy").starts_with("400 "));
  CHECK(refused(snappy("\x0a\x05gar")).starts_with("400 remote read: the body is not a prometheus.ReadRequest: "));
  CHECK(refused(request(0, 1, {{2, "i", "("}})).starts_with("400 "));
  CHECK(refused(request(0, 1, {{9, "i", "a"}})) == "400 invalid matcher type 9\n");
  std::string bytes;
  for (int i = 0; i < 101; ++i) protozero::pbf_writer(bytes).add_message(1, std::string());
  CHECK(refused(snappy(bytes)) == "400 remote read: more than 100 queries in a request\n");
}

TEST_CASE_METHOD(Api, "federate shows the newest sample of each series") {
  const std::int64_t now = clock.now_ms();
  add(model::Labels::of({{"__name__", "b"}, {"job", "x\\\"\n"}}), {{now - 60'000, 1}, {now - 1'000, 2.5}});
  add(model::Labels::of({{"__name__", "a"}, {"instance", "i:1"}, {"job", "x"}}), {{now - 2'000, 1e21}});
  add(model::Labels::of({{"__name__", "a"}, {"job", "gone"}}), {{now - 2'000, 1}, {now - 1'000, std::bit_cast<double>(model::stale_nan_bits)}});
  add(model::Labels::of({{"__name__", "a"}, {"job", "old"}}), {{now - 300'000, 1}});
  add(model::Labels::of({{"__name__", "my.metric"}, {"la.bel", "v"}}), {{now, 3}});
  const http::Response r = test::call(federate, "GET", "/federate", {{"match[]", "{job=~\".+\"}"}, {"match[]", "a"}, {"match[]", "{\"my.metric\"}"}});
  CHECK(r.body ==
        "# TYPE a untyped\n"
        "a{instance=\"i:1\",job=\"x\"} 1e+21 3598000\n"
        "# TYPE b untyped\n"
        "b{job=\"x\\\\\\\"\\n\",instance=\"\"} 2.5 3599000\n"
        "# TYPE \"my.metric\" untyped\n"
        "{\"my.metric\",\"la.bel\"=\"v\",instance=\"\"} 3 3600000\n");
  CHECK(test::call(federate, "GET", "/federate", {{"match[]", "{"}}).status == 400);
}
