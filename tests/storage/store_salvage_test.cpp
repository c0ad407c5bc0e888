// Damage of every kind of file, and what a salvage makes of it: a sound store that answers what read before.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>

#include "storage/kv/kill_point.hpp"
#include "storage/kv/salvage_kill_points.hpp"
#include "storage/offline.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;
namespace fs = std::filesystem;

namespace {

constexpr int series_count = 60;
constexpr int rounds = 90;

Labels labels_of(int i) { return Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}); }

WriteBatch batch_of(std::int64_t now_ms, int round) {
  WriteBatch batch;
  for (int i = 0; i < series_count; ++i)
    batch.series.push_back({labels_of(i), {{now_ms - 3 * 86'400'000 + round * 2'000'000 + i, static_cast<double>(round * 1000 + i)}}});
  batch.state.push_back({"test/" + std::to_string(round), "v" + std::to_string(round)});
  for (int app = 0; app < 3; ++app)
    batch.events.push_back({model::EventKind::log, Labels::of({{"app", "a" + std::to_string(app)}}),
                            {{now_ms * 1'000'000 + round, {{"line", "line " + std::to_string(round)}, {"trace_id", "t" + std::to_string(round)}}}}});
  batch.labels.push_back({"m", "p" + std::to_string(round), 1.0, now_ms * 1'000'000});
  return batch;
}

// Everything that a store answers. A part that answers with an error adds what came before the error.
struct Answers {
  std::set<std::pair<std::string, std::int64_t>> samples;
  std::multiset<std::pair<std::string, std::int64_t>> rows;
};

Answers answers(const storage::Store& store, std::int64_t now_ms) {
  Answers out;
  bool right = true;
  for (int i = 0; i < series_count; ++i)
    for (int day = -4; day <= 1; ++day) {  // a damaged day must not hide the others
      const std::int64_t start = (now_ms / 86'400'000 + day) * 86'400'000;
      storage::SeriesQuery query;
      query.matchers.push_back(Matcher::equal("i", std::to_string(i)));
      query.range = {start, start + 86'399'999};
      (void)store.select(query, [&](const Labels& found, std::span<const Sample> samples) {
        for (const Sample& s : samples) {
          right &= s.v == static_cast<double>((s.t - i - now_ms + 3 * 86'400'000) / 2'000'000 * 1000 + i);
          out.samples.emplace(found.str(), s.t);
        }
        return true;
      });
    }
  storage::EventQuery query;
  query.kind = model::EventKind::log;
  (void)store.scan(query, [&](const storage::RowBlock& block) {
    for (const std::int64_t t : block.times_ns) out.rows.emplace(block.stream->str(), t);
    return true;
  });
  CHECK(right);
  return out;
}

// A store with sealed days, merged and not, tables of RocksDB and records that are not sealed. Closed, or as kill -9 leaves it.
std::string grown(StoreFixture& f, bool closed) {
  f.options.path = f.directory.path("grown");
  f.open();
  for (int round = 0; round < rounds; ++round) {
    REQUIRE(f.store->write(batch_of(f.clock.now_ms(), round)));
    if (round % 20 == 19) REQUIRE(f.store->seal());
    if (round == 39 || round == 79) f.reopen();  // memtables become tables
  }
  if (closed) {
    f.store.reset();
    return f.options.path;
  }
  const std::string killed = f.directory.path("killed");
  copy_tree(f.options.path, killed);
  f.store.reset();
  return killed;
}

std::vector<fs::path> damageable(const std::string& directory) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && entry.file_size() > 0 && name != "LOCK" && name != "IDENTITY" && !name.starts_with("OPTIONS")) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

std::string damage(const fs::path& file, std::mt19937_64& random) {
  const auto size = fs::file_size(file);
  const auto at = random() % size;
  switch (random() % 4) {
    case 0: fs::resize_file(file, at); return file.string() + " cut to " + std::to_string(at);
    case 1: fs::remove(file); return file.string() + " removed";
    default: break;
  }
  flip(file, at, 1 << random() % 8);
  return file.string() + " bit at " + std::to_string(at);
}

