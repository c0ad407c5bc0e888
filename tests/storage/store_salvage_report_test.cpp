// What a salvage says: what is lost, how much of it, what is kept, and where the damaged files are now.
#include <fstream>
#include <iterator>

#include "storage/kv/table_file.hpp"
#include "storage/kv/table_salvage.hpp"
#include "storage/series/segment_format.hpp"
#include "salvage_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;
namespace fs = std::filesystem;

namespace {

// The record says nothing any more, in a table whose blocks are sound.
void damage_info_record(const fs::path& segment) {
  const auto files = storage::kv::TableFiles::open({.directory = segment.parent_path().string()});
  REQUIRE(files);
  auto out = (*files)->create("rewritten");
  REQUIRE(out);
  int damaged = 0;
  REQUIRE(storage::kv::salvage_table(segment.string(), nullptr, [&](std::string_view, std::string_view key, std::string_view value) -> Status {
    std::string bytes(value);
    if (key == storage::series::info_key()) {
      bytes.back() = static_cast<char>(bytes.back() ^ 1);
      ++damaged;
    }
    return (*out)->put(key, bytes);
  }));
  REQUIRE(damaged == 1);
  REQUIRE((*out)->finish());
  fs::rename(segment.parent_path() / "rewritten", segment);
}

}  // namespace

TEST_CASE("the report of a salvage names every file that it moved", "[salvage]") {
  Damaged f;
  f.kill();
  cut(segments_of(f.path).front());
  const auto report = f.salvaged();
  REQUIRE(report.kept == "damaged-1");
  REQUIRE(report.moved.size() > 1);  // the segment, and the database that lists it
  std::ifstream in(f.path + "/damaged-1/REPORT");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  for (const std::string& file : report.moved) {
    INFO(file);
    CHECK(has(text, "moved: " + file + " to damaged-1/" + file + "\n"));
    CHECK(fs::exists(f.path + "/damaged-1/" + file));
  }
  std::string lines;
  for (const std::string& line : storage::lines_of(report)) lines += line + "\n";
  CHECK(text == lines);
  // And there is no other.
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(f.path + "/damaged-1")) files += entry.is_regular_file() ? 1 : 0;
  CHECK(files == report.moved.size() + 1);
}

TEST_CASE("a salvage says how many samples a lost segment had, or that it is not known", "[salvage]") {
  Damaged f;
  f.kill();
  const fs::path segment = segments_of(f.path).front();  // of the first day, of two series
  std::string said;
  SECTION("its directories count them") {
    damage_info_record(segment);
    said = "at least " + std::to_string(2 * f.samples_of(0).size()) + " samples are lost";
  }
  SECTION("nothing of it reads") {
    cut(segment);
    said = "how many samples it had is not known";
  }
  SECTION("it is missing") {
    fs::remove(segment);
    said = "how many samples it had is not known";
  }
  const auto report = f.salvaged();
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost.front().file == "segments/" + segment.filename().string());
  INFO(text_of(report.lost));
  CHECK(has(text_of(report.lost), said));
}

TEST_CASE("a salvage of a database whose list of files is spoilt names the list, and nothing else as lost", "[salvage]") {
  Damaged f;
  f.kill();
  std::ofstream(f.path + "/CURRENT") << "garbage\n";
  const auto report = f.salvaged();
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].str() == "the database's list of its files: it does not read; it is made anew of the tables and logs");
  f.open();
  CHECK(read_all(*f.store, named("a"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
  CHECK(read_all(*f.store, named("a"), {f.begin + day_ms, f.begin + 2 * day_ms - 1}) == f.samples_of(1));
  CHECK(read_all(*f.store, named("b"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
}

TEST_CASE("the folders that salvages left are named by number, and nothing else is", "[salvage]") {
  Damaged f;
  f.kill();
  const auto named_now = [&] {
    const auto folders = storage::damaged_folders(f.path, nullptr);
    REQUIRE(folders);
    return *folders;
  };
  CHECK(named_now().empty());
  cut(segments_of(f.path).front());
  CHECK(f.salvaged().kept == "damaged-1");
  for (const char* name : {"damaged-10", "damaged-2", "damaged-", "damaged-x", "damaged-3x", "damaged-99999999999999999999", "undamaged-4"})
    fs::create_directory(f.path + "/" + name);
  CHECK(named_now() == std::vector<std::string>{"damaged-1", "damaged-2", "damaged-10"});
}

TEST_CASE("verify says of which directory a salvage would be made", "[salvage]") {
  Damaged f;
  REQUIRE(f.store->backup("b"));
  f.kill();
  const auto verified = [&](const std::string& path) {
    const auto report = storage::verify(path, nullptr, *f.log);
    if (!report) FAIL(report.error().message);
    const auto salvaged = storage::salvage(path, nullptr, *f.log);
    CHECK(report->salvageable == salvaged.has_value());
    return report->salvageable;
  };
  CHECK_FALSE(verified(f.path + "/backups/b"));
  CHECK(verified(f.path));
  std::ofstream(f.path + "/RESTORING").close();
  CHECK_FALSE(verified(f.path));
}

TEST_CASE("a sound tier of a day that lost samples stands for them", "[salvage]") {
  StoreFixture f;
  f.options.downsample_5m_retention = std::chrono::hours(24 * 20);
  f.options.downsample_1h_retention = std::chrono::hours(24 * 40);
  f.open();
  REQUIRE(f.store->maintain());
  f.clock.advance(std::chrono::minutes(11));
  const std::int64_t begin = (f.clock.now_ms() / day_ms - 2) * day_ms;
  std::vector<Sample> samples;
  for (std::int64_t t = begin; t < begin + day_ms; t += 60'000) samples.push_back({t, static_cast<double>(t % 977)});
  REQUIRE(f.store->write(one_series(named("a"), samples)));
  REQUIRE(f.store->seal());
  for (int i = 0; i < 8; ++i) REQUIRE(f.store->maintain());
  f.store.reset();
  int tiers = 0;
  for (const fs::path& file : segments_of(f.options.path)) {
    if (has(file.filename().string(), "-5m-") || has(file.filename().string(), "-1h-")) ++tiers;
    else cut(file);
  }
  REQUIRE(tiers == 2);
  const auto report = storage::salvage(f.options.path, nullptr, *f.log);
  if (!report) FAIL(report.error().message);
  CHECK(report->after.problems.empty());
  CHECK(report->after.tiers == 2);
  CHECK(report->tiers.size() == 2);
  CHECK(has(text_of(report->tiers), "stands for them"));
  CHECK_FALSE(has(text_of(report->lost), "-5m-"));
  CHECK_FALSE(has(text_of(report->lost), "-1h-"));
  CHECK(has(text_of(report->lost), "how many samples it had is not known"));
  f.open();
  for (int i = 0; i < 4; ++i) REQUIRE(f.store->maintain());  // would remove what is not final
  storage::SeriesQuery query;
  query.matchers = {Matcher::equal("__name__", "a")};
  query.resolution_max = 3'600'000;
  std::uint64_t count = 0;
  const std::vector<model::TimeRange> windows{{begin + 1, begin + day_ms}};
  const auto whole = f.store->windows(query, windows, [&](const Labels&, std::span<const model::WindowSummary> found) {
    for (const auto& w : found) count += w.count;
    return true;
  });
  REQUIRE(whole);
  CHECK(count == samples.size() - 1);  // a window is left-open
}
