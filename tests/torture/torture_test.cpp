// A disk that fails, loses power or ends the process, at every place: nothing acknowledged is lost, nothing is there twice,
// nothing is there that was never written.
#include <optional>
#include <thread>

#include "life.hpp"
#include "tests/storage/format_1.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

void must(const std::string& wrong) {
  if (!wrong.empty()) FAIL(wrong);
}

}  // namespace

TEST_CASE("whatever file operation fails, nothing acknowledged is lost and the store works again", "[fail]") {
  const std::uint64_t seed = seed_of_test();
  INFO("seed " << seed);
  const bool reads = GENERATE(false, true);
  std::uint64_t operations = 0;
  {
    Torture t(seed);
    live(t, [&] { must(t.check(false)); });
    operations = reads ? t.disk().reads() : t.disk().operations();
  }
  const std::uint64_t step = how_often(reads ? 29 : 17, 1);
  std::uint64_t runs = 0;
  std::uint64_t restarts = 0;
  for (std::uint64_t n = 1 + seed % step; n <= operations; n += step, ++runs) {
    INFO((reads ? "read " : "operation ") << n << " of " << operations);
    Torture t(seed);
    reads ? t.disk().fail_read(n) : t.disk().fail_operation(n);
    // A read of ours that meets the fault may fail; nothing else may.
    live(t, [&] {
      if (!reads) must(t.check(false));
    });
    reads ? t.disk().fail_read(0) : t.disk().fail_operation(0);
    bool works = false;
    for (int i = 0; i < 4 && !works; ++i) works = t.upkeep(Millis(1000)) && t.write() && t.seal();
    if (!works) {
      ++restarts;
      must(t.check(false));
      t.leave();
      ensure_open(t);
      REQUIRE(t.write());
      REQUIRE(t.seal());
    }
    must(t.check(false));
    REQUIRE(t.write());
    if (n % 3 == 0) t.disk().kill();
    if (n % 3 == 1) t.disk().power_cut();
    t.leave();
    ensure_open(t);
  }
  WARN(runs << " of " << operations << (reads ? " reads" : " operations") << " failed in turn; the store went on by itself "
            << runs - restarts << " times, after a restart " << restarts << " times; 0 acknowledged lost");
}

TEST_CASE("power losses at random operations, in recovery too, lose nothing acknowledged", "[power]") {
  const std::uint64_t seed = seed_of_test();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::uint64_t losses_wanted = how_often(1000, 20'000);
  std::uint64_t losses = 0;
  std::uint64_t in_recovery = 0;
  std::uint64_t acknowledged = 0;
  while (losses < losses_wanted) {
    const std::uint64_t seed_here = random();
    INFO("loss " << losses << ", disk of seed " << seed_here);
    Torture t(seed_here);
    REQUIRE(t.open());
    for (int i = 0; i < 100 && losses < losses_wanted; ++i, ++losses) {
      t.disk().power_cut_at(1 + random() % (std::uint64_t{4} << random() % 7));
      while (!t.ended()) {
        const bool done = t.step();
        if (!done && !t.ended()) FAIL("an operation failed on a disk in which nothing is wrong");
      }
      for (;;) {
        t.leave();
        const bool again = random() % 4 == 0 && losses < losses_wanted;
        t.disk().power_cut_at(again ? 1 + random() % 60 : 0);
        const Status opened = t.open();
        if (t.ended()) {
          ++losses;
          ++in_recovery;
          continue;
        }
        t.disk().power_cut_at(0);
        if (!opened) FAIL(opened.error().message);
        break;
      }
      must(t.check(true));
    }
    acknowledged += t.acknowledged();
  }
  WARN(losses << " power losses, " << in_recovery << " of them in recovery; " << acknowledged << " batches acknowledged, 0 lost");
}

TEST_CASE("retention drops a label by the value that a power loss left of it", "[power]") {
  Torture t(11);
  ensure_open(t);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; ++i) REQUIRE(t.write());
    REQUIRE(t.upkeep(std::chrono::hours(72)));
    // Newer values of the same labels, which are lost, and are of a day that stays.
    for (int i = 0; i < 40; ++i) {
      t.disk().power_cut_at(1);
      CHECK_FALSE(t.write());
      ensure_open(t);
    }
    REQUIRE(t.upkeep(std::chrono::minutes(1)));
    REQUIRE(t.upkeep(std::chrono::hours(24)));
    must(t.check(true));
  }
}

