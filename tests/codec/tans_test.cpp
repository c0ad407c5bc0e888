#include "storage/codec/tans.hpp"

#include "tests/codec/columns.hpp"

using namespace plumbline;
using namespace plumbline::storage::codec;

namespace {

std::uint64_t value(test::Random& random, int kind) {
  switch (kind) {
    case 0:
      return random() >> (random() % 64);
    case 1:
      return random() % 3;
    case 2:
      return random() % 100 == 0 ? random() : 0;
    case 3:
      return random() % 500;
    default:
      return 7;
  }
}

}  // namespace

TEST_CASE("every integer is its token's base and raw bits") {
  for (std::size_t t = 0; t < token_count; ++t) {
    CHECK(token_of(token_base(t)) == t);
    const std::uint64_t last = token_base(t) + ((1ull << token_raw_bits(t)) - 1);
    CHECK(token_of(last) == t);
    CHECK((t + 1 == token_count ? last == ~0ull : last + 1 == token_base(t + 1)));
  }
}

TEST_CASE("a stream comes back with a model of its own and with a shared one") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::array<std::uint32_t, token_count> counts{};
    std::vector<std::vector<std::uint64_t>> streams;
    for (int s = 0; s < 1 + round % 3; ++s) {
      auto& values = streams.emplace_back();
      for (std::size_t i = 0, n = 1 + random() % (round < 100 ? 5 : 600); i < n; ++i) {
        values.push_back(value(random, round % 5));
        ++counts[token_of(values.back())];
      }
    }
    const Model model = make_model(counts);
    BitWriter bits;
    write_model(bits, model);
    const std::string written = bits.str();
    BitReader in(written);
    Model read;
    REQUIRE(read_model(in, read));
    REQUIRE(read == model);
    REQUIRE(in.left() < 8);
    const TansEncoder encoder(model);
    const TansDecoder decoder(model);
    for (const auto& values : streams) {
      std::vector<std::uint8_t> tokens;
      for (const std::uint64_t v : values) tokens.push_back(token_of(v));
      std::string stream;
      encoder.encode(tokens, values, stream);
      std::vector<std::uint64_t> back(values.size());
      std::string padded;
      std::vector<std::uint8_t> scratch;
      REQUIRE(decoder.decode(stream, back, padded, scratch));
      REQUIRE(back == values);
      std::vector<std::uint64_t> longer(values.size() + 1 + random() % 9);
      if (decoder.decode(stream, longer, padded, scratch)) CHECK(model[tokens[0]] == model_total);
    }
  }
}

TEST_CASE("the logarithm is near") {
  for (std::uint32_t x = 1; x < 5'000'000; x += 1 + x / 97)
    CHECK(std::abs(static_cast<double>(log2_fixed(x)) - 256 * std::log2(x)) < 2);
}
