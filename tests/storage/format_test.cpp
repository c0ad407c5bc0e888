// The worked examples of storage/format are what the code writes: the test reads them out of the documents.
#include <fstream>
#include <sstream>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/series/chunk.hpp"
#include "storage/series/day_index.hpp"
#include "storage/store_journal.hpp"
#include "storage/store_keys.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using test::Sample;

namespace {

// The n-th ```hex block of a document; what stands after ';' in a line explains it.
std::string example(const std::string& document, int n) {
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/" + document);
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

storage::JournalRecord record() {
  storage::JournalRecord out;
  out.sequence = 258;
  out.series = {{7, {{1'700'000'000'000, 1.5}, {1'700'000'015'000, -0.0}}}, {8, {{1'700'000'000'000, model::stale_nan}}}};
  out.events = {{model::EventKind::log,
                 model::Labels::of({{"job", "api"}}),
                 {{1'700'000'000'000'000'000, {{"line", "ok"}, {"n", std::int64_t{-3}}}},
                  {1'700'000'000'000'000'001, {{"line", "no"}, {"list", model::List{2}}}}}}};
  out.labels = {{"fraud", "p1", true, 1'700'000'000'000'000'000}};
  return out;
}

}  // namespace

TEST_CASE("the journal record of the document is what the code writes and reads") {
  const std::string bytes = storage::encode_journal(record());
  CHECK(hex(bytes) == example("journal.md", 0));
  const auto back = storage::decode_journal(258, bytes);
  REQUIRE(back);
  CHECK(storage::encode_journal(*back) == bytes);
  CHECK(back->events[0].rows[1].fields == record().events[0].rows[1].fields);
  CHECK(storage::decode_journal(259, bytes).error().code == Code::corrupt);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] ^= 16;
    CHECK_FALSE(storage::decode_journal(258, bad));
    CHECK_FALSE(storage::decode_journal(258, bytes.substr(0, i)));
  }
}

TEST_CASE("a journal record with a good checksum and bad content is refused") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string good = storage::encode_journal(record());
  for (int round = 0; round < 20000; ++round) {
    std::string body = good.substr(0, good.size() - 4);
    for (std::size_t i = 0, n = 1 + random() % 3; i < n; ++i)
      body[9 + random() % (body.size() - 9)] = static_cast<char>(random());
    ByteWriter out;
    out.raw(body);
    out.le32(crc32c(body));
    (void)storage::decode_journal(258, out.str());  // any answer but a crash or a huge allocation
  }
  ByteWriter newer;
  newer.u8(2);
  newer.raw(std::string_view(good).substr(1, good.size() - 5));
  newer.le32(crc32c(newer.str()));
  CHECK(storage::decode_journal(258, newer.str()).error().code == Code::unsupported);
}

TEST_CASE("the chunk of the document is what the code writes and reads") {
  const std::vector<Sample> samples{{1'700'000'000'000, 1}, {1'700'000'015'000, 3}, {1'700'000'030'000, 2},
                                    {1'700'000'045'003, model::stale_nan}};
  const std::string bytes = storage::series::encode_chunk(300, samples);
  CHECK(hex(bytes) == example("chunk.md", 0));
  const auto header = storage::series::read_chunk_header(bytes);
  REQUIRE(header);
  CHECK(header->summary.count == 3);
  CHECK(header->summary.has_stale);
  CHECK(header->summary.min == 1);
  CHECK(header->summary.max == 3);
  CHECK(header->summary.sum == 6);
  CHECK(header->summary.reset_correction == 3);
  std::vector<Sample> back;
  REQUIRE(storage::series::decode_chunk(bytes, {}, back));
  CHECK(back == samples);
  back.clear();
  REQUIRE(storage::series::decode_chunk(bytes, {1'700'000'015'000, 1'700'000'030'000}, back));
  CHECK(back.size() == 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] ^= 1;
    CHECK_FALSE(storage::series::decode_chunk(bad, {}, back));
  }
}

TEST_CASE("the keys of the document are what the code writes") {
  CHECK(hex(storage::journal_key(258)) == example("keys.md", 0));
  CHECK(hex(storage::series::chunk_key(200, {19675, 300, 1'700'000'000'000, 12})) == example("keys.md", 1));
  CHECK(hex(storage::series::day_key(200, 19675)) == example("keys.md", 2));
  CHECK(hex(storage::format_key()) == example("keys.md", 3));
  const auto key = storage::series::parse_chunk_key(storage::series::chunk_key(200, {19675, 300, -5, 12}));
  REQUIRE(key);
  CHECK(key->min_t == -5);
  CHECK(key->seal == 12);
}
