// Writers, readers and seals at once. Run under the thread sanitizer as well.
#include <atomic>
#include <thread>

#include "store_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;

TEST_CASE("readers see every acknowledged sample and row once while heads are swapped and sealed") {
  StoreFixture f;
  f.open();
  constexpr int writers = 3;
  constexpr int batches = 300;
  const std::int64_t start = f.clock.now_ms() - 500'000;
  std::array<std::atomic<int>, writers> acknowledged{};
  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  const auto series_of = [](int w) {
    return Labels::of({{"__name__", "m"}, {"writer", std::to_string(w)}});
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < batches; ++i) {
        WriteBatch batch = one_series(series_of(w), {{start + i, static_cast<double>(i)}});
        batch.series.push_back({Labels::of({{"__name__", "shared"}}), {{start + i, 1}}});
        batch.series.push_back({Labels::of({{"__name__", "fresh"}, {"id", std::to_string(w * batches + i)}}), {{start, 1}}});
        batch.events.push_back({model::EventKind::log, Labels::of({{"writer", std::to_string(w)}}),
                                {{(start + i) * 1'000'000, {{"line", std::to_string(i)}}}}});
        if (!f.store->write(batch)) ++failures;
        acknowledged[static_cast<std::size_t>(w)] = i + 1;
      }
    });
  threads.emplace_back([&] {
    while (!done)
      if (!f.store->seal()) ++failures;
  });
  const auto read = [&](int w) {
    const int least = acknowledged[static_cast<std::size_t>(w)];
    storage::SeriesQuery query;
    query.matchers = {Matcher::equal("writer", std::to_string(w))};
    int seen = 0;
    const auto status = f.store->select(query, [&](const Labels&, std::span<const Sample> samples) {
      for (const Sample& s : samples)
        if (s.t != start + seen || s.v != seen++) ++failures;
      return true;
    });
    if (!status || seen < least) ++failures;
    std::vector<int> lines(batches, 0);
    int rows = 0;
    storage::EventQuery events;
    events.stream = query.matchers;
    const auto scanned = f.store->scan(events, [&](const storage::RowBlock& block) {
      for (const std::int64_t t : block.times_ns) {
        ++rows;
        if (++lines[static_cast<std::size_t>(t / 1'000'000 - start)] > 1) ++failures;
      }
      return true;
    });
    if (!scanned || rows < least) ++failures;
  };
  for (int r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      for (int i = r; !done; ++i) read(i % writers);
    });
  for (int w = 0; w < writers; ++w) threads[static_cast<std::size_t>(w)].join();
  done = true;
  for (std::size_t i = writers; i < threads.size(); ++i) threads[i].join();
  CHECK(failures == 0);
  for (int w = 0; w < writers; ++w) {
    CHECK(acknowledged[static_cast<std::size_t>(w)] == batches);
    read(w);
  }
  CHECK(read_all(*f.store, Labels::of({{"__name__", "shared"}})).size() == batches);
  CHECK(f.store->stats().series_total == writers + 1 + writers * batches);
  CHECK(failures == 0);
}
