#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "storage/model/wire_labels.hpp"
#include "storage/series/label_index.hpp"

using namespace plumbline;
using model::Labels;
using model::Matcher;
using model::MatchOp;
using storage::series::LabelIndex;
using storage::series::no_series;
using storage::series::SeriesId;

namespace {

Matcher make(MatchOp op, std::string name, std::string value) {
  auto matcher = Matcher::make(op, std::move(name), std::move(value));
  REQUIRE(matcher);
  return *matcher;
}

SeriesId add(LabelIndex& index, const Labels& labels) { return index.add(labels, model::wire_form(labels)).id; }

SeriesId find(const LabelIndex& index, std::string_view raw) { return index.finder().find(raw); }

// The labels in the order given, as a sender that does not sort writes them; empty values are sent, too.
std::string raw_form(const std::vector<model::Label>& labels) {
  std::string out;
  for (const model::Label& l : labels) {
    const std::string one = model::wire_form(Labels::of({{l.name, l.value.empty() ? "x" : l.value}}));
    if (!l.value.empty()) out += one;
    else out += '\x0a', out += static_cast<char>(l.name.size() + 4), out += '\x0a', out += static_cast<char>(l.name.size()),
        out += l.name, out += std::string("\x12\x00", 2);
  }
  return out;
}

std::string pick(std::mt19937_64& random, const std::vector<std::string>& from) { return from[random() % from.size()]; }

}  // namespace

