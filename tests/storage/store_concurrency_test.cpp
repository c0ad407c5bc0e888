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

// Upkeep has a thread of its own, as in the daemon; erase comes from the API's threads.
TEST_CASE("retention, seals and deletions take what they should and nothing else while others write and read") {
  StoreFixture f;
  f.options.retention_series = std::chrono::hours(24 * 3);
  f.options.retention_events = std::chrono::hours(24 * 3);
  f.options.head_bytes_max = 64 << 10;  // upkeep seals too
  f.open();
  // The clock has held for ten minutes: retention may believe it.
  REQUIRE(f.store->maintain());
  f.clock.advance(std::chrono::minutes(11));
  constexpr std::int64_t hour = 3'600'000;
  constexpr int steps = 24 * 5;  // two days more than are kept
  const Labels kept = Labels::of({{"__name__", "kept"}});
  const Labels gone = Labels::of({{"__name__", "gone"}});
  const std::int64_t start = f.clock.now_ms();
  std::atomic<bool> done{false};
  std::atomic<int> written{0};
  std::atomic<int> maintained{0};
  std::atomic<int> erased{0};
  std::atomic<int> failures{0};

  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < steps; ++i) {
      const std::int64_t t = start + i * hour;
      WriteBatch batch = one_series(kept, {{t, static_cast<double>(i)}});
      batch.series.push_back({gone, {{t, static_cast<double>(i)}}});
      // Series that live for an hour: the index drops them with their day.
      batch.series.push_back({Labels::of({{"__name__", "fresh"}, {"id", std::to_string(i)}}), {{t, 1}}});
      batch.events.push_back({model::EventKind::log, kept, {{t * 1'000'000, {{"line", std::to_string(i)}}}}});
      const auto receipt = f.store->write(std::move(batch));
      if (!receipt || !receipt->refusals.empty()) ++failures;
      written = i + 1;
      f.clock.advance(std::chrono::hours(1));
      // Five days must not be over before the others have had their turns.
      while (maintained < i / 6 || erased < i / 12) std::this_thread::yield();
    }
    done = true;
  });
  threads.emplace_back([&] {
    for (; !done; ++maintained)
      if (!f.store->maintain()) ++failures;
  });
  threads.emplace_back([&] {
    while (!done)
      if (!f.store->seal()) ++failures;
  });
  threads.emplace_back([&] {
    for (; !done; ++erased) {
      const std::int64_t to = start + written * hour - 1;
      if (!f.store->erase({{Matcher::equal("__name__", "gone")}}, {start, to})) ++failures;
      // What was written before the call is gone for good.
      storage::SeriesQuery query;
      query.matchers = {Matcher::equal("__name__", "gone")};
      query.range = {start, to};
      const auto status = f.store->select(query, [&](const Labels&, std::span<const Sample> samples) {
        if (!samples.empty()) ++failures;
        return true;
      });
      if (!status) ++failures;
    }
  });
  threads.emplace_back([&] {
    while (!done) {
      const int least = written;
      // A gap may stand in front, where retention has been; behind it every sample is there, once.
      storage::SeriesQuery query;
      query.matchers = {Matcher::equal("__name__", "kept")};
      std::int64_t last = -1;
      const auto status = f.store->select(query, [&](const Labels&, std::span<const Sample> samples) {
        for (const Sample& s : samples) {
          if (s.t != start + static_cast<std::int64_t>(s.v) * hour) ++failures;
          if (last >= 0 && s.t != last + hour) ++failures;
          last = s.t;
        }
        return true;
      });
      if (!status || (least > 0 && last < start + (least - 1) * hour)) ++failures;
      storage::EventQuery events;
      events.stream = query.matchers;
      std::vector<int> lines(steps, 0);
      const auto scanned = f.store->scan(events, [&](const storage::RowBlock& block) {
        for (const std::int64_t t : block.times_ns)
          if (++lines[static_cast<std::size_t>((t / 1'000'000 - start) / hour)] > 1) ++failures;
        return true;
      });
      if (!scanned || (least > 0 && lines[static_cast<std::size_t>(least - 1)] != 1)) ++failures;
      if (!f.store->label_values("__name__", {}, {})) ++failures;
    }
  });
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);

  // Once more in peace: the whole of both deletions shows.
  REQUIRE(f.store->erase({{Matcher::equal("__name__", "gone")}}, {start, start + steps * hour}));
  REQUIRE(f.store->seal());
  REQUIRE(f.store->maintain());
  f.clock.advance(std::chrono::minutes(11));
  REQUIRE(f.store->maintain());
  constexpr std::int64_t day = 24 * hour;
  const std::int64_t cutoff = (f.clock.now_ms() - 3 * day) / day * day;
  std::vector<Sample> expected;
  for (int i = 0; i < steps; ++i)
    if (start + i * hour >= cutoff) expected.push_back({start + i * hour, static_cast<double>(i)});
  CHECK(expected.size() < steps);
  CHECK(read_all(*f.store, kept) == expected);
  CHECK(read_all(*f.store, gone).empty());
  f.lose_process();
  CHECK(read_all(*f.store, kept) == expected);
  CHECK(read_all(*f.store, gone).empty());
}

TEST_CASE("of writes at once of one late label a restart keeps the one that was seen before it") {
  StoreFixture f;
  f.open();
  constexpr int writers = 4;
  constexpr int labels = 3000;
  std::atomic<int> begun{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < labels; ++i) {
        // All of them write the label `i` before one writes the next.
        for (++begun; begun < (i + 1) * writers;) std::this_thread::yield();
        WriteBatch batch;
        batch.labels.push_back({"m", "p" + std::to_string(i), static_cast<double>(w), f.clock.now_ns()});
        if (!f.store->write(batch)) ++failures;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(failures == 0);
  std::vector<std::string> ids;
  for (int i = 0; i < labels; ++i) ids.push_back("p" + std::to_string(i));
  const auto seen = [&] {
    const auto found = f.store->late_labels("m", ids);
    REQUIRE(found);
    std::vector<double> out;
    for (const auto& label : *found) out.push_back(label ? std::get<double>(label->label) : -1);
    return out;
  };
  const std::vector<double> before = seen();
  f.lose_process();
  CHECK(seen() == before);
}
