// The journal: what was appended comes back in order, whatever a crash, a power cut or a failing disk does; damage is named.
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/verify.hpp"
#include "storage/kv/fault_file_system.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::storage::journal;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TempDir directory;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  Options options;
  std::unique_ptr<Journal> journal;
  std::vector<std::pair<std::uint64_t, std::string>> replayed;

  Fixture() {
    options.directory = directory.path("journal");
    options.file_bytes_max = 1000;  // a file is a few records
    options.retry_pause = std::chrono::milliseconds(0);
  }
  void use(const storage::kv::FaultDisk& disk) {
    options.directory = std::string(storage::kv::FaultDisk::root) + "/journal";
    options.file_system = disk.file_system();
  }
  Status open(std::uint64_t after = 0) {
    journal.reset();
    replayed.clear();
    auto opened = Journal::open(options, *log, registry);
    if (!opened) return fail(opened.error());
    journal = std::move(*opened);
    return journal->replay(after, [&](std::uint64_t sequence, std::string_view record) -> Status {
      replayed.emplace_back(sequence, record);
      return {};
    });
  }
  Result<std::uint64_t> append(const std::string& record, Sync sync = Sync::no) {
    std::string framed(frame_bytes, '\0');
    framed += record;
    return journal->append(framed, sync, [](std::uint64_t) {});
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> out;
    for (const auto& f : fs::directory_iterator(options.directory)) out.push_back(f.path());
    std::sort(out.begin(), out.end());
    return out;
  }
};

std::string record(std::uint64_t i) { return "record " + std::to_string(i) + std::string(i % 90, 'x'); }

void check(const Fixture& f, std::uint64_t first, std::uint64_t last) {
  REQUIRE(f.replayed.size() == last - first + 1);
  for (std::uint64_t i = first; i <= last; ++i) {
    REQUIRE(f.replayed[i - first].first == i);
    REQUIRE(f.replayed[i - first].second == record(i));
  }
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}
void write_file(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

}  // namespace

TEST_CASE("records come back in order, over files and restarts") {
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 100; ++i) REQUIRE(f.append(record(i)).value() == i);
  CHECK(f.files().size() > 5);
  REQUIRE(f.open());
  check(f, 1, 100);
  for (std::uint64_t i = 101; i <= 150; ++i) REQUIRE(f.append(record(i)).value() == i);
  REQUIRE(f.open(120));
  check(f, 121, 150);
  std::uint64_t bytes = 0;
  for (const auto& file : f.files()) bytes += fs::file_size(file);
  CHECK(f.journal->bytes() == bytes);
}

TEST_CASE("trimming removes whole files and goes on counting") {
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 100; ++i) REQUIRE(f.append(record(i)));
  const std::size_t before = f.files().size();
  REQUIRE(f.journal->trim(50));
  CHECK(f.files().size() < before);
  REQUIRE(f.open(50));
  check(f, 51, 100);
  REQUIRE(f.journal->trim(100));
  CHECK(f.journal->bytes() <= header_bytes + 1000);
  REQUIRE(f.open(100));
  CHECK(f.replayed.empty());
  CHECK(f.journal->last_sequence() == 100);
  REQUIRE(f.append(record(101)).value() == 101);
  REQUIRE(f.journal->trim(101));
  REQUIRE(f.journal->trim(101));
  REQUIRE(f.append(record(102)).value() == 102);
  REQUIRE(f.open(101));
  check(f, 102, 102);
  // What was trimmed cannot be asked for.
  CHECK(f.open(3).error().code == Code::corrupt);
}

TEST_CASE("a torn end of any length loses the torn record only") {
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 60; ++i) REQUIRE(f.append(record(i)));
  f.journal.reset();
  const fs::path last = f.files().back();
  const std::string whole = read_file(last);
  // Where its records begin.
  std::vector<std::size_t> ends{header_bytes};
  std::uint64_t first = 0;
  while (ends.back() < whole.size()) {
    const auto frame = read_frame(std::string_view(whole).substr(ends.back()));
    REQUIRE(frame);
    if (first == 0) first = frame->sequence;
    ends.push_back(ends.back() + frame->bytes());
  }
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_file(last, whole.substr(0, length));
    REQUIRE(f.open());
    const auto kept = static_cast<std::uint64_t>(std::upper_bound(ends.begin(), ends.end(), length) - ends.begin());
    const std::uint64_t want = length < header_bytes ? first - 1 : first - 1 + kept - 1;
    check(f, 1, want);
    if (length % 7 != 0) continue;
    REQUIRE(f.append(record(want + 1)).value() == want + 1);
    REQUIRE(f.open());
    check(f, 1, want + 1);
    // As it was: the file that was begun behind it goes, too.
    f.journal.reset();
    for (const auto& file : f.files())
      if (file >= last) fs::remove(file);
  }
}

