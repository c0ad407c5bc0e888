#include "storage/codec/value_group.hpp"

#include "tests/codec/columns.hpp"

using namespace plumbline;
using namespace plumbline::storage::codec;

namespace {

using Columns = std::vector<std::vector<double>>;

std::string encode(ValueGroupEncoder& encoder, const Columns& columns) {
  for (const auto& c : columns) encoder.add(c);
  return encoder.finish();
}

void check(const std::string& bytes, const Columns& columns) {
  auto decoder = ValueGroupDecoder::open(bytes);
  REQUIRE(decoder);
  REQUIRE(decoder->columns() == columns.size());
  // Backwards: no column may need the one before it to be read first.
  for (std::size_t i = columns.size(); i-- > 0;) {
    REQUIRE(decoder->length(i) == columns[i].size());
    std::vector<double> back(columns[i].size());
    REQUIRE(decoder->read(i, back));
    INFO("column " << i);
    REQUIRE(test::same_bits(back, columns[i]));
    back.resize(back.size() + 1);
    CHECK_FALSE(decoder->read(i, back));
  }
  std::vector<double> none;
  CHECK_FALSE(decoder->read(columns.size(), none));
}

}  // namespace

TEST_CASE("groups are bit-exact for adversarial columns of every length") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  ValueGroupEncoder encoder;
  for (std::size_t n = 0; n <= 600; n += 1 + n / 40) {
    Columns columns;
    for (int kind = 0; kind < test::column_kinds; ++kind) columns.push_back(test::column(random, n, kind));
    for (int i = 0; i < 4; ++i) columns.push_back(test::mixed_column(random, n));
    check(encode(encoder, columns), columns);
  }
  for (int round = 0; round < 300; ++round) {
    Columns columns;
    for (std::size_t i = 0, n = random() % 40; i < n; ++i)
      columns.push_back(
          test::column(random, random() % 600, static_cast<int>(random() % test::column_kinds)));
    check(encode(encoder, columns), columns);
  }
}

TEST_CASE("a group of nothing, of empty columns and of the longest column") {
  ValueGroupEncoder encoder;
  check(encoder.finish(), {});
  check(encode(encoder, {{}, {}, {1}}), {{}, {}, {1}});
  test::Random random(3);
  Columns columns{test::column(random, column_values_max, 6), test::column(random, column_values_max, 0),
                  test::column(random, column_values_max, 15)};
  check(encode(encoder, columns), columns);
  check(encode(encoder, Columns(3000, {1, 2, 3})), Columns(3000, {1, 2, 3}));
}

TEST_CASE("sibling columns that follow each other cost little") {
  test::Random random(4);
  ValueGroupEncoder encoder;
  const auto bits = [&](int kind, std::size_t count) {
    Columns columns;
    for (std::size_t i = 0; i < count; ++i) columns.push_back(test::column(random, 480, kind));
    return static_cast<double>(encode(encoder, columns).size()) * 8 / static_cast<double>(480 * count);
  };
  CHECK(bits(1, 64) < 0.08);                       // constant
  CHECK(bits(6, 64) < std::log2(20.0) * 1.03);     // uniform increases below 20
  CHECK(bits(13, 64) < 54.7);                      // 53 random bits
  CHECK(bits(14, 64) < std::log2(1000.0) * 1.04);  // in pages
  CHECK(bits(15, 64) < 0.22);                      // a change in a hundred: 0.08
}

TEST_CASE("a damaged group is an error or other numbers, never more") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  test::Random random(seed);
  ValueGroupEncoder encoder;
  for (int round = 0; round < 6000; ++round) {
    Columns columns;
    for (std::size_t i = 0, n = 1 + random() % 12; i < n; ++i)
      columns.push_back(
          test::column(random, 1 + random() % 60, static_cast<int>(random() % test::column_kinds)));
    std::string bytes = encode(encoder, columns);
    if (round % 4 == 0)
      bytes.resize(random() % bytes.size());
    else
      for (std::size_t i = 0, n = 1 + random() % 3; i < n; ++i)
        bytes[random() % (round % 4 == 1 ? std::min<std::size_t>(bytes.size(), 40) : bytes.size())] =
            static_cast<char>(random());
    auto decoder = ValueGroupDecoder::open(bytes);
    if (!decoder) continue;
    for (std::size_t i = 0; i < decoder->columns() && i < 100; ++i) {
      std::vector<double> back(decoder->length(i));
      (void)decoder->read(i, back);
    }
  }
}
