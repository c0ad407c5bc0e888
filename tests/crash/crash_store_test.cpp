// kill -9 at random moments: what was acknowledged is there, value for value; what was not is there as a whole or not at
// all; nothing is there twice. PLUMBLINE_KILLS sets the number of kills (20).
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "crash_data.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

// Runs the writer, kills it, and returns the numbers it acknowledged.
std::set<std::int64_t> run_and_kill(const std::vector<std::string>& arguments, std::chrono::microseconds after) {
  int pipe_ends[2];
  REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, arguments[0].c_str(), &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  std::string text;
  char buffer[65536];
  const auto read_some = [&] {
    const ssize_t n = ::read(pipe_ends[0], buffer, sizeof buffer);
    if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  };
  REQUIRE(read_some());  // the first acknowledgement: the clock of the kill starts here
  const auto deadline = std::chrono::steady_clock::now() + after;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd ready{pipe_ends[0], POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) > 0 && !read_some()) break;
  }
  REQUIRE(::kill(child, SIGKILL) == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  INFO("the writer ended by itself with status " << status);
  REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  while (read_some()) {  // what it acknowledged before it died
  }
  ::close(pipe_ends[0]);
  std::set<std::int64_t> out;
  for (std::size_t from = 0, end; (end = text.find('\n', from)) != std::string::npos; from = end + 1)
    out.insert(std::stoll(text.substr(from, end - from)));
  return out;
}

struct Found {
  std::map<int, std::map<std::int64_t, double>> samples;
  std::set<std::string> lines;
  std::map<std::string, double> records;
  std::map<std::int64_t, std::int64_t> rewritten;  // thread -> the number that won
  int twice = 0;
};

Found read_everything(const storage::Store& store) {
  Found out;
  REQUIRE(store.select({}, [&](const model::Labels& labels, std::span<const model::Sample> samples) {
    if (labels.metric() == "rewritten") {
      if (samples.size() != 1) ++out.twice;
      out.rewritten[std::stoll(std::string(labels.get("thread")))] = static_cast<std::int64_t>(samples.back().v);
      return true;
    }
    auto& mine = out.samples[std::stoi(std::string(labels.get("series")))];
    for (const model::Sample& s : samples)
      if (!mine.emplace(s.t, s.v).second) ++out.twice;
    return true;
  }));
  storage::EventQuery query;
  REQUIRE(store.scan(query, [&](const storage::RowBlock& block) {
    const auto* line = block.find("line");
    for (std::size_t i = 0; i < block.times_ns.size(); ++i)
      if (!out.lines.insert(std::get<std::string>(line->values[i])).second) ++out.twice;
    return true;
  }));
  query.kind = model::EventKind::inference;
  REQUIRE(store.scan(query, [&](const storage::RowBlock& block) {
    const auto* id = block.find("prediction_id");
    const auto* x = block.find("feature.x");
    for (std::size_t i = 0; i < block.times_ns.size(); ++i)
      if (!out.records.emplace(std::get<std::string>(id->values[i]), std::get<double>(x->values[i])).second) ++out.twice;
    return true;
  }));
  return out;
}

// How many of the batch's samples, lines, records and label are there, and that each is what was written.
int parts_present(const Found& found, bool labelled, std::uint64_t seed, std::int64_t base_ms, std::int64_t n) {
  int parts = 0;
  const auto same = [](double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); };
  for (int i = 0; i < series_per_batch; ++i)
    for (int k = 0; k < samples_per_series; ++k) {
      const auto series = found.samples.find(crash_series_of(n, i));
      if (series == found.samples.end()) continue;
      const auto sample = series->second.find(crash_time(base_ms, n, k));
      if (sample != series->second.end() && same(sample->second, crash_value(seed, n, i, k))) ++parts;
    }
  for (int i = 0; i < lines_per_batch; ++i) parts += static_cast<int>(found.lines.count(crash_line(n, i)));
  for (int i = 0; i < records_per_batch; ++i) {
    const auto record = found.records.find(crash_id(n, i));
    if (record != found.records.end() && same(record->second, crash_value(seed, n, i, 7))) ++parts;
  }
  return parts + (labelled ? 1 : 0);
}
constexpr int parts_of_a_batch = series_per_batch * samples_per_series + lines_per_batch + records_per_batch + 1;