TEST_CASE("a flipped bit anywhere is refused by name, or takes the last record only, with a count") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 60; ++i) REQUIRE(f.append(record(i)));
  f.journal.reset();
#if defined(__SANITIZE_THREAD__)
  constexpr std::size_t step = 53;  // one thread: there is nothing to see, and every byte takes minutes
#else
  constexpr std::size_t step = 1;
#endif
  for (const fs::path& path : f.files()) {
    const std::string whole = read_file(path);
    for (std::size_t at = 0; at < whole.size(); at += step) {
      std::string bad = whole;
      bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
      write_file(path, bad);
      const auto opened = f.open();
      if (opened) {
        // Only the very last record may be taken for one that a crash tore.
        CHECK(path == f.files().back());
        check(f, 1, 59);
        CHECK(f.registry.render().find("plumbline_journal_torn_bytes_total 0\n") == std::string::npos);
      } else {
        CHECK((opened.error().code == Code::corrupt || opened.error().code == Code::unsupported));
        CHECK(opened.error().message.find("journal") != std::string::npos);
      }
    }
    write_file(path, whole);
  }
}

TEST_CASE("a missing file is refused") {
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 60; ++i) REQUIRE(f.append(record(i)));
  f.journal.reset();
  const auto files = f.files();
  for (std::size_t i = 0; i + 1 < files.size(); ++i) {
    const std::string whole = read_file(files[i]);
    fs::remove(files[i]);
    CHECK(f.open().error().code == Code::corrupt);
    f.journal.reset();
    write_file(files[i], whole);
  }
}

TEST_CASE("a file that continues a missing one says which") {
  Fixture f;
  REQUIRE(f.open());
  for (std::uint64_t i = 1; i <= 60; ++i) REQUIRE(f.append(record(i)));
  f.journal.reset();
  const auto files = f.files();
  for (std::size_t i = 1; i + 1 < files.size(); ++i) {
    const std::string whole = read_file(files[i]);
    fs::remove(files[i]);
    const auto opened = f.open();
    REQUIRE_FALSE(opened);
    // Not the file before, in which nothing is wrong.
    CHECK(opened.error().message == files[i + 1].string() + ": it continues " + files[i].filename().string() + ", which is missing");
    f.journal.reset();
    write_file(files[i], whole);
  }
}

TEST_CASE("a header that counts less of the file before than its own header is refused") {
  Fixture f;
  REQUIRE(f.open());
  REQUIRE(f.append(record(1)));
  f.journal.reset();
  write_file(f.options.directory + "/0000000000000002.journal", encode_header({2, 7, 1}));
  CHECK(f.open().error().code == Code::corrupt);
}

TEST_CASE("files of version 1 are read and continued") {
  Fixture f;
  REQUIRE(f.open());
  f.journal.reset();
  const auto file = [](std::uint64_t first, std::uint64_t previous_end, std::uint64_t last) {
    ByteWriter out;
    out.raw("PLBJRNL\n");
    out.le32(1);
    out.le64(first);
    out.le64(previous_end);
    out.le64(previous_end);
    out.le32(crc32c(out.str()));
    std::string bytes = out.take();
    for (std::uint64_t i = first; i <= last; ++i) {
      std::string framed(frame_bytes, '\0');
      framed += record(i);
      seal_frame(framed, i, 0);
      bytes += framed;
    }
    return bytes;
  };
  const std::string first = file(1, 0, 5);
  write_file(f.options.directory + "/0000000000000001.journal", first + "half a record that was never acknowledged");
  write_file(f.options.directory + "/0000000000000006.journal", file(6, first.size(), 9));
  REQUIRE(f.open());
  check(f, 1, 9);
  REQUIRE(f.append(record(10)));
  REQUIRE(f.open());
  check(f, 1, 10);
}