TEST_CASE("the process ends at every kill point", "[kill]") {
  const std::uint64_t seed = seed_of_test();
  INFO("seed " << seed);
  const std::uint64_t rounds = how_often(1, 25);
  using Passes = std::map<std::string, std::uint64_t, std::less<>>;
  std::uint64_t kills = 0;
  // Lives a life in which the process ends at the n-th pass of the place; the passes of every place.
  const auto run = [&](std::uint64_t seed_here, std::string_view place, std::uint64_t n, bool power) -> Passes {
    Torture t(seed_here);
    Killer killer;
    const bool upgrade = place.starts_with("upgrade");
    t.options().downsample_5m_retention = t.options().downsample_1h_retention = std::chrono::hours(96);
    if (upgrade) {
      t.options().file_system = t.disk().file_system();
      write_format_1(t.options());
      t.clock().advance(std::chrono::seconds(100));
    }
    if (!place.empty()) killer.aim(t.disk(), place, n, power);
    if (upgrade) {
      for (int i = 0; i < 3; ++i)
        if (t.open() && !t.ended()) check_format_1(t.store());
      REQUIRE((t.is_open() && !t.ended()));
    } else {
      ensure_open(t);
      if (place.starts_with("kv.ingest")) {
        t.explode();
        ensure_open(t);
        t.seal();
        ensure_open(t);
      } else {
        // What comes after the end that is looked for was lived by the others.
        struct Over {};
        try {
          live(t, [&] {
            if (t.disk().ended() > 0) throw Over();
          });
        } catch (const Over&) {
          must(t.check(false));
          kills += t.disk().ended();
          return killer.passes();
        }
        // Crashes that leave something to recover: a file that no commit names, a journal that is trimmed and still there.
        for (const char* crash : {"seal.commit.before", "journal.trim.before"}) {
          t.write();
          ensure_open(t);
          t.write();
          ensure_open(t);
          killer.aim(t.disk(), crash, 1);
          t.seal();
          ensure_open(t);
        }
        t.close();
        ensure_open(t);
      }
      must(t.check(false));
      t.disk().kill();
      ensure_open(t);
    }
    kills += t.disk().ended();
    return killer.passes();
  };
  std::map<std::string, std::uint64_t, std::less<>> reached;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::mt19937_64 random(seed + round);
    const Passes common = run(seed + round, "", 0, false);
    for (const std::string_view place : storage::kv::kill_points) {
      const auto found = common.find(place);
      const std::uint64_t n = found == common.end() ? 1 : 1 + random() % found->second;
      const bool power = random() % 2 == 0;
      INFO("round " << round << ", kill point " << place << ", pass " << n << (power ? ", power lost" : ", killed"));
      const Passes passes = run(seed + round, place, n, power);
      const auto now = passes.find(place);
      if (now == passes.end() || now->second < n) FAIL("the place was not reached");
      ++reached[std::string(place)];
    }
  }
  CHECK(reached.size() == storage::kv::kill_points.size());
  WARN(reached.size() << " kill points, " << rounds << " rounds, " << kills << " ends of a process; 0 acknowledged lost");
}

namespace {

// A store with some sealed days, deletes, and a journal; then closed, or killed.
void grow(Torture& t, bool closed) {
  ensure_open(t);
  for (int part = 0; part < 3; ++part) {
    for (int i = 0; i < 8; ++i) REQUIRE(t.write());
    REQUIRE(t.seal());
    if (part == 1) REQUIRE(t.erase({model::Matcher::equal("__name__", "m1")}, {t.clock().now_ms() - 5000, t.clock().now_ms()}));
    REQUIRE(t.upkeep(std::chrono::minutes(11)));
  }
  for (int i = 0; i < 8; ++i) REQUIRE(t.write());
  if (closed) {
    REQUIRE(t.close());
  } else {
    t.disk().kill();
    t.leave();
  }
}

bool names(const std::string& text, const std::string& path) { return text.find(path.substr(path.rfind('/') + 1)) != std::string::npos; }

}  // namespace