TEST_CASE("matchers resolve to what a scan over all labels finds", "[index]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  LabelIndex index;
  std::map<SeriesId, Labels> all;
  const auto add_one = [&] {
    std::vector<model::Label> labels{{"__name__", "m" + std::to_string(random() % 4)}};
    if (random() % 3) labels.push_back({"job", std::string(1, static_cast<char>('a' + random() % 5))});
    if (random() % 2) labels.push_back({"code", std::to_string(200 + 100 * (random() % 4))});
    labels.push_back({"pod", std::to_string(random() % 900)});
    if (random() % 4 == 0) labels.push_back({"uid", "uid-" + std::to_string(random())});  // unique: more values than series
    const Labels made = Labels::trusted(labels);
    const SeriesId id = add(index, made);
    REQUIRE(index.labels(id) == made);
    REQUIRE(index.vshard(id) == made.fingerprint() % 256);
    all.insert_or_assign(id, made);
  };
  for (int i = 0; i < 1500; ++i) add_one();
  const std::vector<std::string> names{"__name__", "job", "code", "pod", "uid", "absent"};
  const std::vector<std::string> values{"m1", "a", "200", "17", "", "zzz", "300", "899"};
  const std::vector<std::string> regexes{
      "m1|m2",  "2..",    ".*",      ".+",        "",          "a|",      "1[0-9]", "(?i)A",  "[^a]+", "20.|50.", "1.*",
      "1.+",    ".*7",    ".*3.*",   "uid-1.*",   "uid-(1|2).*", "m(1|2)?", "3|5.*",  "uid.+",  ".+0",   "^2.*$",   "(a|b|c)",
      "uid-.*9", "[0-9]{2}", "1?1?1?", ".",        ".*|a",      "(.+)",    "m[0-2]", "uid-[1-3].*", "()", "x|.+"};
  for (int round = 0; round < 3000; ++round) {
    if (round % 300 == 299) {  // removal keeps everything else right
      Roaring gone;
      for (const auto& [id, labels] : all)
        if (random() % (round % 600 == 599 ? 2 : 5) == 0) gone.add(id);
      gone.add(4'000'000'000);
      index.remove(gone);
      std::erase_if(all, [&](const auto& item) { return gone.contains(item.first); });
      for (int i = 0; i < 150; ++i) add_one();
    } else if (round % 10 == 0) {
      add_one();  // the order of values is merged again and again
    }
    model::Matchers matchers;
    for (std::size_t i = 0, n = random() % 4; i < n; ++i) {
      const auto op = static_cast<MatchOp>(random() % 4);
      const bool regex = op == MatchOp::regex || op == MatchOp::not_regex;
      matchers.push_back(make(op, pick(random, names), pick(random, regex ? regexes : values)));
    }
    std::set<SeriesId> expected;
    for (const auto& [id, labels] : all)
      if (model::matches_all(matchers, labels)) expected.insert(id);
    const Roaring got = index.resolve(matchers);
    std::string asked;
    for (const Matcher& m : matchers) asked += m.str() + ", ";
    INFO("matchers " << asked);
    REQUIRE(std::set<SeriesId>(got.begin(), got.end()) == expected);
    REQUIRE(index.size() == all.size());

    std::map<std::string, std::set<std::string>> present;
    for (const SeriesId id : expected)
      for (const auto& l : all.at(id)) present[l.name].insert(l.value);
    std::vector<std::string> name_list;
    for (const auto& [name, unused] : present) name_list.push_back(name);
    REQUIRE(index.label_names(got) == name_list);
    for (const std::string& name : names) {
      const std::set<std::string>& in = present[name];
      REQUIRE(index.label_values(name, got) == std::vector<std::string>(in.begin(), in.end()));
    }
  }
  for (const auto& [id, labels] : all) {
    REQUIRE(index.labels(id) == labels);
    REQUIRE(find(index, model::wire_form(labels)) == id);
  }
}

TEST_CASE("a series is found by every form it was sent in", "[index]") {
  LabelIndex index;
  const Labels labels = Labels::of({{"__name__", "up"}, {"a", "1"}, {"z", "2"}});
  const std::string sorted = model::wire_form(labels);
  const std::string unsorted = raw_form({{"z", "2"}, {"__name__", "up"}, {"a", "1"}});
  const std::string with_empty = raw_form({{"__name__", "up"}, {"a", "1"}, {"empty", ""}, {"z", "2"}});
  REQUIRE(*model::parse_wire_labels(unsorted) == labels);
  REQUIRE(*model::parse_wire_labels(with_empty) == labels);
  CHECK(find(index, unsorted) == no_series);
  const auto first = index.add(labels, unsorted);
  CHECK(first.created);
  CHECK(find(index, unsorted) == first.id);
  CHECK(find(index, sorted) == no_series);  // as a form it was never seen; by its labels it is known
  for (const std::string& form : {sorted, with_empty}) {
    const auto again = index.add(labels, form);
    CHECK_FALSE(again.created);
    CHECK(again.id == first.id);
  }
  for (const std::string& form : {sorted, unsorted, with_empty}) CHECK(find(index, form) == first.id);
  CHECK_FALSE(index.add(labels, "").created);
  index.remove(Roaring::bitmapOf(1, first.id));
  for (const std::string& form : {sorted, unsorted, with_empty}) CHECK(find(index, form) == no_series);
  CHECK(index.labels(first.id).empty());
  const auto second = index.add(labels, unsorted);
  CHECK(second.created);
  CHECK(second.id == first.id + 1);  // an id is never given twice
}

TEST_CASE("forms of one series are bounded, and the newest is kept", "[index]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  LabelIndex index;
  std::vector<model::Label> list{{"__name__", "m"}};
  for (int i = 0; i < 7; ++i) list.push_back({std::string(1, static_cast<char>('a' + i)), "v"});
  const Labels labels = Labels::trusted(list);
  const Labels other = labels.with("z", "other");
  const SeriesId id = add(index, labels);
  const SeriesId other_id = add(index, other);
  const std::size_t before = index.memory_bytes();
  std::set<std::string> sent{model::wire_form(labels)};
  for (int round = 0; round < 2000; ++round) {
    std::shuffle(list.begin(), list.end(), random);
    const std::string form = raw_form(list);
    sent.insert(form);
    REQUIRE(index.add(labels, form).id == id);
    REQUIRE(find(index, form) == id);
  }
  REQUIRE(index.memory_bytes() < before + 4096);
  const auto known = std::count_if(sent.begin(), sent.end(), [&](const std::string& f) { return find(index, f) == id; });
  CHECK(known == 1 + LabelIndex::forms_more_max);
  CHECK(index.add(labels, "").id == id);  // by its labels, whatever was pushed out
  CHECK(index.size() == 2);
  index.remove(Roaring::bitmapOf(1, id));
  for (const std::string& form : sent) REQUIRE(find(index, form) == no_series);
  CHECK(find(index, model::wire_form(other)) == other_id);
}

TEST_CASE("a request is found in any order, before and after series go", "[index]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  LabelIndex index;
  std::vector<std::string> forms;
  std::vector<SeriesId> ids;
  std::vector<Labels> labels;
  for (int i = 0; i < 5000; ++i) labels.push_back(Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}));
  std::vector<LabelIndex::NewSeries> fresh;
  for (const Labels& l : labels) forms.push_back(model::wire_form(l));
  for (std::size_t i = 0; i < labels.size(); ++i) fresh.push_back({&labels[i], forms[i]});
  fresh.push_back(fresh.front());  // one request may name a new series twice
  const auto added = index.add_many(fresh);
  CHECK_FALSE(added.back().created);
  CHECK(added.back().id == added.front().id);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    CHECK(added[i].created);
    ids.push_back(added[i].id);
  }
  std::vector<std::size_t> order(forms.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::set<SeriesId> gone;
  for (int round = 0; round < 12; ++round) {
    if (round % 3 == 1) std::shuffle(order.begin(), order.end(), random);
    if (round % 4 == 3) {
      Roaring drop;
      const SeriesId from = static_cast<SeriesId>(random() % 3000);
      for (SeriesId id = from; id < from + 2100; ++id) drop.add(id);
      index.remove(drop);
      gone.insert(drop.begin(), drop.end());
    }
    auto finder = index.finder();
    for (const std::size_t i : order) {
      const SeriesId expected = gone.count(ids[i]) ? no_series : ids[i];
      REQUIRE(finder.find(forms[i]) == expected);
      if (expected == no_series) continue;
      REQUIRE(finder.labels(expected) == labels[i]);
      REQUIRE(finder.vshard(expected) == labels[i].fingerprint() % 256);
    }
  }
}