TEST_CASE("what was synced survives a power cut, whatever was cut") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    Fixture f;
    storage::kv::FaultDisk disk(random());
    f.use(disk);
    REQUIRE(f.open());
    std::uint64_t synced = 0;
    const std::uint64_t count = 1 + random() % 80;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const bool sync = random() % 3 == 0;
      REQUIRE(f.append(record(i), sync ? Sync::yes : Sync::no));
      if (sync) synced = i;
    }
    disk.power_cut();
    f.use(disk);
    REQUIRE(f.open());
    CHECK(f.replayed.size() >= synced);
    check(f, 1, f.replayed.size());
  }
}

TEST_CASE("failing each file operation in turn loses nothing that was acknowledged") {
  for (std::uint64_t n = 1;; ++n) {
    Fixture f;
    storage::kv::FaultDisk disk;
    f.use(disk);
    REQUIRE(f.open());
    disk.fail_operation(n);
    std::vector<std::string> acknowledged;
    std::vector<std::string> applied;
    for (int i = 0; i < 40; ++i) {
      std::string framed(frame_bytes, '\0');
      framed += record(static_cast<std::uint64_t>(i));
      const auto done = f.journal->append(framed, i % 4 == 0 ? Sync::yes : Sync::no,
                                          [&](std::uint64_t) { applied.push_back(record(static_cast<std::uint64_t>(i))); });
      if (done) acknowledged.push_back(record(static_cast<std::uint64_t>(i)));
      else CHECK(done.error().code == Code::unavailable);
    }
    const bool reached = disk.operations() >= n;
    disk.fail_operation(0);
    f.journal.reset();
    REQUIRE(f.open());
    std::vector<std::string> found;
    for (const auto& [sequence, text] : f.replayed) found.push_back(text);
    CHECK(found == applied);
    for (const std::string& text : acknowledged) CHECK(std::find(found.begin(), found.end(), text) != found.end());
    if (!reached) break;
  }
}

TEST_CASE("after a failed sync nothing is appended until all records are elsewhere") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    Fixture f;
    storage::kv::FaultDisk disk(random());
    f.use(disk);
    REQUIRE(f.open());
    const std::uint64_t before = 1 + random() % 20;
    for (std::uint64_t i = 1; i <= before; ++i) REQUIRE(f.append(record(i), random() % 2 ? Sync::yes : Sync::no));
    REQUIRE(f.append(record(before + 1)));
    disk.fail_operation(1);
    REQUIRE_FALSE(f.journal->sync());
    REQUIRE(f.journal->in_doubt());
    CHECK(f.append(record(before + 2)).error().code == Code::unavailable);
    CHECK_FALSE(f.journal->sync());
    REQUIRE(f.journal->trim(before));  // the record in doubt is not among them
    CHECK_FALSE(f.append(record(before + 2)));
    const std::uint64_t last = f.journal->last_sequence();
    REQUIRE(f.journal->trim(last));
    CHECK_FALSE(f.journal->in_doubt());
    REQUIRE(f.journal->sync());
    for (std::uint64_t i = last + 1; i <= last + 20; ++i) REQUIRE(f.append(record(i), Sync::yes));
    disk.power_cut();  // which may undo the removal of the file with the hole
    f.use(disk);
    REQUIRE(f.open(last));
    check(f, last + 1, last + 20);
  }
}

TEST_CASE("a power cut between the caller's trim position and the trim leaves a file that nobody needs") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Fixture f;
    storage::kv::FaultDisk disk(seed);
    f.use(disk);
    REQUIRE(f.open());
    for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(f.append(record(i)));
    disk.fail_operation(1);
    REQUIRE_FALSE(f.journal->sync());
    disk.power_cut();
    f.use(disk);
    REQUIRE(f.open(5));
    CHECK(f.replayed.empty());
    REQUIRE(f.append(record(6), Sync::yes).value() == 6);
    disk.power_cut();
    f.use(disk);
    REQUIRE(f.open(5));
    check(f, 6, 6);
  }
}

TEST_CASE("what a failed sync left in the kernel is made durable by the next process before it builds on it") {
  Fixture f;
  storage::kv::FaultDisk disk;
  f.use(disk);
  REQUIRE(f.open());
  REQUIRE(f.append(record(1), Sync::yes));
  disk.fail_operation(2);
  REQUIRE_FALSE(f.append(record(2), Sync::yes));
  disk.kill();
  f.use(disk);
  REQUIRE(f.open());
  check(f, 1, 2);
  REQUIRE(f.append(record(3), Sync::yes));
  disk.power_cut();
  f.use(disk);
  REQUIRE(f.open());
  check(f, 1, 3);
}

