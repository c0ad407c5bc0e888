#include "storage/codec/gorilla.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using storage::codec::BitReader;
using storage::codec::BitWriter;

TEST_CASE("bits come back as they were written") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<std::uint64_t, int>> written;
    BitWriter out;
    for (int i = 0; i < 200; ++i) {
      const int width = static_cast<int>(random() % 65);
      const std::uint64_t value = width == 0 ? 0 : random() >> (64 - width);
      out.write(value, width);
      written.emplace_back(value, width);
    }
    const std::string bytes = out.str();
    CHECK(bytes.size() == out.size_bytes());
    BitReader in(bytes);
    for (const auto& [value, width] : written) REQUIRE(in.read(width) == value);
    CHECK(in.ok());
    CHECK(in.left() < 8);
    (void)in.read(64);
    CHECK_FALSE(in.ok());
  }
}

TEST_CASE("gorilla is bit-exact for adversarial doubles and any timestamps") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<model::Sample> samples;
    std::int64_t t = round % 3 == 0 ? static_cast<std::int64_t>(random()) : 1'700'000'000'000;
    double v = 1;
    const auto count = 1 + random() % 600;
    for (std::size_t i = 0; i < count; ++i) {
      samples.push_back({t, v});
      v = test::adversarial(random, v);
      if (round % 3 == 0)
        t = static_cast<std::int64_t>(random());
      else
        t += round % 3 == 1 ? 15000 + static_cast<std::int64_t>(random() % 7) - 3
                            : static_cast<std::int64_t>(random() % 400000);
    }
    const std::string bytes = storage::codec::gorilla_encode(samples);
    std::vector<model::Sample> back;
    REQUIRE(storage::codec::gorilla_decode(bytes, static_cast<std::uint32_t>(count), back));
    REQUIRE(back == samples);
  }
}

TEST_CASE("a damaged gorilla chunk is an error or other numbers, never more") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::vector<model::Sample> samples;
  double v = 0;
  for (int i = 0; i < 120; ++i) samples.push_back({i * 1000, v = test::adversarial(random, v)});
  const std::string good = storage::codec::gorilla_encode(samples);
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    std::vector<model::Sample> out;
    CHECK_FALSE(storage::codec::gorilla_decode(std::string_view(good).substr(0, cut), 120, out));
  }
  for (int round = 0; round < 500; ++round) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << (random() % 8));
    std::vector<model::Sample> out;
    const bool decoded = storage::codec::gorilla_decode(bad, 120, out).has_value();
    CHECK((decoded ? out.size() == 120 : out.size() < 120));
  }
}
