#include <catch2/catch.hpp>

#include <random>
#include <thread>

#include "storage/series/segment_cache.hpp"

using namespace plumbline;
using namespace plumbline::storage::series;

TEST_CASE("a cache gives back what was put, and stays within its bytes", "[cache]") {
  Counter hits, misses;
  SegmentCache<std::vector<double>> cache(64'000, {&hits, &misses});
  CHECK(cache.find({1, 2}) == nullptr);
  const auto part = std::make_shared<const std::vector<double>>(std::vector<double>{1, 2, 3});
  cache.put({1, 2}, part, 24);
  CHECK(cache.find({1, 2}) == part);
  CHECK(cache.find({2, 1}) == nullptr);
  CHECK(hits.value() == 1);
  CHECK(misses.value() == 2);
  cache.put({3, 3}, part, 1'000'000);  // larger than the whole
  CHECK(cache.find({3, 3}) == nullptr);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    cache.put({9, i}, part, 1000);
    CHECK(cache.bytes() <= 64'000);
  }
  CHECK(cache.find({9, 999}) == part);
  CHECK(cache.find({9, 0}) == nullptr);
}

TEST_CASE("what is used stays longer than what is not", "[cache]") {
  SegmentCache<std::vector<double>> cache(8 * 10 * 1200);
  const auto part = std::make_shared<const std::vector<double>>();
  cache.put({1, 1}, part, 1000);
  for (std::uint64_t i = 0; i < 500; ++i) {
    cache.put({2, i}, part, 1000);
    REQUIRE(cache.find({1, 1}) == part);
  }
}

TEST_CASE("threads share a cache", "[cache]") {
  SegmentCache<std::vector<double>> cache(100'000);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) {
        const std::uint64_t place = random() % 300;
        if (const auto found = cache.find({7, place}); found && found->at(0) != static_cast<double>(place)) ++wrong;
        if (random() % 2 == 0) cache.put({7, place}, std::make_shared<const std::vector<double>>(1, static_cast<double>(place)), 500);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(cache.bytes() <= 100'000);
}

TEST_CASE("a part is known when it is asked for again, and forgotten in time", "[cache]") {
  AskedLately asked;
  int known = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) known += asked.again({1, i});
  CHECK(known < 50);  // bits that two parts share
  for (std::uint64_t i = 0; i < 1000; ++i) CHECK(asked.again({1, i}));
  for (std::uint64_t i = 0; i < 200'000; ++i) asked.again({2, i});
  known = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) known += asked.again({1, i});
  CHECK(known < 300);
}
