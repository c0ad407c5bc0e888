#include <set>

#include "storage/series/series_index.hpp"
#include "store_fixture.hpp"

using namespace plumbline;
using model::MatchOp;
using storage::series::SeriesIndex;
using test::Labels;
using test::Matcher;

namespace {

Matcher make(MatchOp op, std::string name, std::string value) {
  auto matcher = Matcher::make(op, std::move(name), std::move(value));
  REQUIRE(matcher);
  return *matcher;
}

}  // namespace

TEST_CASE("matchers resolve to what a scan over all labels finds") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SeriesIndex index;
  std::map<std::uint32_t, Labels> all;
  const auto add = [&] {
    std::vector<model::Label> labels{{"__name__", "m" + std::to_string(random() % 4)}};
    if (random() % 3) labels.push_back({"job", std::string(1, static_cast<char>('a' + random() % 5))});
    if (random() % 2) labels.push_back({"code", std::to_string(200 + 100 * (random() % 4))});
    labels.push_back({"pod", std::to_string(random() % 200)});
    const Labels made = Labels::trusted(labels);
    const auto entry = index.add(made.fingerprint(), made);
    REQUIRE(entry->labels == made);
    all.insert_or_assign(entry->id, made);
  };
  for (int i = 0; i < 800; ++i) add();
  const std::vector<std::string> names{"__name__", "job", "code", "pod", "absent"};
  const std::vector<std::string> values{"m1", "a", "200", "17", "", "zzz"};
  const std::vector<std::string> regexes{"m1|m2", "2..", ".*", ".+", "", "a|", "1[0-9]", "(?i)A", "[^a]+", "20.|50."};
  for (int round = 0; round < 1500; ++round) {
    if (round % 300 == 299) {  // removal keeps everything else right
      Roaring gone;
      for (const auto& [id, labels] : all)
        if (random() % 5 == 0) gone.add(id);
      index.remove(gone);
      std::erase_if(all, [&](const auto& item) { return gone.contains(item.first); });
      for (int i = 0; i < 50; ++i) add();
    }
    model::Matchers matchers;
    for (std::size_t i = 0, n = random() % 4; i < n; ++i) {
      const auto op = static_cast<MatchOp>(random() % 4);
      const bool regex = op == MatchOp::regex || op == MatchOp::not_regex;
      const auto& pool = regex ? regexes : values;
      matchers.push_back(make(op, names[random() % names.size()], pool[random() % pool.size()]));
    }
    std::set<std::uint32_t> expected;
    for (const auto& [id, labels] : all)
      if (model::matches_all(matchers, labels)) expected.insert(id);
    const Roaring got = index.resolve(matchers);
    REQUIRE(std::set<std::uint32_t>(got.begin(), got.end()) == expected);

    std::set<std::string> value_set;
    std::set<std::string> name_set;
    for (const std::uint32_t id : expected)
      for (const auto& l : all.at(id)) {
        name_set.insert(l.name);
        if (l.name == "pod") value_set.insert(l.value);
      }
    REQUIRE(index.label_values("pod", got) == std::vector<std::string>(value_set.begin(), value_set.end()));
    REQUIRE(index.label_names(got) == std::vector<std::string>(name_set.begin(), name_set.end()));
  }
}

TEST_CASE("two label sets with one hash are two series") {
  SeriesIndex index;
  const Labels a = Labels::of({{"x", "1"}});
  const Labels b = Labels::of({{"x", "2"}});
  const auto first = index.add(7, a);
  const auto second = index.add(7, b);
  CHECK(first->id != second->id);
  std::vector<storage::series::EntryPtr> found;
  index.find({{&a, 7}, {&b, 7}, {&b, 8}}, found);
  CHECK(found[0] == first);
  CHECK(found[1] == second);
  CHECK(found[2] == nullptr);
  index.remove(Roaring::bitmapOf(1, first->id));
  index.find({{&a, 7}, {&b, 7}}, found);
  CHECK(found[0] == nullptr);
  CHECK(found[1] == second);
  CHECK(index.add(7, a)->id == 2);  // an id is never given twice
}

TEST_CASE("the id table agrees with a multimap through growth, collisions and removals") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  storage::series::IdTable table;
  std::map<std::uint32_t, std::uint64_t> all;
  std::uint32_t next = 0;
  for (int step = 0; step < 20000; ++step) {
    // Few distinct high bits: long runs of neighbours, and equal fingerprints.
    const std::uint64_t fingerprint = (random() % 40) << 58 | random() % 50;
    if (random() % 5 < (step / 4000 % 2 == 0 ? 3u : 2u)) {
      table.add(fingerprint, next);
      all[next++] = fingerprint;
    } else if (!all.empty()) {
      const auto victim = std::next(all.begin(), static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(all.size(), 50)));
      table.remove(victim->second, victim->first);
      all.erase(victim);
    }
    if (step % 100 == 0)
      for (const auto& [id, print] : all)
        REQUIRE(table.find(print, [wanted = id](std::uint32_t found) { return found == wanted; }) == id);
    REQUIRE(table.find(fingerprint, [&](std::uint32_t found) { return all.count(found) == 0; }) ==
            storage::series::IdTable::none);
  }
}
