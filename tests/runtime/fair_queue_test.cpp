#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <random>

#include "daemon/runtime/fair_queue.hpp"

using plumbline::runtime::FairQueue;

namespace {

// Everything that waits, in the order of the turns.
std::string drained(FairQueue<std::string>& queue) {
  queue.close();
  std::string out;
  while (const auto item = queue.pop()) out += *item;
  return out;
}

}  // namespace

TEST_CASE("clients take turns, each in its own order", "[runtime][fair_queue]") {
  FairQueue<std::string> queue(100);
  for (const char* item : {"a1", "a2", "a3"}) CHECK_FALSE(queue.push("a", item));
  for (const char* item : {"b1", "b2"}) CHECK_FALSE(queue.push("b", item));
  CHECK_FALSE(queue.push("c", "c1"));
  CHECK(queue.pop() == "a1");
  CHECK_FALSE(queue.push("d", "d1"));
  CHECK(drained(queue) == "b1c1a2d1b2a3");
  CHECK(queue.push("e", "e1") == "e1");  // closed
}

TEST_CASE("a full queue takes room from who has the most", "[runtime][fair_queue]") {
  FairQueue<std::string> queue(4);
  for (const char* item : {"a1", "a2", "a3", "a4"}) CHECK_FALSE(queue.push("a", item));
  CHECK(queue.push("a", "a5") == "a5");
  CHECK(queue.push("b", "b1") == "a4");
  CHECK(queue.push("b", "b2") == "a3");
  CHECK(queue.push("b", "b3") == "b3");  // even shares
  CHECK(queue.push("c", "c1") == "a2");
  CHECK(drained(queue).size() == 8);
  FairQueue<std::string> none(0);
  CHECK(none.push("a", "a1") == "a1");
}

TEST_CASE("whatever the load: bounded, and nothing lost", "[runtime][fair_queue]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  FairQueue<std::unique_ptr<int>> queue(50);
  std::vector<int> waiting(400);  // by client; more clients than queues are kept for
  int inside = 0, out = 0, in = 0;
  for (int i = 0; i < 20'000; ++i) {
    const int client = static_cast<int>(random() % (random() % 2 == 0 ? 3 : 400));
    if (random() % 3 != 0) {
      ++in;
      ++waiting[static_cast<std::size_t>(client)];
      ++inside;
      if (const auto displaced = queue.push(std::to_string(client), std::make_unique<int>(client))) {
        --waiting[static_cast<std::size_t>(**displaced)];
        --inside;
        ++out;
      }
    } else if (inside > 0) {
      const auto item = queue.pop();
      REQUIRE(item);
      --waiting[static_cast<std::size_t>(**item)];
      --inside;
      ++out;
    }
    REQUIRE(inside <= 50);
    REQUIRE(*std::min_element(waiting.begin(), waiting.end()) >= 0);
  }
  queue.close();
  while (queue.pop()) ++out;
  CHECK(in == out);
}
