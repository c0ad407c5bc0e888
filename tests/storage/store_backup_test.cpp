// Backups under writes, restores of them, and what verify finds.
#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "storage/offline.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;
namespace fs = std::filesystem;

namespace {

const Labels metric = Labels::of({{"__name__", "m"}});

WriteBatch batch_of(const StoreFixture& f, int i) {
  WriteBatch batch = one_series(metric, {{f.clock.now_ms() - 100'000 + i, static_cast<double>(i)}});
  batch.series.push_back({Labels::of({{"__name__", "n"}, {"i", std::to_string(i % 50)}}), {{f.clock.now_ms() - i, 1}}});
  batch.metadata.push_back({"m", "gauge", "help " + std::to_string(i), ""});
  batch.state.push_back({"test/" + std::to_string(i), "v"});
  batch.events.push_back({model::EventKind::log, Labels::of({{"app", "a"}}),
                          {{f.clock.now_ns() + i, {{"line", "line " + std::to_string(i)}, {"trace_id", "t" + std::to_string(i)}}}}});
  batch.labels.push_back({"m", "p" + std::to_string(i), 1.0, f.clock.now_ns()});
  return batch;
}

int lines(const storage::Store& store) {
  int rows = 0;
  storage::EventQuery query;
  query.kind = model::EventKind::log;
  REQUIRE(store.scan(query, [&](const storage::RowBlock& block) {
    rows += static_cast<int>(block.times_ns.size());
    return true;
  }));
  return rows;
}

// A closed store with segments, event blocks and a journal that a kill left.
std::string grown(StoreFixture& f) {
  f.open();
  for (int i = 0; i < 60; ++i) {
    REQUIRE(f.store->write(batch_of(f, i)));
    if (i % 20 == 19 && i < 50) REQUIRE(f.store->seal());
  }
  f.lose_process();
  const std::string copy = f.directory.path("killed");
  REQUIRE(f.store->write(batch_of(f, 60)));
  REQUIRE(f.store->backup("b"));
  const auto restored = storage::restore(f.options.path + "/backups/b", copy, nullptr, *f.log);
  REQUIRE(restored);
  f.store.reset();
  return copy;
}

storage::VerifyReport verified(StoreFixture& f, const std::string& path) {
  const auto report = storage::verify(path, f.options.file_system, *f.log);
  if (!report) FAIL(report.error().message);
  return *report;
}

fs::path some_file(const std::string& directory, const std::string& extension) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == extension && (found.empty() || entry.path() < found)) found = entry.path();
  REQUIRE_FALSE(found.empty());
  return found;
}

void flip_middle(const fs::path& path) { flip(path, fs::file_size(path) / 2, 4); }

bool names(const storage::VerifyReport& report, const std::string& file) {
  for (const model::Problem& p : report.problems)
    if (p.str().find(file) != std::string::npos) return true;
  return false;
}

struct Seen {
  std::string bytes;
  fs::file_time_type time;
  bool operator==(const Seen&) const = default;
};
std::map<std::string, Seen> everything(const std::string& directory) {
  std::map<std::string, Seen> out;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    std::string bytes;
    if (entry.is_regular_file()) {
      std::ifstream in(entry.path(), std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    out[entry.path().string()] = {std::move(bytes), entry.last_write_time()};
  }
  out[directory] = {"", fs::last_write_time(directory)};
  return out;
}

}  // namespace

TEST_CASE("a backup that is made under writes has everything acknowledged before it was asked for", "[backup]") {
  StoreFixture f;
  f.open();
  for (int i = 0; i < 40; ++i) {
    REQUIRE(f.store->write(batch_of(f, i)));
    if (i == 20) REQUIRE(f.store->seal());
  }
  std::atomic<int> acknowledged{40};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 40; i < 20'000 && !stop; ++i) {
      if (!f.store->write(batch_of(f, i))) break;
      acknowledged = i + 1;
      if (i % 100 == 0) (void)f.store->seal();
    }
  });
  struct Made {
    std::string path;
    int at_least;
    int at_most;
  };
  std::vector<Made> made;
  for (int n = 0; n < 4; ++n) {
    const int target = acknowledged + 30;  // some writes lie between two backups
    while (acknowledged < target) std::this_thread::yield();
    const int before = acknowledged;
    const auto backup = f.store->backup("b" + std::to_string(n));
    if (backup) made.push_back({backup->path, before, acknowledged});
    CHECK(backup);
  }
  stop = true;
  writer.join();
  REQUIRE(made.size() == 4);
  f.store.reset();
  for (const Made& m : made) {
    const std::string to = m.path + "-restored";
    const auto report = storage::restore(m.path, to, nullptr, *f.log);
    if (!report) FAIL(report.error().message);
    for (const model::Problem& p : report->problems) FAIL(p.str());
    f.options.path = to;
    f.open();
    const auto samples = read_all(*f.store, metric);
    CHECK(static_cast<int>(samples.size()) >= m.at_least);
    CHECK(static_cast<int>(samples.size()) <= m.at_most + 1);  // and the one that was under way
    CHECK(lines(*f.store) == static_cast<int>(samples.size()));
    for (int i = 0; i < m.at_least; ++i) {
      const auto state = f.store->get("test/" + std::to_string(i));
      REQUIRE(state);
      REQUIRE(*state == "v");
    }
    REQUIRE(f.store->write(batch_of(f, 30'000)));
    f.reopen();
    CHECK(read_all(*f.store, metric).size() == samples.size() + 1);
    f.store.reset();
  }
}

TEST_CASE("a backup's name is one component, and is used once", "[backup]") {
  StoreFixture f;
  f.open();
  REQUIRE(f.store->write(batch_of(f, 1)));
  for (const char* name : {"", "..", ".", "../x", "a/b", "/tmp/x", "a b", ".hidden", "x.partial", "-x"}) {
    INFO(name);
    const auto made = f.store->backup(name);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::invalid_input);
  }
  REQUIRE(f.store->backup("2026-11-26"));
  const auto again = f.store->backup("2026-11-26");
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::conflict);
  // A backup is no data directory to run on.
  f.store.reset();
  f.options.path += "/backups/2026-11-26";
  const auto opened = f.try_open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::conflict);
}

