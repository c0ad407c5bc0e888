#include "storage/codec/block16.hpp"

#include <array>

#include "tests/codec/columns.hpp"

using namespace plumbline;
using namespace plumbline::storage::codec;

TEST_CASE("a block is bit-exact for adversarial doubles, any hint and any length") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  std::uint8_t hint = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::size_t n = round % 3 == 0 ? 1 + random() % block_values_max : block_values_max;
    const auto values =
        round % 5 == 0 ? test::mixed_column(random, n) : test::column(random, n, round % test::column_kinds);
    std::vector<std::uint8_t> memory(block_bytes_max + block_slack + 2, 0xa5);
    if (round % 7 == 0) hint = static_cast<std::uint8_t>(random());
    const std::size_t written = encode_block(values, memory.data(), hint);
    REQUIRE(written <= block_bytes_max);
    REQUIRE(memory[block_bytes_max] == 0xa5);
    std::vector<double> back(n);
    REQUIRE(decode_block(memory.data(), back) == written);
    REQUIRE(test::same_bits(values, back));
  }
}

TEST_CASE("a block of times brings back any sequence") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::int64_t> times;
    std::int64_t t = round % 4 == 0 ? static_cast<std::int64_t>(random()) : 1'700'000'000'000;
    for (std::size_t i = 0, n = 1 + random() % block_values_max; i < n; ++i) {
      times.push_back(t);
      t = round % 4 == 0   ? static_cast<std::int64_t>(random())
          : round % 4 == 1 ? t + 15000
                           : t + 15000 + static_cast<std::int64_t>(random() % 9) - 4;
    }
    std::vector<std::uint8_t> memory(block_bytes_max + block_slack + 2, 0xa5);
    const std::size_t written = encode_times_block(times, memory.data());
    REQUIRE(memory[block_bytes_max] == 0xa5);
    std::vector<std::int64_t> back(times.size());
    REQUIRE(decode_times_block(memory.data(), back) == written);
    REQUIRE(back == times);
  }
}

TEST_CASE("what monitoring makes is small") {
  std::array<std::uint8_t, block_bytes_max + block_slack> memory;
  const auto size = [&](auto&& value) {
    std::vector<double> values;
    for (int i = 0; i < 16; ++i) values.push_back(value(i));
    return encode_block(values, memory.data());
  };
  CHECK(size([](int) { return 0.0; }) == 1);
  CHECK(size([](int) { return 1.0; }) == 2);
  CHECK(size([](int) { return 0.1; }) == 9);
  CHECK(size([](int i) { return 1e6 + i; }) <= 8);
  CHECK(size([](int i) { return 4096.0 * (1000 + i * i % 7); }) <= 14);
  CHECK(size([](int i) { return 0.25 * (i % 3); }) <= 15);
}
