// A damaged file is never silent: opening, reading or verifying it says corrupt, naming the file, or the answer is right.
#include "segment_fixture.hpp"
#include "storage/series/segment_format.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void spill(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("flipped bits and cut files are told, or do not matter") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  const SegmentModel model = random_model(random, 600, 30);
  const std::string name = f.write(model, 1).name;
  const std::string good = slurp(f.path(name));
  int told = 0;
  const auto check = [&](const std::string& bad) {
    spill(f.path(name), bad);
    const auto files = f.reopened();  // with an empty cache
    const auto expect = [&](const Error& error) {
      ++told;
      CHECK(error.code == Code::corrupt);
      CHECK(error.message.find(name) != std::string::npos);
    };
    const auto segment = Segment::open(*files, name);
    if (!segment) return expect(segment.error());
    SegmentModel back;
    const Status status = (*segment)->read(refs_of(model), {}, [&](const SegmentChunk& chunk) {
      return chunk.samples({}, back[{chunk.info().vshard, chunk.info().id}]);
    });
    const auto problems = (*segment)->verify();
    if (!status) {
      CHECK_FALSE(problems.empty());
      return expect(status.error());
    }
    REQUIRE((back == model));  // the damage lies where nothing was read from
  };
  for (int round = 0; round < 200; ++round) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    check(bad);
  }
  for (int round = 0; round < 40; ++round) check(good.substr(0, random() % good.size()));
  CHECK(told > 120);
  spill(f.path(name), good);
  CHECK((read_all(*f.open(name), refs_of(model)) == model));
  // One segment under the name of another.
  const std::string other = storage::series::segment_name(some_day, 2);
  std::filesystem::copy(f.path(name), f.path(other));
  CHECK(Segment::open(*f.files, other).error().code == Code::corrupt);
}

TEST_CASE("records with a good checksum and bad content are refused or read, never a crash") {
  using namespace plumbline::storage::series;
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  const std::string name = f.write(random_model(random, 100, 900), 1).name;
  const auto table = must(f.files->read(name));
  std::vector<std::pair<std::string, std::string>> records;
  {
    storage::kv::TableReader::Getter getter(*table);
    const SegmentIndex index = must(decode_index(must(unframe_record(Record::info, must(getter.get(info_key()))))));
    const auto take = [&](const std::string& key) { records.emplace_back(key, must(getter.get(key))); };
    for (const auto& g : index.groups) {
      take(record_key(g.first, g.number));
      take(record_key(g.first, g.number + 1));
    }
    for (const auto& t : index.times) take(record_key(t.vshard, t.number));
    take(info_key());
  }
  std::ranges::sort(records);
  for (int round = 0; round < 500; ++round) {
    auto bad = records;
    std::string& value = bad[random() % bad.size()].second;
    std::string body = value.substr(2, value.size() - 6);
    if (random() % 8 == 0) body.resize(random() % body.size());
    for (std::size_t i = 0, n = 1 + random() % 3; i < n && !body.empty(); ++i)
      body[random() % body.size()] = static_cast<char>(random());
    value = frame_record(static_cast<Record>(value[1]), body);
    auto writer = must(f.files->create(name));
    for (const auto& [k, v] : bad) must(writer->put(k, v));
    must(writer->finish());
    const auto files = f.reopened();
    const auto segment = Segment::open(*files, name);
    if (!segment) continue;
    (void)(*segment)->verify();
    const auto order = (*segment)->order(0, 255);
    if (!order) continue;
    std::vector<SeriesRef> all = *order;
    std::ranges::sort(all);
    Samples out;
    (void)(*segment)->read(all, {}, [&](const SegmentChunk& chunk) {
      out.clear();
      return chunk.samples({}, out);
    });
  }
}
