#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

#include "storage/series/alias_table.hpp"
#include "storage/series/form_hash.hpp"
#include "storage/series/paged.hpp"
#include "storage/series/tag_table.hpp"

using namespace plumbline;
using namespace plumbline::storage::series;

TEST_CASE("a form hash tells apart what differs in a bit, a byte or the length", "[form]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const FormKey key;
  for (const std::size_t size : {0, 1, 8, 15, 16, 17, 31, 32, 33, 120, 250, 1023, 1024, 1025, 2048, 5000, 70000, 1200000}) {
    std::string bytes(size, '\0');
    if (size % 2 == 1)
      for (char& c : bytes) c = static_cast<char>(random());
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    std::size_t forms = 0;
    const auto put = [&](const std::string& form) {
      const FormHash h = key.hash(form);
      REQUIRE(h == key.hash(std::string(form)));
      REQUIRE(h.tag() == static_cast<std::uint32_t>(h.a >> 32));
      seen.insert({h.a, h.b});
      ++forms;
    };
    put(bytes);
    put(bytes + '\0');
    put(bytes + std::string(17, '\0'));
    const std::size_t step = std::max<std::size_t>(1, size / 100);
    for (std::size_t i = 0; i < size; i += step)
      for (int bit = 0; bit < 8; bit += size > 5000 ? 8 : 1) {
        bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
        put(bytes);
        bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      }
    REQUIRE(seen.size() == forms);
  }
}

TEST_CASE("two keys give two hashes, and tags spread", "[form]") {
  const FormKey a;
  const FormKey b;
  CHECK_FALSE(a.hash("some labels") == b.hash("some labels"));
  CHECK(a.tag("v", 1) != a.tag("v", 2));  // one in four billion fails
  // 100,000 similar strings into 64 buckets: 1562 each, standard deviation 39.
  std::vector<int> buckets(64);
  for (int i = 0; i < 100000; ++i) ++buckets[a.tag("host-" + std::to_string(i) + ":9100", 3) >> 26];
  for (const int n : buckets) CHECK(std::abs(n - 1562) < 500);
}

TEST_CASE("the tag table agrees with a multimap through growth, collisions and removals", "[form]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  TagTable table;
  std::map<std::uint32_t, std::uint32_t> all;
  std::uint32_t next = 0;
  for (int step = 0; step < 20000; ++step) {
    // Few distinct high bits, the last among them: long runs of neighbours that wrap around, and equal tags.
    const std::uint32_t tag = (63u - static_cast<std::uint32_t>(random() % 40)) << 26 | static_cast<std::uint32_t>(random() % 50);
    if (random() % 5 < (step / 4000 % 2 == 0 ? 3u : 2u)) {
      table.add(tag, next);
      all[next++] = tag;
    } else if (!all.empty()) {
      const auto victim = std::next(all.begin(), static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(all.size(), 50)));
      table.remove(victim->second, victim->first);
      table.remove(victim->second, victim->first);  // not there any more: nothing happens
      all.erase(victim);
      if (random() % 100 == 0) table.shrink();
    }
    REQUIRE(table.size() == all.size());
    if (step % 100 == 0)
      for (const auto& [value, print] : all)
        REQUIRE(table.find(print, [wanted = value](std::uint32_t found) { return found == wanted; }) == value);
    REQUIRE(table.find(tag, [&](std::uint32_t found) { return all.count(found) == 0; }) == TagTable::none);
  }
}

TEST_CASE("pages without a living thing are given back and read as blank", "[form]") {
  Paged<std::uint64_t> paged;
  for (std::uint32_t i = 0; i < 10000; ++i) paged.make(i) = i + 1;
  const std::size_t full = paged.bytes();
  for (std::uint32_t i = 0; i < 9000; ++i) paged.release(i);
  CHECK(paged.bytes() < full / 2);
  for (std::uint32_t i = 0; i < 10000; ++i) REQUIRE(std::as_const(paged)[i] == (i < 9000 ? 0 : i + 1));
  paged.make(5) = 7;
  CHECK(std::as_const(paged)[5] == 7);
  CHECK(std::as_const(paged)[6] == 0);
  paged.make(4'000'000'000) = 9;
  CHECK(std::as_const(paged)[4'000'000'000] == 9);
}

TEST_CASE("an arena keeps small and huge things apart", "[form]") {
  Arena arena;
  std::vector<std::pair<std::uint32_t, std::size_t>> places;
  std::mt19937_64 random(7);
  for (int i = 0; i < 3000; ++i) {
    const std::size_t bytes = i % 500 == 0 ? 1'000'000 + static_cast<std::size_t>(i) : 1 + random() % 400;
    const std::uint32_t at = arena.put(bytes);
    std::memset(arena.at(at), i & 0xff, bytes);
    places.emplace_back(at, bytes);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto* at = reinterpret_cast<const unsigned char*>(arena.at(places[i].first));
    REQUIRE(at[0] == (i & 0xff));
    REQUIRE(at[places[i].second - 1] == (i & 0xff));
  }
  CHECK_FALSE(arena.mostly_dead());
  for (std::size_t i = 0; i < places.size(); ++i)
    if (i % 500 == 0) arena.drop(places[i].second);
  CHECK(arena.mostly_dead());
}

TEST_CASE("the alias table forgets the forms of removed series", "[form]") {
  AliasTable table;
  for (std::uint32_t i = 0; i < 1000; ++i) table.add({std::uint64_t{i} << 40, i}, i % 100);
  CHECK(table.find({std::uint64_t{7} << 40, 7}) == 7);
  CHECK(table.find({std::uint64_t{7} << 40, 8}) == TagTable::none);
  table.remove(Roaring::bitmapOf(2, 7, 8));
  CHECK(table.size() == 980);
  CHECK(table.find({std::uint64_t{107} << 40, 107}) == TagTable::none);
  CHECK(table.find({std::uint64_t{109} << 40, 109}) == 9);
}
