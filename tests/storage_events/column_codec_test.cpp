// Column codecs: every sequence comes back bit for bit, damaged bytes are refused and never crash, and the forms that were
// made for an input are really taken.
#include <limits>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "storage/codec/column.hpp"
#include "storage/codec/column_filter.hpp"
#include "storage/codec/column_floats.hpp"
#include "storage/codec/column_ints.hpp"
#include "storage/codec/column_strings.hpp"
#include "tests/storage_events/random_values.hpp"

namespace plumbline::test {
namespace {

using namespace storage::codec;
using model::Value;

std::vector<Value> round_trip(const std::vector<Value>& values) {
  const EncodedColumn column = encode_column(values);
  std::vector<Value> out;
  const Status status = decode_column(column.bytes, column.types, values.size(), 0, values.size(), out);
  INFO((status ? std::string() : status.error().message));
  REQUIRE(status);
  return out;
}

std::vector<Value> numbers(std::size_t n, double (*make)(std::size_t)) {
  std::vector<Value> out;
  for (std::size_t i = 0; i < n; ++i) out.emplace_back(make(i));
  return out;
}

TEST_CASE("bits of every width pack and unpack") {
  Random random(7);
  for (unsigned width = 0; width <= 64; ++width) {
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{130}}) {
      std::vector<std::uint64_t> in(n);
      for (auto& v : in) v = width == 0 ? 0 : random() >> (64 - width);
      ByteWriter out;
      pack_bits(out, in, width);
      REQUIRE(out.size() == (n * width + 7) / 8);
      std::vector<std::uint64_t> back(n);
      ByteReader reader(out.str());
      REQUIRE(unpack_bits(reader, back, width));
      REQUIRE(back == in);
    }
  }
}

TEST_CASE("integers at the ends of their range survive differences that overflow") {
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> in{least, most, 0, -1, most, least, least, 1'000'000'000, most - 1};
  ByteWriter out;
  encode_ints(out, in);
  std::vector<std::int64_t> back;
  ByteReader reader(out.str());
  REQUIRE(decode_ints(reader, in.size(), back));
  REQUIRE(back == in);
}

TEST_CASE("odd columns come back bit for bit, whole and in part") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 400; ++round) {
    const std::size_t n = 1 + below(random, round % 20 == 0 ? 3000 : 200);
    const std::vector<Value> values = odd_column(random, n);
    CAPTURE(round, n);
    REQUIRE(same(round_trip(values), values));
    const EncodedColumn column = encode_column(values);
    const std::size_t first = below(random, n);
    const std::size_t last = first + below(random, n - first + 1);
    std::vector<Value> part;
    REQUIRE(decode_column(column.bytes, column.types, n, first, last, part));
    REQUIRE(same(part, std::span(values).subspan(first, last - first)));
  }
}

TEST_CASE("special doubles come back in every company") {
  std::vector<Value> values;
  for (int i = 0; i < 200; ++i) values.emplace_back(i / 4.0);
  for (const std::uint64_t bits : {0x7ff0000000000002ull, 0x8000000000000000ull, 0xfff8000000000abcull, 0x4340000000000000ull,
                                   0x7ff0000000000000ull, 1ull})
    values.emplace_back(std::bit_cast<double>(bits));
  values.emplace_back(9007199254740993.0);
  REQUIRE(same(round_trip(values), values));
}

TEST_CASE("columns are as small as their content") {
  const auto bytes = [](const std::vector<Value>& v) { return encode_column(v).bytes.size(); };
  constexpr std::size_t n = 4096;
  CHECK(bytes(numbers(n, [](std::size_t) { return 0.1; })) < 16);
  CHECK(bytes(numbers(n, [](std::size_t i) { return static_cast<double>(i); })) < 200);
  CHECK(bytes(numbers(n, [](std::size_t i) { return static_cast<double>(i * 7919 % 1000) / 100; })) < n * 3 / 2);
  CHECK(bytes(numbers(n, [](std::size_t i) { return static_cast<double>(static_cast<float>(i) * 0.1f); })) < n * 4);
  CHECK(bytes(std::vector<Value>(n)) == 0);
  std::vector<Value> ids;
  std::vector<Value> classes;
  Random random(3);
  for (std::size_t i = 0; i < n; ++i) {
    ids.emplace_back(fmt::format("{:016x}{:016x}", random(), random()));
    classes.emplace_back(fmt::format("class-{}", random() % 4));
  }
  CHECK(bytes(ids) < n * 16 + 64);
  CHECK(bytes(classes) < n / 4 + 128);
}

TEST_CASE("millisecond times in nanoseconds pay for milliseconds") {
  std::vector<std::int64_t> times;
  Random random(5);
  std::int64_t t = 1'700'000'000'123'000'000;
  for (int i = 0; i < 8192; ++i) times.push_back(t += static_cast<std::int64_t>(random() % 50) * 1'000'000);
  const std::string bytes = encode_times(times);
  CHECK(bytes.size() < 8192);
  std::vector<std::int64_t> back;
  REQUIRE(decode_times(bytes, times.size(), back));
  REQUIRE(back == times);
}

TEST_CASE("damaged columns are refused or decode to something, never crash") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 100; ++round) {
    const std::vector<Value> values = odd_column(random, 1 + below(random, 100));
    const EncodedColumn column = encode_column(values);
    for (int damage = 0; damage < 60; ++damage) {
      std::string bytes = column.bytes;
      TypeSet types = column.types;
      if (below(random, 4) == 0) bytes.resize(below(random, bytes.size() + 1));
      if (!bytes.empty()) bytes[below(random, bytes.size())] = static_cast<char>(random());
      if (below(random, 8) == 0) types = static_cast<TypeSet>(random());
      std::vector<Value> out;
      const Status status = decode_column(bytes, types, values.size(), 0, values.size(), out);
      if (status) REQUIRE(out.size() == values.size());
    }
  }
}

TEST_CASE("a word filter knows every word it was given and hardly any other") {
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 2000; ++i) collect_words(fmt::format("request w{} took {} ms, grüße", i, i * 3), hashes);
  const std::string filter = make_filter(hashes);
  for (int i = 0; i < 2000; ++i) REQUIRE(may_contain(filter, fmt::format("w{}", i)));
  REQUIRE(may_contain(filter, "grüße"));
  int wrong = 0;
  for (int i = 0; i < 10000; ++i) wrong += may_contain(filter, fmt::format("absent{}", i)) ? 1 : 0;
  CHECK(wrong < 300);
  CHECK_FALSE(may_contain(make_filter({}), "anything"));
  using Words = std::vector<std::string_view>;
  CHECK(inner_words("error: disk full now") == Words{"disk", "full"});
  CHECK(inner_words("error") == Words{});
  CHECK(inner_words(" error ") == Words{"error"});
}

TEST_CASE("numbers know their least and greatest, without NaN") {
  const EncodedColumn c = encode_column(std::vector<Value>{2.5, std::numeric_limits<double>::quiet_NaN(), -1.0, std::int64_t{7}});
  REQUIRE(c.floats == std::pair(-1.0, 2.5));
  REQUIRE(c.ints == std::pair<std::int64_t, std::int64_t>(7, 7));
}

}  // namespace
}  // namespace plumbline::test