TEST_CASE("a backup in another directory is there as a whole, and retention does not touch it", "[backup]") {
  StoreFixture f;
  f.options.backup_directory = f.directory.path("elsewhere/backups");
  f.open();
  for (int i = 0; i < 10; ++i) REQUIRE(f.store->write(batch_of(f, i)));
  REQUIRE(f.store->seal());
  const auto made = f.store->backup("b");
  if (!made) FAIL(made.error().message);
  CHECK(made->path == f.options.backup_directory + "/b");
  CHECK_FALSE(fs::exists(f.options.path + "/backups/b.partial"));
  f.clock.advance(std::chrono::hours(24 * 40));
  REQUIRE(f.store->maintain());
  f.clock.advance(std::chrono::minutes(11));
  REQUIRE(f.store->maintain());
  CHECK(read_all(*f.store, metric).empty());
  f.store.reset();
  const auto report = storage::restore(made->path, f.directory.path("restored"), nullptr, *f.log);
  REQUIRE(report);
  CHECK(report->problems.empty());
  CHECK(report->samples == 20);
}

TEST_CASE("what a killed backup left is removed at start, and is no backup", "[backup]") {
  StoreFixture f;
  f.open();
  REQUIRE(f.store->write(batch_of(f, 1)));
  REQUIRE(f.store->backup("whole"));
  f.store.reset();
  const std::string half = f.options.path + "/backups/half.partial";
  fs::create_directories(half + "/segments");
  std::ofstream(half + "/segments/x.sst") << "x";
  const auto refused = storage::restore(half, f.directory.path("r"), nullptr, *f.log);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::not_found);
  f.open();
  CHECK_FALSE(fs::exists(half));
  CHECK(fs::exists(f.options.path + "/backups/whole/BACKUP"));
}

TEST_CASE("a restore refuses a directory with anything in it, a damaged backup, and none", "[backup]") {
  StoreFixture f;
  f.open();
  REQUIRE(f.store->write(batch_of(f, 1)));
  const auto made = f.store->backup("b");
  REQUIRE(made);
  const std::string full = f.directory.path("full");
  fs::create_directories(full);
  std::ofstream(full + "/mine") << "precious";
  const auto into_full = storage::restore(made->path, full, nullptr, *f.log);
  REQUIRE_FALSE(into_full);
  CHECK(into_full.error().code == Code::conflict);
  CHECK(std::distance(fs::directory_iterator(full), {}) == 1);
  CHECK_FALSE(storage::restore(f.options.path, f.directory.path("none"), nullptr, *f.log));
  fs::remove(some_file(made->path + "/journal", ".journal"));
  const auto damaged = storage::restore(made->path, f.directory.path("damaged"), nullptr, *f.log);
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code == Code::corrupt);
  CHECK_FALSE(fs::exists(f.directory.path("damaged")));
}

TEST_CASE("a store does not start where a restore did not end", "[backup]") {
  StoreFixture f;
  fs::create_directories(f.options.path);
  std::ofstream(f.options.path + "/RESTORING") << "x";
  const auto opened = f.try_open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Code::conflict);
  CHECK(std::distance(fs::directory_iterator(f.options.path), {}) == 1);
}

