// The worked examples of storage/format/value_group.md are what the code writes: the test reads them out of
// the document.
#include <fstream>

#include "daemon/base/text.hpp"
#include "storage/codec/times.hpp"
#include "storage/codec/value_group.hpp"
#include "tests/codec/columns.hpp"

using namespace plumbline;
using namespace plumbline::storage::codec;

namespace {

// The n-th ```hex block of the document; what stands after ';' in a line explains it.
std::string example(int n) {
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/value_group.md");
  REQUIRE(in);
  std::string digits;
  std::string line;
  int block = -1;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line == "```hex") {
      ++block;
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside && block == n) {
      for (const char c : line.substr(0, line.find(';')))
        if (c != ' ') digits += c;
    }
  }
  return digits;
}

std::string times(const std::vector<std::int64_t>& column) {
  std::string out;
  encode_times(column, out);
  return hex(out);
}

}  // namespace

TEST_CASE("the value group of the document is what the code writes and reads") {
  const std::vector<std::vector<double>> columns{{1.5, 1.5, 1.5, 1.5},
                                                 {10, 12, 12, 15},
                                                 {110, 112, 112, 115},
                                                 {0.25, model::stale_nan, 0.5, 0.75},
                                                 {0.1234567890123456, 0.9876543210987654}};
  ValueGroupEncoder encoder;
  for (const auto& c : columns) encoder.add(c);
  std::string bytes = encoder.finish();
  CHECK(hex(bytes) == example(0));
  auto decoder = ValueGroupDecoder::open(bytes);
  REQUIRE(decoder);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::vector<double> back(decoder->length(i));
    REQUIRE(decoder->read(i, back));
    CHECK(test::same_bits(back, columns[i]));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i)
    CHECK(ValueGroupDecoder::open(std::string_view(bytes).substr(0, i)).error().code == Code::corrupt);
  bytes[0] = 2;
  CHECK(ValueGroupDecoder::open(bytes).error().code == Code::unsupported);
}

TEST_CASE("the time columns of the document are what the code writes") {
  CHECK(times({1700000000000, 1700000015000, 1700000030002, 1700000045001}) == example(1));
  CHECK(times({1700000000000, 1700000015000, 1700000030000, 1700000075000, 1700000090000}) == example(2));
}