storage::SalvageReport salvaged(StoreFixture& f, const std::string& path) {
  auto report = storage::salvage(path, f.options.file_system, *f.log);
  if (!report) FAIL(report.error().message);
  for (const model::Problem& p : report->after.problems) FAIL_CHECK("after: " << p.str());
  return std::move(*report);
}

Answers opened(StoreFixture& f, const std::string& path) {
  f.options.path = path;
  f.open();
  return answers(*f.store, f.clock.now_ms());
}

template <class Set>
bool contains(const Set& all, const Set& part) {
  return std::ranges::includes(all, part);
}

std::map<std::string, std::string> bytes_below(const std::string& directory) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    out[entry.path().string().substr(directory.size() + 1)].assign(std::istreambuf_iterator<char>(in), {});
  }
  return out;
}

}  // namespace

TEST_CASE("a salvage of a sound directory changes nothing", "[salvage]") {
  for (const bool closed : {true, false}) {
    StoreFixture g;
    const std::string path = grown(g, closed);
    const auto before = bytes_below(path);
    const auto report = salvaged(g, path);
    CHECK(report.found.empty());
    CHECK(report.kept.empty());
    CHECK((bytes_below(path) == before));
  }
}

TEST_CASE("a salvage is refused of what is no closed data directory", "[salvage]") {
  StoreFixture f;
  const auto none = storage::salvage(f.directory.path("nothing"), nullptr, *f.log);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::not_found);
  f.open();
  const auto running = storage::salvage(f.options.path, nullptr, *f.log);
  REQUIRE_FALSE(running);
  CHECK(running.error().code == Code::conflict);
  REQUIRE(f.store->backup("b"));
  const auto backup = storage::salvage(f.options.path + "/backups/b", nullptr, *f.log);
  REQUIRE_FALSE(backup);
  CHECK(backup.error().code == Code::conflict);
}