TEST_CASE("a full disk refuses and resumes by itself") {
  Fixture f;
  storage::kv::FaultDisk disk;
  f.use(disk);
  REQUIRE(f.open());
  REQUIRE(f.append(record(1), Sync::yes));
  disk.no_space(true);
  const auto refused = f.append(record(2));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::unavailable);
  CHECK(refused.error().message.find("full") != std::string::npos);
  REQUIRE_FALSE(f.append(record(2)));
  disk.no_space(false);
  CHECK(f.append(record(2)).value() == 2);
  REQUIRE(f.open());
  check(f, 1, 2);
}

TEST_CASE("records of many threads are applied in the order of the journal, once") {
  Fixture f;
  f.options.file_bytes_max = 20'000;
  REQUIRE(f.open());
  std::vector<std::pair<std::uint64_t, std::string>> applied;  // guarded by the journal's lock: that is the contract
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string text = std::to_string(t) + "/" + std::to_string(i);
        std::string framed(frame_bytes, '\0');
        framed += text;
        if (!f.journal->append(framed, i % 10 == 0 ? Sync::yes : Sync::no,
                               [&](std::uint64_t sequence) { applied.emplace_back(sequence, text); }))
          ++failures;
        if (t == 0 && i % 50 == 49 && !f.journal->trim(0)) ++failures;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  REQUIRE(f.open());
  CHECK(f.replayed == applied);
  CHECK(f.replayed.size() == 800);
}

TEST_CASE("the journal file of the document is what the code writes and reads") {
  std::string framed(frame_bytes, '\0');
  framed += "abc";
  seal_frame(framed, 3, 40);
  const std::string bytes = encode_header({3, 100, 1}) + framed;
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/journal_file.md");
  std::string line, digits;
  while (std::getline(in, line) && line != "```hex") {
  }
  while (std::getline(in, line) && line != "```")
    for (const char c : line.substr(0, line.find(';')))
      if (c != ' ') digits += c;
  CHECK(hex(bytes) == digits);
  const auto header = decode_header(bytes);
  REQUIRE(header);
  REQUIRE(*header);
  CHECK((*header)->previous_end == 100);
  CHECK((*header)->previous_first == 1);
  const auto frame = read_frame(std::string_view(bytes).substr(header_bytes));
  REQUIRE(frame);
  CHECK(frame->record == "abc");
}

TEST_CASE("verify finds what a start refuses, and nothing else, and changes nothing") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    Fixture f;
    REQUIRE(f.open());
    for (std::uint64_t i = 1; i <= 40; ++i) REQUIRE(f.append(record(i), i % 5 == 0 ? Sync::yes : Sync::no));
    f.journal.reset();
    const std::uint64_t after = random() % 2 == 0 ? 0 : random() % 40;
    const auto files = f.files();
    const fs::path victim = files[random() % files.size()];
    std::string bytes = read_file(victim);
    switch (random() % 4) {
      case 0: break;  // nothing is wrong
      case 1: bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8); break;
      case 2: bytes.resize(random() % bytes.size()); break;
      default: bytes += std::string(1 + random() % 50, 'x'); break;
    }
    write_file(victim, bytes);
    if (random() % 8 == 0) fs::remove(victim);
    std::map<fs::path, std::string> before;
    for (const auto& file : f.files()) before[file] = read_file(file);
    std::vector<std::pair<std::uint64_t, std::string>> visited;
    const auto found = verify(f.options.directory, "journal", nullptr, after, [&](std::uint64_t sequence, std::string_view record) -> Status {
      visited.emplace_back(sequence, record);
      return {};
    });
    REQUIRE(found);
    CHECK(found->records == visited.size());
    for (const auto& [file, content] : before) REQUIRE(read_file(file) == content);
    REQUIRE(f.files().size() == before.size());
    const Status opened = f.open(after);
    INFO("round " << round << ", after " << after << ", " << victim.filename().string() << ": "
                  << (opened ? std::string("opens") : opened.error().message));
    REQUIRE(opened.has_value() == found->problems.empty());
    if (opened) REQUIRE(visited == f.replayed);
    else ++refused;
  }
  CHECK(refused > 10);
}
