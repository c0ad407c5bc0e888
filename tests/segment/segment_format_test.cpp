// The worked examples of storage/format/segment.md are what the code writes: the test reads them out of the document.
#include "segment_fixture.hpp"
#include "daemon/base/text.hpp"
#include "storage/series/segment_directory.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::test;
using namespace plumbline::storage::series;

namespace {

// The n-th ```hex block of the document; what stands after ';' in a line explains it.
std::string example(int n) {
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/segment.md");
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

}  // namespace

TEST_CASE("the segment of the document is what the code writes and reads") {
  SegmentFixture f;
  const Samples first{{1'700'000'000'000, 1}, {1'700'000'015'000, 3}, {1'700'000'030'000, 2},
                      {1'700'000'045'003, model::stale_nan}};
  Samples second = first;
  for (Sample& s : second) s.v = 12.5;
  const SegmentModel model{{{3, 300}, first}, {{200, 7}, second}};
  const SegmentInfo info = f.write(model, 12);
  const auto table = must(f.files->read(info.name));
  storage::kv::TableReader::Getter getter(*table);
  CHECK(hex(record_key(3, 0)) == example(0));
  CHECK(hex(must(getter.get(record_key(3, 0)))) == example(1));
  CHECK(hex(frame_record(Record::times, encode_times_record({{4, "abc"}, {2, "de"}}))) == example(2));
  CHECK(hex(must(getter.get(info_key()))) == example(3));
  CHECK((read_all(*f.open(info.name), refs_of(model)) == model));
}

TEST_CASE("the histograms of the document are what the code writes and reads") {
  SegmentFixture f;
  const std::vector<model::HistogramSample> samples{{1'700'000'015'000, document_histogram()}};
  auto writer = must(SegmentWriter::create(*f.files, 19675, 12));
  must(writer->add_histograms({3, 300}, samples));
  const SegmentInfo info = must(writer->finish());
  const auto table = must(f.files->read(info.name));
  storage::kv::TableReader::Getter getter(*table);
  CHECK(hex(must(getter.get(record_key(0, 0)))) == example(4));
  CHECK(hex(must(getter.get(info_key()))) == example(5));
}

TEST_CASE("an info record whose positions run backwards is damaged") {
  // Steps are unsigned, so a large one would wrap to a position before the last.
  const auto body = [](std::initializer_list<std::uint64_t> places) {
    ByteWriter out;
    for (int i = 0; i < 6; ++i) out.varint(0);  // info
    for (const std::uint64_t v : places) out.varint(v);
    std::string ids(Roaring().getSizeInBytes(), '\0');
    Roaring().write(ids.data());
    out.sized(ids);
    return out.take();
  };
  const std::uint64_t back = ~0ull;  // adds -1
  CHECK(decode_index(body({2, 5, 1, 8, 1, 1, 2, 0})).has_value());
  for (const auto& bad : {body({2, 5, 1, 8, back, 1, 2, 0}), body({2, 5, 1, 8, 1, back, 2, 0}), body({2, 5, 1, 8, 1, 1, back, 0}),
                          body({1, 5, 300, 8, 0}), body({0, 2, 5, 8, back, 1}), body({0, 2, 5, 8, 1, back})}) {
    const auto index = decode_index(bad);
    REQUIRE_FALSE(index);
    CHECK(index.error().code == Code::corrupt);
  }
}

TEST_CASE("a newer record is refused with both versions") {
  std::string value = frame_record(Record::info, "x");
  ByteWriter newer;
  newer.u8(3);
  newer.raw(value.substr(1, value.size() - 5));
  newer.le32(crc32c(newer.str()));
  const auto body = unframe_record(Record::info, newer.str());
  REQUIRE_FALSE(body);
  CHECK(body.error().code == Code::unsupported);
  CHECK(unframe_record(Record::times, value).error().code == Code::corrupt);
}