// What a damaged store that still opens has answered, the salvaged one answers; what was whole in the files is there; nothing is
// there that never was; and no row is there twice.
// The short form damages a few files, the same ones every time; the long one, PLUMBLINE_LONG=1, every file, as a drawn seed has it.
TEST_CASE("after damage of any file a salvaged store opens and serves what is readable", "[salvage]") {
  const char* text = std::getenv("PLUMBLINE_LONG");
  const bool is_long = text != nullptr && std::string_view(text) == "1";
  const char* given = std::getenv("PLUMBLINE_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : is_long ? std::random_device{}() : 11;
  WARN("seed " << seed);
  std::mt19937_64 random(seed);
  for (const bool closed : {true, false}) {
    StoreFixture f;
    const std::string sound = grown(f, closed);
    const std::string copy = f.directory.path("whole");
    copy_tree(sound, copy);
    const Answers all = opened(f, copy);
    f.store.reset();
    REQUIRE(all.samples.size() == series_count * rounds);
    REQUIRE(all.rows.size() == 3 * rounds);
    std::vector<std::size_t> files(damageable(sound).size());
    std::iota(files.begin(), files.end(), std::size_t{0});
    std::ranges::shuffle(files, random);
    if (!is_long) files.resize(std::min<std::size_t>(files.size(), 6));
    for (const std::size_t n : files) {
      const std::string path = f.directory.path("damaged");
      copy_tree(sound, path);
      const std::string what = damage(damageable(path)[n], random);
      INFO(what << (closed ? ", closed" : ", killed"));
      const std::string as_it_is = f.directory.path("as_it_is");
      copy_tree(path, as_it_is);
      Answers before;
      f.options.path = as_it_is;
      if (auto store = f.try_open()) before = answers(**store, f.clock.now_ms());
      const auto report = salvaged(f, path);
      const auto again = salvaged(f, path);
      CHECK(again.found.empty());
      const Answers after = opened(f, path);
      CHECK(contains(after.samples, before.samples));
      CHECK(contains(after.rows, before.rows));
      CHECK(contains(all.samples, after.samples));
      const auto of = [&](std::string_view part) { return what.find(part) != std::string::npos; };
      if (of("segments/")) CHECK((after.rows == all.rows));
      // The last ten rounds are in the journal alone, and those before are not.
      if (of("journal/")) CHECK(after.samples.size() >= series_count * 80);
      if (of("/CURRENT") || of("/CLOSED") || (of("/MANIFEST") && !report.found.empty())) {
        CHECK((after.samples == all.samples));
        CHECK((after.rows == all.rows));
      }
      if (report.found.empty()) CHECK(report.kept.empty());
      else CHECK(fs::exists(path + "/" + report.kept + "/REPORT"));
      // It takes writes as any other, and keeps them.
      REQUIRE(f.store->write(batch_of(f.clock.now_ms(), rounds)));
      REQUIRE(f.store->seal());
      f.reopen();
      const Answers later = answers(*f.store, f.clock.now_ms());
      CHECK(later.samples.size() == after.samples.size() + series_count);
      f.store.reset();
    }
  }
}

TEST_CASE("a flipped bit in a journal's middle costs one record", "[salvage]") {
  StoreFixture f;
  f.open();
  for (int round = 0; round < 30; ++round) REQUIRE(f.store->write(batch_of(f.clock.now_ms(), round)));
  const std::string path = f.directory.path("killed");
  copy_tree(f.options.path, path);
  f.store.reset();
  const auto journal = fs::directory_iterator(path + "/journal")->path();
  flip(journal, fs::file_size(journal) / 2, 16);
  f.options.path = path;
  CHECK_FALSE(f.try_open());
  const auto report = salvaged(f, path);
  REQUIRE_FALSE(report.lost.empty());
  std::string lines;
  for (const model::Problem& p : report.lost) lines += p.str() + "\n";
  INFO(lines);
  CHECK(lines.find("are missing before record") != std::string::npos);
  CHECK(report.after.records == 29);
  const Answers after = opened(f, path);
  CHECK(after.samples.size() == series_count * 29);
  CHECK(after.rows.size() == 3 * 29);
}

// The handler copies the directory, which is what a process that is killed there leaves.
TEST_CASE("a salvage that is killed anywhere can be made again", "[salvage]") {
  StoreFixture f;
  const std::string path = grown(f, true);
  std::mt19937_64 random(7);
  std::vector<std::string> kinds;  // one of each: a table of RocksDB, a segment, the manifest
  for (const fs::path& file : damageable(path)) {
    const bool table = file.extension() == ".sst";
    const std::string kind = file.parent_path().filename().string() + (table ? ".sst" : file.filename().string().substr(0, 8));
    if (!table && kind.find("MANIFEST") == std::string::npos) continue;
    if (std::ranges::find(kinds, kind) != kinds.end()) continue;
    kinds.push_back(kind);
    fs::resize_file(file, fs::file_size(file) * 2 / 3);
  }
  REQUIRE(kinds.size() == 3);
  std::vector<std::string> left;
  std::set<std::string_view> passed;
  int moves = 0;  // every twelfth is enough: there are dozens, and each way on from one takes a second
  storage::kv::on_kill_point([&](std::string_view place) {
    if (place.starts_with("kv.")) return;
    passed.insert(place);
    if (place == "salvage.moved" && moves++ % 12 != 0) return;
    left.push_back(f.directory.path("left" + std::to_string(left.size())));
    copy_tree(path, left.back());
  });
  const auto report = salvaged(f, path);
  storage::kv::on_kill_point(nullptr);
  CHECK_FALSE(report.moved.empty());
  for (const std::string_view place : storage::kv::salvage_kill_points) {
    INFO(place);
    CHECK(passed.contains(place));
  }
  const Answers whole = opened(f, path);
  f.store.reset();
  for (const std::string& directory : left) {
    INFO(directory);
    f.options.path = directory;
    const bool interrupted = fs::exists(directory + "/SALVAGING");
    if (interrupted) CHECK_FALSE(f.try_open());  // half of its files are in their places
    const auto ended = salvaged(f, directory).ended;
    CHECK(ended == (interrupted ? "damaged-1" : ""));
    if (interrupted) CHECK(fs::exists(directory + "/" + ended + "/REPORT"));
    const Answers again = opened(f, directory);
    CHECK((again.samples == whole.samples));
    CHECK((again.rows == whole.rows));
    f.store.reset();
    CHECK_FALSE(fs::exists(directory + "/salvage-new"));
    CHECK_FALSE(fs::exists(directory + "/SALVAGING"));
  }
}
