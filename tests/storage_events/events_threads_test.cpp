// Appends, scans, look-ups and seals at once; the thread sanitizer runs this too. Every reader sees each row exactly once and
// everything that was acknowledged before it began.
#include <array>
#include <atomic>
#include <thread>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/storage_events/engine_fixture.hpp"

namespace plumbline::test {
namespace {

using model::EventKind;
using model::Labels;
using model::Value;

constexpr int writers = 3;
constexpr int batches = 120;
constexpr int batch_rows = 20;

model::Row numbered(int writer, int n) {
  return {start + n * second,
          {{"n", Value(std::int64_t{n})},
           {"prediction_id", Value(fmt::format("{}-{}", writer, n))},
           {"score", Value(n / 8.0)}}};
}

// How many rows of each writer a scan sees; -1 when one row came twice.
std::vector<int> rows_seen(const storage::events::EventEngine& engine) {
  std::vector<std::vector<bool>> seen(writers, std::vector<bool>(batches * batch_rows));
  std::vector<int> counts(writers);
  storage::EventQuery q;
  q.kind = EventKind::inference;
  const Status status = engine.scan(q, [&](const storage::RowBlock& block) {
    const auto writer = static_cast<std::size_t>(block.stream->get("w")[0] - '0');
    for (const Value& v : block.find("n")->values) {
      const auto n = static_cast<std::size_t>(std::get<std::int64_t>(v));
      if (seen[writer][n]) counts[writer] = -1'000'000;
      seen[writer][n] = true;
      ++counts[writer];
    }
    return true;
  });
  return status ? counts : std::vector<int>(writers, -1'000'000);
}

TEST_CASE("readers see every acknowledged row once while heads are written, frozen, sealed and thawed") {
  EngineFixture f;
  std::array<std::atomic<int>, writers> acknowledged{};
  std::atomic<int> running{writers};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int b = 0; b < batches; ++b) {
        model::StreamRows rows{EventKind::inference, Labels::of({{"w", std::to_string(w)}}), {}};
        for (int i = 0; i < batch_rows; ++i) rows.rows.push_back(numbered(w, b * batch_rows + i));
        f.engine->append({rows}, {model::LateLabel{"m", fmt::format("{}-{}", w, b), Value(double(b)), start}});
        acknowledged[static_cast<std::size_t>(w)].store((b + 1) * batch_rows);
      }
      --running;
    });
  for (int r = 0; r < 2; ++r)
    threads.emplace_back([&] {
      do {
        std::array<int, writers> before{};
        for (std::size_t w = 0; w < writers; ++w) before[w] = acknowledged[w].load();
        const std::vector<int> seen = rows_seen(*f.engine);
        for (std::size_t w = 0; w < writers; ++w)
          if (seen[w] < before[w]) ++failures;
      } while (running.load() > 0);
    });
  threads.emplace_back([&] {
    do {
      const int n = acknowledged[0].load();
      if (n == 0) continue;
      storage::EventQuery q;
      q.kind = EventKind::inference;
      q.id.emplace("prediction_id", fmt::format("0-{}", n - 1));
      std::size_t found = 0;
      if (!f.engine->scan(q, [&](const storage::RowBlock& b) { return (found += b.times_ns.size()) > 0; }) || found != 1)
        ++failures;
      const std::vector<std::string> ids{fmt::format("0-{}", n / batch_rows - 1)};
      const auto labels = f.engine->late_labels("m", ids);
      if (!labels || !(*labels)[0]) ++failures;
      if (f.engine->streams(EventKind::inference, {}, {})->empty()) ++failures;
    } while (running.load() > 0);
  });
  std::thread sealer([&] {
    std::uint64_t seal = 0;
    do {
      f.engine->freeze(++seal);
      storage::kv::Batch batch;
      if (!f.engine->seal(batch) || !f.kv.write(std::move(batch), storage::kv::Sync::no)) ++failures;
      f.engine->thaw();
      if (!f.engine->retain(start - day)) ++failures;
    } while (running.load() > 0);
  });
  for (std::thread& t : threads) t.join();
  sealer.join();
  CHECK(failures.load() == 0);
  CHECK(rows_seen(*f.engine) == std::vector<int>(writers, batches * batch_rows));
}

}  // namespace
}  // namespace plumbline::test