TEST_CASE("restored series keep their ids, and ids are never given twice", "[index]") {
  LabelIndex index;
  const Labels a = Labels::of({{"__name__", "a"}});
  const Labels b = Labels::of({{"__name__", "b"}, {"x", std::string(100'000, 'y')}});
  REQUIRE(index.restore(17, b));
  REQUIRE(index.restore(3, a));  // in any order
  const auto twice = index.restore(3, b);
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == Code::corrupt);
  CHECK(twice.error().message.starts_with("series id 3 is defined twice: a and b{"));
  CHECK_FALSE(index.restore(no_series, a));
  std::vector<model::Label> many;
  for (int i = 0; i < 65536; ++i) many.push_back({"n" + std::to_string(i), "v"});
  CHECK(index.restore(5, Labels::trusted(many)).error().message == "series id 5 has 65536 labels");
  CHECK(index.next_id() == 18);
  CHECK(index.labels(17) == b);
  CHECK(index.labels(4).empty());
  CHECK(index.labels(99).empty());
  CHECK(find(index, model::wire_form(a)) == 3);
  CHECK(index.add(b, raw_form({{"x", std::string(100'000, 'y')}, {"__name__", "b"}})).id == 17);
  index.reserve_ids(1000);
  CHECK(add(index, Labels::of({{"__name__", "c"}})) == 1000);
  CHECK(add(index, Labels()) == 1001);  // no labels at all are a series, too
  CHECK(index.labels(1001).empty());
  CHECK(index.all() == Roaring::bitmapOf(4, 3, 17, 1000, 1001));
  REQUIRE(index.restore(3'999'999'999, Labels::of({{"far", "away"}})));
  CHECK(index.resolve({make(MatchOp::regex, "far", "a.*y")}) == Roaring::bitmapOf(1, 3'999'999'999u));
  CHECK(index.resolve({make(MatchOp::equal, "far", "")}).cardinality() == 4);
  CHECK(index.labels_of(std::vector<SeriesId>{17, 5, 3}) == std::vector<Labels>{b, Labels(), a});
}

TEST_CASE("postings are right in any order of ids and at every size", "[index]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  LabelIndex index;
  std::vector<SeriesId> ids(600);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<SeriesId>(i * 3);
  std::shuffle(ids.begin(), ids.end(), random);
  std::set<SeriesId> all;
  for (const SeriesId id : ids) {
    REQUIRE(index.restore(id, Labels::of({{"shared", "v"}, {"own", std::to_string(id)}})));
    all.insert(id);
    const Roaring got = index.resolve({Matcher::equal("shared", "v")});
    REQUIRE(std::set<SeriesId>(got.begin(), got.end()) == all);
  }
  while (!all.empty()) {
    Roaring gone;
    for (std::size_t i = 0, n = 1 + random() % 40; i < n && !all.empty(); ++i) {
      const auto victim = std::next(all.begin(), static_cast<std::ptrdiff_t>(random() % all.size()));
      gone.add(*victim);
      all.erase(victim);
    }
    index.remove(gone);
    const Roaring got = index.resolve({Matcher::equal("shared", "v")});
    REQUIRE(std::set<SeriesId>(got.begin(), got.end()) == all);
  }
  CHECK(index.label_names(index.all()).empty());
  CHECK(index.label_values("shared", index.all()).empty());
}

TEST_CASE("churn gives memory back", "[index]") {
  LabelIndex index;
  std::size_t settled = 0;
  for (int wave = 0; wave < 12; ++wave) {
    for (int i = 0; i < 6000; ++i)
      add(index, Labels::of({{"__name__", "m" + std::to_string(i % 30)},
                             {"uid", std::to_string(wave) + "-0000-1111-2222-3333-" + std::to_string(i)},
                             {"wave", std::to_string(wave)}}));
    const SeriesId next = index.next_id();
    Roaring gone;
    if (next > 12000) gone.addRange(0, next - 12000);
    index.remove(gone);
    if (wave == 4) settled = index.memory_bytes();
    if (wave > 4) REQUIRE(index.memory_bytes() < settled * 3 / 2);
  }
  CHECK(index.size() == 12000);
  for (const SeriesId id : index.all()) REQUIRE(index.labels(id).size() == 3);
  index.remove(index.all());
  CHECK(index.memory_bytes() < settled / 2);
}

TEST_CASE("who takes the most is told", "[index]") {
  LabelIndex index;
  for (int i = 0; i < 60; ++i)
    add(index, Labels::of({{"__name__", i < 40 ? "big" : i < 55 ? "middle" : "small"},
                           {"pod", "pod-with-a-long-name-" + std::to_string(i)},
                           {"job", i % 2 ? "x" : "y"}}));
  const auto top = index.cardinality(2);
  CHECK(top.series_by_metric == std::vector<model::Count>{{"big", 40}, {"middle", 15}});
  CHECK(top.values_by_label == std::vector<model::Count>{{"pod", 60}, {"__name__", 3}});
  CHECK(top.series_by_pair == std::vector<model::Count>{{"__name__=big", 40}, {"job=x", 30}});
  REQUIRE(top.bytes_by_label.size() == 2);
  CHECK(top.bytes_by_label[0].name == "pod");
  CHECK(index.cardinality(0).series_by_metric.empty());
  CHECK(index.cardinality(100).series_by_metric.size() == 3);
  CHECK(index.series_of_metric("big") == 40);
  CHECK(index.series_of_metric("none") == 0);
  index.remove(index.resolve({Matcher::equal("__name__", "big"), Matcher::equal("job", "x")}));
  CHECK(index.series_of_metric("big") == 20);
  CHECK(LabelIndex().series_of_metric("x") == 0);
}