TEST_CASE("whatever operation of a backup fails, or loses the power, it is there whole or not at all", "[backup][fail]") {
  const auto run = [](std::uint64_t n, bool power) {
    INFO("operation " << n << (power ? ", power lost" : ", failed"));
    storage::kv::FaultDisk disk(n + 1);
    StoreFixture f;
    f.use(disk);
    f.options.journal_sync.policy = storage::SyncPolicy::always;
    f.open();
    for (int i = 0; i < 6; ++i) {
      REQUIRE(f.store->write(batch_of(f, i)));
      if (i == 3) REQUIRE(f.store->seal());
    }
    const std::uint64_t from = disk.operations();
    if (n > 0) power ? disk.power_cut_at(n) : disk.fail_operation(n);
    const auto made = f.store->backup("b");
    const std::uint64_t took = disk.operations() - from;
    if (n == 0) REQUIRE(made);
    const bool ended = disk.ended() > 0;
    power ? disk.power_cut_at(0) : disk.fail_operation(0);
    if (!ended && n % 2 == 0) disk.power_cut();
    f.store.reset();
    f.use(disk);
    f.open();
    CHECK(read_all(*f.store, metric).size() == 6);
    const std::string path = f.options.path + "/backups/";
    for (const std::string& file : disk.files()) CHECK(file.find(".partial") == std::string::npos);
    const auto report = storage::restore(path + "b", f.options.path + "-restored", f.options.file_system, *f.log);
    if (made) REQUIRE(report);
    if (!report) {
      CHECK(report.error().code == Code::not_found);
    } else {
      for (const model::Problem& p : report->problems) FAIL(p.str());
      f.options.path += "-restored";
      f.store.reset();
      f.open();
      CHECK(read_all(*f.store, metric).size() == 6);
    }
    return took;
  };
  const std::uint64_t all = run(0, false);
  REQUIRE(all > 20);
  for (std::uint64_t n = 1; n <= all; n += 3) run(n, false);
  for (std::uint64_t n = 2; n <= all; n += 3) run(n, true);
}

TEST_CASE("verify says ok of a sound directory, closed, killed or a backup, and leaves it as it was", "[verify]") {
  StoreFixture f;
  const std::string killed = grown(f);
  const std::string closed = f.options.path;
  for (const std::string& path : {killed, closed, closed + "/backups/b"}) {
    INFO(path);
    const auto before = everything(path);
    const auto report = verified(f, path);
    for (const model::Problem& p : report.problems) FAIL_CHECK(p.str());
    CHECK(report.samples > 0);
    CHECK(report.rows > 0);
    CHECK(report.series == 51);
    CHECK((everything(path) == before));
  }
  CHECK(verified(f, killed).records > 0);
  const auto none = storage::verify(f.directory.path(), nullptr, *f.log);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::not_found);
  f.open();
  const auto running = storage::verify(closed, nullptr, *f.log);
  REQUIRE_FALSE(running);
  CHECK(running.error().code == Code::conflict);
}

TEST_CASE("verify names what is damaged", "[verify]") {
  StoreFixture f;
  const std::string path = grown(f);
  SECTION("a flipped bit in a segment") {
    const fs::path file = some_file(path + "/segments", ".sst");
    flip_middle(file);
    CHECK(names(verified(f, path), file.filename().string()));
  }
  SECTION("a flipped bit in the middle of the journal") {
    const fs::path file = some_file(path + "/journal", ".journal");
    flip_middle(file);
    CHECK(names(verified(f, path), file.filename().string()));
  }
  SECTION("a missing segment") {
    const fs::path file = some_file(path + "/segments", ".sst");
    fs::remove(file);
    CHECK(names(verified(f, path), file.filename().string()));
  }
  SECTION("a missing journal file") {
    const fs::path file = some_file(path + "/journal", ".journal");
    fs::rename(file, file.parent_path() / "00000000000000ff.journal");
    CHECK_FALSE(verified(f, path).problems.empty());
  }
  SECTION("a truncated table of RocksDB") {
    f.options.path = path;
    f.open();
    f.store.reset();  // the close flushes
    const fs::path file = some_file(path, ".sst");
    fs::resize_file(file, fs::file_size(file) - 100);
    CHECK(names(verified(f, path), file.filename().string()));
  }
  SECTION("a flipped bit in a table of RocksDB, each way that it shows once") {
    f.options.path = path;
    f.open();
    f.store.reset();
    int tables = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() != ".sst") continue;
      ++tables;
      fs::path copy = path;
      copy += "-" + entry.path().stem().string();
      fs::copy(path, copy, fs::copy_options::recursive);
      flip(copy / entry.path().filename(), 20, 4);  // in its first block
      const auto report = verified(f, copy);
      CHECK(std::ranges::count(report.problems, entry.path().filename().string(), &model::Problem::file) == 1);
      std::set<std::string> seen;
      for (const model::Problem& p : report.problems) CHECK(seen.insert(p.str()).second);
    }
    CHECK(tables > 2);
  }
  SECTION("a log of RocksDB that lost its end") {
    const fs::path file = some_file(path, ".log");
    fs::resize_file(file, fs::file_size(file) - 1);
    CHECK(names(verified(f, path), file.filename().string()));
  }
}
