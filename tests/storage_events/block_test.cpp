// Sealed blocks: round trip, projection, the golden bytes of storage/format/event_block.md, and every damage is detected.
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/events/block.hpp"
#include "tests/storage_events/random_values.hpp"

namespace plumbline::test {
namespace {

using namespace storage::events;
using model::EventKind;
using storage::Column;
using storage::Labels;
using model::Value;

struct Example {
  Labels stream = Labels::of({{"model", "churn"}, {"version", "3"}});
  std::vector<std::int64_t> times;
  std::vector<Column> columns;
  std::string block() const { return build_block(EventKind::inference, stream, times, columns); }
};

// The example that event_block.md explains byte by byte.
Example golden() {
  Example s;
  s.stream = Labels::of({{"model", "m"}});
  s.times = {1'700'000'000'000'000'000, 1'700'000'000'250'000'000, 1'700'000'000'500'000'000};
  s.columns.push_back({"feature.x", {Value(0.5), Value(), Value(2.25)}});
  s.columns.push_back({"status", {Value("ok"), Value("ok"), Value("ok")}});
  return s;
}

Example random_example(Random& random, std::size_t rows) {
  Example s;
  std::int64_t t = 1'700'000'000'000'000'000;
  for (std::size_t i = 0; i < rows; ++i) s.times.push_back(t += static_cast<std::int64_t>(below(random, 3)) * 1000);
  for (std::uint64_t c = below(random, 8); c > 0; --c)
    s.columns.push_back({"feature.f" + std::to_string(c), odd_column(random, rows)});
  return s;
}

// Everything a block says; an error when any part does not verify.
Status read_all(std::string_view bytes) {
  PLUMBLINE_TRY(const BlockView view, BlockView::open(bytes));
  PLUMBLINE_TRY(const auto times, view.times());
  static_cast<void>(times);
  for (const BlockColumn& c : view.columns()) {
    std::vector<Value> values;
    PLUMBLINE_CHECK_OK(view.decode(c, 0, view.rows(), values));
  }
  return {};
}

TEST_CASE("blocks come back as they were built") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 60; ++round) {
    const Example s = random_example(random, 1 + below(random, 500));
    const std::string bytes = s.block();
    const auto view = BlockView::open(bytes);
    REQUIRE(view);
    REQUIRE(view->stream() == s.stream);
    REQUIRE(view->kind() == EventKind::inference);
    REQUIRE(view->min_time() == s.times.front());
    REQUIRE(view->max_time() == s.times.back());
    REQUIRE(view->times() == s.times);
    REQUIRE(view->columns().size() == s.columns.size());
    for (const Column& c : s.columns) {
      const BlockColumn* found = view->find(c.name);
      REQUIRE(found != nullptr);
      std::vector<Value> values;
      REQUIRE(view->decode(*found, 0, view->rows(), values));
      REQUIRE(same(values, c.values));
    }
  }
}

TEST_CASE("every flipped bit and every truncation of a block is detected") {
  Random random(11);
  std::vector<std::string> blocks{golden().block()};
  for (int i = 0; i < 3; ++i) blocks.push_back(random_example(random, 5 + below(random, 20)).block());
  for (const std::string& good : blocks) {
    REQUIRE(read_all(good));
    for (std::size_t at = 0; at < good.size(); ++at) {
      REQUIRE_FALSE(read_all(good.substr(0, at)));
      for (int bit = 0; bit < 8; ++bit) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
        const Status status = read_all(bad);
        CAPTURE(at, bit);
        REQUIRE_FALSE(status);
        REQUIRE(status.error().code == Code::corrupt);
      }
    }
    REQUIRE_FALSE(read_all(good + '\0'));
  }
}

TEST_CASE("the decoders behind the checksums survive any damage") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 40; ++round) {
    const std::string good = random_example(random, 1 + below(random, 60)).block();
    for (int damage = 0; damage < 100; ++damage) {
      std::string bad = good;
      for (std::uint64_t n = 1 + below(random, 4); n > 0; --n)
        bad[below(random, bad.size())] = static_cast<char>(random());
      fuzz_block(bad);
    }
  }
  fuzz_block("");
  fuzz_block("PLEB");
}

TEST_CASE("a newer version is refused with a clear word") {
  std::string bytes = golden().block();
  bytes[4] = 2;
  ByteReader in(std::string_view(bytes).substr(5));
  const std::uint32_t header = in.le32();
  ByteWriter crc;
  crc.le32(crc32c(std::string_view(bytes).substr(0, header - 4)));
  bytes.replace(header - 4, 4, crc.str());
  const auto view = BlockView::open(bytes);
  REQUIRE_FALSE(view);
  CHECK(view.error().code == Code::unsupported);
  CHECK(view.error().message == "block version 2 is newer than this program's 1");
}

TEST_CASE("word filters let a reader pass over blocks") {
  Example s = golden();
  s.columns.push_back({"line", {Value("disk full on node-7"), Value("all quiet"), Value()}});
  s.columns.push_back({"trace_id", {Value("00ff"), Value("0a"), Value()}});
  const std::string bytes = s.block();
  const auto view = BlockView::open(bytes);
  REQUIRE(view);
  CHECK(view->may_contain_words("line", "disk full"));
  CHECK_FALSE(view->may_contain_words("line", "disk empty"));
  CHECK_FALSE(view->may_contain_words("absent", "disk"));
  CHECK_FALSE(view->may_contain_words("feature.x", "disk"));
  CHECK(view->may_contain_words("trace_id", "77"));  // ids carry no filter: their index finds them
}

TEST_CASE("the golden block has the bytes of the format document") {
  const std::string bytes = hex(golden().block());
  std::ifstream file(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/event_block.md");
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  // The document's code block marked `hex`, without spaces and comments after #.
  const std::string document = text.str();
  const std::size_t begin = document.find("```hex\n");
  REQUIRE(begin != std::string::npos);
  std::istringstream lines(document.substr(begin + 7, document.find("```", begin + 7) - begin - 7));
  std::string expected;
  for (std::string line; std::getline(lines, line);)
    for (const char c : line.substr(0, line.find('#')))
      if (c != ' ') expected.push_back(c);
  CHECK(bytes == expected);
}

}  // namespace
}  // namespace plumbline::test
