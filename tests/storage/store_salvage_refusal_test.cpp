// What a salvage must not do: take for damage what is only not there just now, bring deleted samples back, leave the directory.
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/kv/kv.hpp"
#include "storage/store_salvage.hpp"
#include "salvage_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;
namespace fs = std::filesystem;

TEST_CASE("a salvage takes segments that are not mounted for no damage", "[salvage]") {
  Damaged f;
  f.kill();
  const std::string segments = f.path + "/segments", elsewhere = f.directory.path("volume");
  fs::rename(segments, elsewhere);
  CHECK(has(f.refused(Code::io), "mount it"));
  fs::create_directory(segments);
  CHECK(has(f.refused(Code::io), "mount it"));
  if (::geteuid() != 0) {
    fs::remove(segments);
    fs::rename(elsewhere, segments);
    REQUIRE(::chmod(segments.c_str(), 0) == 0);
    const std::string message = f.refused(Code::io);
    REQUIRE(::chmod(segments.c_str(), 0755) == 0);
    CHECK(has(message, "cannot be read"));
    const std::string one = segments_of(f.path).front().string();
    REQUIRE(::chmod(one.c_str(), 0) == 0);
    CHECK(has(f.refused(Code::io), "permissions"));
    REQUIRE(::chmod(one.c_str(), 0644) == 0);
    fs::rename(segments, elsewhere);
    fs::create_directory(segments);
  }
  SECTION("mounted again, they are whole") {
    fs::remove(segments);
    fs::rename(elsewhere, segments);
    CHECK(f.salvaged().found.empty());
    f.open();
    CHECK(read_all(*f.store, named("a"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
  }
  SECTION("lost for good, an operator says so") {
    std::ofstream(segments + "/ALL-LOST").close();
    const auto report = f.salvaged();
    CHECK(has(text_of(report.lost), "lost for good"));
    CHECK_FALSE(fs::exists(segments + "/ALL-LOST"));
    f.open();
    CHECK(read_all(*f.store, named("a"), {f.begin, f.begin + day_ms - 1}).empty());
    CHECK(read_all(*f.store, named("a"), {f.begin + 2 * day_ms, f.clock.now_ms()}).size() == 1);
  }
}

// An old generation that a crash left beside the new one has what was deleted. A list that is sound leaves it out, and one that is not
// leaves it out because it names the new one.
TEST_CASE("a salvage does not bring deleted samples back", "[salvage]") {
  Damaged f;
  f.kill();
  f.open();
  REQUIRE(f.store->seal());
  const auto first = segments_of(f.path);
  std::vector<fs::path> old;
  for (const fs::path& file : first) {
    old.push_back(f.directory.path(file.filename().string()));
    fs::copy_file(file, old.back());
  }
  REQUIRE(f.store->erase({{Matcher::equal("__name__", "b")}}, {f.begin, f.begin + day_ms - 1}));
  REQUIRE(segments_of(f.path) != first);
  f.store.reset();
  for (const fs::path& file : old) fs::copy_file(file, f.path + "/segments/" + file.filename().string(), fs::copy_options::skip_existing);
  REQUIRE(segments_of(f.path).size() == first.size() + 1);
  fs::remove(f.path + "/CLOSED");
  SECTION("a segment is damaged") { cut(segments_of(f.path).back()); }
  SECTION("the manifest is") {
    for (const auto& entry : fs::directory_iterator(f.path))
      if (entry.path().filename().string().starts_with("MANIFEST")) cut(entry.path());
    fs::remove(f.path + "/CURRENT");
  }
  CHECK(f.salvaged().taken.empty());
  f.open();
  CHECK(read_all(*f.store, named("b"), {f.begin, f.begin + day_ms - 1}).empty());
  CHECK(read_all(*f.store, named("a"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
}

TEST_CASE("a salvage that cannot know the list names the files that it takes", "[salvage]") {
  Damaged f;
  f.kill();
  const std::size_t segments = segments_of(f.path).size();
  int cut_files = 0;
  for (const auto& entry : fs::directory_iterator(f.path))
    if (entry.path().extension() == ".sst" || entry.path().extension() == ".log" || entry.path().filename().string().starts_with("MANIFEST"))
      fs::resize_file(entry.path(), 10), ++cut_files;
  REQUIRE(cut_files > 0);
  const auto report = f.salvaged();
  CHECK(report.taken.size() == segments);
}

TEST_CASE("of two series with the same labels a salvage keeps one", "[salvage]") {
  Damaged f;
  f.kill();
  Registry registry;
  {
    auto kv = storage::kv::Kv::open({.path = f.path}, *f.log, registry);
    REQUIRE(kv);
    std::string key, value;
    REQUIRE((*kv)->scan(storage::kv::Family::series, "", "", [&](std::string_view k, std::string_view v) {
      key = k;
      value = v;
      return false;
    }));
    key = key.substr(0, storage::kv::key_prefix_bytes) + std::string("\0\0\x01\0", 4);
    storage::kv::Batch batch;
    batch.put(storage::kv::Family::series, key, value);
    REQUIRE((*kv)->write(std::move(batch), storage::kv::Sync::yes));
    REQUIRE((*kv)->close());
  }
  const auto report = f.salvaged();
  CHECK(has(text_of(report.found), "has the same labels"));
  CHECK(has(text_of(report.lost), "series 256: series"));  // nothing has samples of it
  f.open();
  CHECK(read_all(*f.store, named("a"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
  CHECK(read_all(*f.store, named("b"), {f.begin, f.begin + day_ms - 1}) == f.samples_of(0));
}

TEST_CASE("a salvage removes no file outside of the directory", "[salvage]") {
  Damaged f;
  f.kill();
  const std::string outside = f.directory.path("outside");
  fs::create_directory(outside);
  std::ofstream(outside + "/precious") << "x";
  SECTION("by a link in place of its folder") { fs::create_directory_symlink(outside, f.path + "/salvage-new"); }
  SECTION("by a link in its folder") {
    fs::create_directory(f.path + "/salvage-new");
    fs::create_directory_symlink(outside, f.path + "/salvage-new/database");
    fs::create_symlink("nowhere", f.path + "/salvage-new/dangling");
  }
  cut(segments_of(f.path).front());
  (void)f.salvaged();
  CHECK(fs::exists(outside + "/precious"));
  CHECK_FALSE(fs::exists(fs::symlink_status(f.path + "/salvage-new")));
}

TEST_CASE("a salvage is refused when a part of the directory is on another disk", "[salvage]") {
  Damaged f;
  f.kill();
  const std::string there = "/dev/shm/plumbline_salvage_" + std::to_string(::getpid());
  struct stat here_stat{}, there_stat{};
  REQUIRE(::stat(f.path.c_str(), &here_stat) == 0);
  if (::stat("/dev/shm", &there_stat) != 0 || here_stat.st_dev == there_stat.st_dev) return;  // there is no other disk to try it with
  fs::copy(f.path + "/segments", there, fs::copy_options::recursive);
  fs::remove_all(f.path + "/segments");
  fs::create_directory_symlink(there, f.path + "/segments");
  cut(segments_of(f.path).front());
  const std::string message = f.refused(Code::unavailable);
  fs::remove_all(there);
  CHECK(has(message, "another disk"));
}

TEST_CASE("the list of moves is taken as it was written, or not at all", "[salvage]") {
  const storage::Moves moves{{"000007.sst", "damaged-3/000007.sst"}, {"salvage-new/segments/x.sst", "segments/x.sst"}};
  const std::string text = storage::encode_moves(moves);
  const auto back = storage::decode_moves(text);
  REQUIRE(back);
  CHECK(*back == moves);
  CHECK(storage::kept_of(moves) == "damaged-3");
  for (std::size_t i = 0; i < text.size(); ++i) {
    CHECK_FALSE(storage::decode_moves(text.substr(0, i)));
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    CHECK_FALSE(storage::decode_moves(flipped));
  }
  const std::vector<std::pair<std::string, std::string>> bad{{"../x", "damaged-1/x"},          {"/etc/passwd", "damaged-1/x"},
                                                             {"x.sst", "damaged-1/../../x"},   {"x.sst", "/tmp/x"},
                                                             {"x.sst", "segments/x.sst"},      {"salvage-new/../../x", "x"},
                                                             {"salvage-new/x", "../x"},        {"x\n", "damaged-1/x"},
                                                             {"x\ty", "damaged-1/x"},          {"", "damaged-1/x"}};
  for (const auto& [from, to] : bad) {
    INFO(from << " to " << to);
    CHECK_FALSE(storage::check_move(from, to));
    CHECK_FALSE(storage::decode_moves(storage::encode_moves({{from, to}})));
  }
}