TEST_CASE("damage to any file is named, or changes nothing", "[damage]") {
  const std::uint64_t seed = seed_of_test();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::uint64_t trials = how_often(200, 2000);
  const bool closed = GENERATE(true, false);
  std::map<std::string, std::uint64_t> outcomes;
  std::optional<Torture> grown;
  std::unique_ptr<storage::kv::FaultDisk> whole;
  std::vector<std::string> files;
  for (std::uint64_t trial = 0; trial < trials / 2; ++trial) {
    if (trial % 100 == 0) {
      grown.emplace(random());
      grow(*grown, closed);
      whole = grown->disk().copy(1);
      files = whole->files();
      std::erase_if(files, [](const std::string& f) { return f.ends_with("/LOCK"); });
    }
    Torture& t = *grown;
    auto disk = whole->copy(random());
    const std::string& path = files[random() % files.size()];
    std::string bytes = disk->contents(path);
    const bool cut = bytes.empty() || random() % 3 == 0;
    const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
    if (cut) bytes.resize(at);
    else bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    INFO("trial " << trial << ": " << path << (cut ? " cut to " : ", a bit flipped at ") << at << " of " << disk->contents(path).size()
                  << (closed ? ", after a close" : ", after a kill"));
    disk->put(path, bytes);
    t.use(std::move(disk));
    t.forget_log();
    // What a crash leaves at the end of a log looks like this, too; what is missing may show elsewhere.
    const bool end_of_a_log = !closed && (path.find("/journal/") != std::string::npos || path.ends_with(".log") || path.find("MANIFEST") != std::string::npos);
    const Status opened = t.open();
    if (!opened) {
      if (!end_of_a_log && !names(opened.error().message, path)) FAIL("refused without its name: " << opened.error().message);
      ++outcomes["the start refused"];
      continue;
    }
    std::vector<std::string> errors;
    const std::string wrong = t.check_damaged(&errors);
    // An older list of segments may name one that a merge has removed since: the read says which, and is refused.
    for (const std::string& error : errors)
      if (!end_of_a_log && !names(error, path)) FAIL("a read failed without the file's name: " << error);
    if (names(t.log_text(), path)) {
      if (!wrong.empty() && closed) FAIL(wrong);
      ++outcomes[wrong.empty() ? "named in the log, all answers right" : "named in the log, the end of the journal lost"];
      continue;
    }
    if (!wrong.empty() && !(cut && end_of_a_log)) FAIL("a wrong answer in silence: " << wrong);
    ++outcomes[!wrong.empty() ? "a log of a killed process cut between two records: an older state" : errors.empty() ? "all answers right" : "named by the reads it touches"];
  }
  grown.reset();
  std::string text;
  for (const auto& [what, count] : outcomes) text += "\n  " + std::to_string(count) + " " + what;
  WARN(trials / 2 << (closed ? " trials after a close:" : " trials after a kill:") << text);
}

TEST_CASE("a full disk refuses writes, serves reads, and takes writes again by itself", "[full]") {
  const std::uint64_t seed = seed_of_test();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::uint64_t cycles = how_often(3, 20);
  Torture t(random());
  ensure_open(t);
  std::uint64_t refused = 0;
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    INFO("cycle " << cycle);
    for (int i = 0; i < 5; ++i) REQUIRE(t.write());
    // Room for some records and half a segment, or for none.
    t.disk().capacity(t.disk().used() + random() % 20'000);
    int full = 0;
    for (int i = 0; i < 400 && full < 5; ++i) {
      const bool done = i % 9 == 8 ? t.seal() : t.write();
      if (!done) ++full;
    }
    REQUIRE(full == 5);
    refused += static_cast<std::uint64_t>(full);
    must(t.check(false));
    (void)t.upkeep(Millis(1000));  // its seal fails, too
    must(t.check(false));
    if (cycle % 4 == 3) {
      // And the process ends while the disk is full.
      t.disk().kill();
      t.leave();
      t.disk().capacity(0);
      ensure_open(t);
    }
    t.disk().capacity(0);
    bool resumed = false;
    for (int i = 0; i < 10'000 && !resumed; ++i) {
      resumed = t.write();
      if (!resumed) std::this_thread::yield();
    }
    REQUIRE(resumed);
    // The seal that failed is made up for; RocksDB may be busy with a recovery of its own.
    bool kept = false;
    for (int i = 0; i < 10'000 && !kept; ++i) {
      kept = t.upkeep(Millis(1)) && t.seal();
      if (!kept) std::this_thread::yield();
    }
    REQUIRE(kept);
    must(t.check(false));
  }
  t.disk().power_cut();
  t.leave();
  ensure_open(t);
  WARN(cycles << " cycles, " << refused << " writes refused, " << t.acknowledged() << " acknowledged, 0 lost");
}
