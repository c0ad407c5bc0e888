#include "storage/codec/times.hpp"

#include "tests/codec/columns.hpp"

using namespace plumbline;
using namespace plumbline::storage::codec;

namespace {

std::vector<std::int64_t> times(test::Random& random, std::size_t n, int kind) {
  std::vector<std::int64_t> out;
  std::int64_t t = kind == 0 ? static_cast<std::int64_t>(random()) : 1'700'000'000'123;
  for (std::size_t i = 0; i < n; ++i) {
    switch (kind) {
      case 0:
        t = static_cast<std::int64_t>(random());
        break;
      case 1:
        t += 15000;
        break;
      case 2:
        t = 1'700'000'000'123 + static_cast<std::int64_t>(i) * 15000 +
            static_cast<std::int64_t>(random() % 7);
        break;
      case 3:
        t += random() % 30 == 0 ? 15000 * static_cast<std::int64_t>(random() % 40) : 15000;
        break;
      case 4:
        t += static_cast<std::int64_t>(random() % 100'000);
        break;
      case 5:
        t = i % 2 == 0 ? std::numeric_limits<std::int64_t>::max()
                       : std::numeric_limits<std::int64_t>::min() + 3;
        break;
      case 6:
        t += (1ll << 41) + static_cast<std::int64_t>(random() % 3);
        break;
      default:
        t += 15000 * static_cast<std::int64_t>(1 + (random() % 20 == 0)) +
             static_cast<std::int64_t>(random() % 5);
        break;
    }
    out.push_back(t);
  }
  return out;
}
constexpr int kinds = 8;

}  // namespace

TEST_CASE("time columns of every kind and length come back, and only at their length") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  for (std::size_t n = 0; n <= 600; ++n) {
    for (int kind = 0; kind < kinds; ++kind) {
      const auto column = times(random, n, kind);
      std::string bytes;
      encode_times(column, bytes);
      std::vector<std::int64_t> back(n);
      REQUIRE(decode_times(bytes, back));
      REQUIRE(back == column);
      CHECK_FALSE(decode_times(bytes + '\0', back));
      if (!bytes.empty())
        CHECK_FALSE(decode_times(std::string_view(bytes).substr(0, bytes.size() - 1), back));
    }
  }
}

TEST_CASE("a damaged time column is an error or other numbers") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    const auto column = times(random, 1 + random() % 200, round % kinds);
    std::string bytes;
    encode_times(column, bytes);
    for (std::size_t i = 0, n = 1 + random() % 3; i < n; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    std::vector<std::int64_t> back(column.size() + (random() % 4 == 0 ? random() % 5 : 0));
    (void)decode_times(bytes, back);
  }
}

TEST_CASE("time columns of a grid are small") {
  test::Random random(1);
  const auto size = [&](int kind) {
    std::string bytes;
    encode_times(times(random, 480, kind), bytes);
    return bytes.size();
  };
  CHECK(size(1) <= 10);
  CHECK(size(2) <= 210);  // entropy 168
  CHECK(size(3) <= 80);
}