struct Life {
  std::size_t acknowledged = 0;
  std::int64_t present = 0;
};

// One data directory, killed again and again, checked whole after each kill.
Life run_life(int kills, std::uint64_t seed) {
  INFO("seed of the directory " << seed);
  std::mt19937_64 random(seed);
  SystemClock clock;
  const auto log = make_null_log();
  TempDir directory;
  storage::Options options;
  options.path = directory.path("data");
  const std::int64_t base_ms = clock.now_ms() - 24 * 3'600'000ll;
  std::set<std::int64_t> acknowledged;
  std::int64_t first = 0;
  std::int64_t present = 0;
  for (int round = 0; round < kills; ++round) {
    INFO("kill " << round + 1 << ", first batch " << first);
    const std::chrono::microseconds after(random() % (round % 4 == 0 ? 20'000 : 400'000));
    const auto fresh = run_and_kill({PLUMBLINE_CRASH_WRITER, options.path, std::to_string(seed), std::to_string(base_ms),
                                     std::to_string(first), round % 5 == 4 ? "always" : "never"},
                                    after);
    acknowledged.insert(fresh.begin(), fresh.end());
    const std::int64_t next = *acknowledged.rbegin() + 10 * crash_threads;  // past whatever was under way
    Registry registry;
    auto opened = storage::Store::open(options, clock, *log, registry);
    if (!opened) FAIL(opened.error().message);
    const storage::Store& store = **opened;
    const Found found = read_everything(store);
    CHECK(found.twice == 0);
    std::vector<std::string> ids;
    for (std::int64_t n = 0; n < next; ++n) ids.push_back(crash_id(n, 0));
    const auto labels = store.late_labels("crash", ids);
    REQUIRE(labels);
    present = 0;
    std::map<std::int64_t, std::int64_t> last_present;  // by thread
    for (std::int64_t n = 0; n < next; ++n) {
      const auto& label = (*labels)[static_cast<std::size_t>(n)];
      const bool labelled = label && std::get<double>(label->label) == static_cast<double>(n);
      const int parts = parts_present(found, labelled, seed, base_ms, n);
      INFO("batch " << n << (acknowledged.count(n) ? ", acknowledged" : ", not acknowledged"));
      if (acknowledged.count(n)) REQUIRE(parts == parts_of_a_batch);
      if (parts != 0) {
        REQUIRE(parts == parts_of_a_batch);
        ++present;
        last_present[n % crash_threads] = n;
      }
    }
    std::size_t samples = 0;
    for (const auto& [series, values] : found.samples) samples += values.size();
    CHECK(samples == static_cast<std::size_t>(present) * series_per_batch * samples_per_series);
    CHECK(found.lines.size() == static_cast<std::size_t>(present) * lines_per_batch);
    CHECK(found.records.size() == static_cast<std::size_t>(present) * records_per_batch);
    CHECK(found.rewritten == last_present);
    for (const auto& [thread, n] : last_present)
      CHECK(store.get(crash_state_key(thread)).value() == std::to_string(n));
    REQUIRE((*opened)->close());
    first = next + (crash_threads - next % crash_threads) % crash_threads;
  }
  CHECK(present >= static_cast<std::int64_t>(acknowledged.size()));
  return {acknowledged.size(), present};
}

}  // namespace

TEST_CASE("kill -9 at random moments loses nothing that was acknowledged") {
  const char* wanted = std::getenv("PLUMBLINE_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 20;
  // Everything in a directory is read after each kill: of 500 kills of one directory the last would each take ten seconds.
  constexpr int kills_per_directory = 25;
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Life all;
  for (int done = 0; done < kills; done += kills_per_directory) {
    const Life life = run_life(std::min(kills_per_directory, kills - done), random());
    all.acknowledged += life.acknowledged;
    all.present += life.present;
    std::fprintf(stderr, "%d of %d kills, %zu batches acknowledged\n", std::min(done + kills_per_directory, kills), kills, all.acknowledged);
  }
  WARN(kills << " kills, " << all.acknowledged << " batches acknowledged, " << all.present << " present, 0 lost, 0 twice");
}
