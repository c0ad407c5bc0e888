#include <memory>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/base/handoff.hpp"

using namespace plumbline;

TEST_CASE("a handoff takes every item once, in order, on one thread of its own", "[base][handoff]") {
  std::vector<int> taken;
  std::vector<std::thread::id> threads;
  Handoff<std::unique_ptr<int>> handoff([&](std::unique_ptr<int>& item) -> Status {
    taken.push_back(*item);
    threads.push_back(std::this_thread::get_id());
    return {};
  });
  for (int i = 0; i < 1000; ++i) REQUIRE(handoff.put(std::make_unique<int>(i)).has_value());
  REQUIRE(handoff.finish());
  REQUIRE(taken.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(taken[static_cast<std::size_t>(i)] == i);
  for (const std::thread::id id : threads) {
    CHECK(id == threads.front());
    CHECK(id != std::this_thread::get_id());
  }
  REQUIRE(handoff.put(std::make_unique<int>(1000)).has_value());  // goes on after a finish()
  REQUIRE(handoff.finish());
  CHECK(taken.back() == 1000);
  const auto back = handoff.put(std::make_unique<int>(1001));
  REQUIRE(back);
  REQUIRE(*back);
  CHECK(**back <= 1000);  // one that was taken, for its memory
}

TEST_CASE("a handoff takes nothing behind an item that failed, and says so to everyone who asks", "[base][handoff]") {
  std::vector<int> taken;
  Handoff<int> handoff([&](int& item) -> Status {
    taken.push_back(item);
    if (item == 2) return fail(Code::corrupt, "item 2");
    return {};
  });
  Result<int> put;
  int i = 0;
  for (; i < 100 && put; ++i) put = handoff.put(i);
  REQUIRE_FALSE(put);
  CHECK(put.error() == Error{Code::corrupt, "item 2"});
  CHECK(i <= 5);  // one was waiting, and one came before 2 had failed
  CHECK(handoff.finish().error().message == "item 2");
  CHECK(handoff.put(7).error().message == "item 2");
  CHECK(taken == std::vector{0, 1, 2});
}

TEST_CASE("a handoff that ends early drops what waits and leaves nothing running", "[base][handoff]") {
  auto watched = std::make_shared<int>(0);
  {
    Handoff<std::shared_ptr<int>> handoff([](std::shared_ptr<int>& item) -> Status {
      ++*item;
      return {};
    });
    REQUIRE(handoff.put(watched).has_value());
    REQUIRE(handoff.put(watched).has_value());
  }
  CHECK(watched.use_count() == 1);
  CHECK(*watched <= 2);
}
