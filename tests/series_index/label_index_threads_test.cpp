#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <thread>

#include "storage/model/wire_labels.hpp"
#include "storage/series/label_index.hpp"

using namespace plumbline;
using model::Labels;
using storage::series::LabelIndex;
using storage::series::no_series;
using storage::series::SeriesId;

TEST_CASE("senders, queries, new series and removals at once", "[index][threads]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  LabelIndex index;
  constexpr int kept = 400;
  std::vector<Labels> labels;
  std::vector<std::string> forms;
  std::vector<SeriesId> ids;
  for (int i = 0; i < kept; ++i) {
    labels.push_back(Labels::of({{"__name__", "kept"}, {"i", std::to_string(i)}, {"j", std::to_string(i % 7)}}));
    forms.push_back(model::wire_form(labels.back()));
    ids.push_back(index.add(labels.back(), forms.back()).id);
  }
  std::atomic<int> wrong{0};
  std::atomic<int> writers{2};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)  // two senders with orders of their own fight for the predictions
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<unsigned>(t));
      std::vector<std::size_t> order(kept);
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::shuffle(order.begin(), order.end(), random);
      for (int round = 0; round < 100 || writers > 0; ++round) {
        auto finder = index.finder();
        for (const std::size_t i : order)
          if (finder.find(forms[i]) != ids[i]) ++wrong;
      }
    });
  for (int t = 0; t < 2; ++t)  // queries sort values while others read them in order
    threads.emplace_back([&, t] {
      const auto prefix = model::Matcher::make(model::MatchOp::regex, "uid", "u" + std::to_string(t) + ".*");
      for (int round = 0; round < 100 || writers > 0; ++round) {
        if (index.resolve({model::Matcher::equal("__name__", "kept")}).cardinality() != kept) ++wrong;
        const Roaring found = index.resolve({*prefix});
        index.label_values("uid", index.all());
        index.label_values("uid", found);
        index.label_names(found);
        index.cardinality(3);
        if (index.labels(ids[static_cast<std::size_t>(round % kept)]) != labels[static_cast<std::size_t>(round % kept)]) ++wrong;
      }
    });
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 60; ++round) {
        std::vector<Labels> made;
        for (int i = 0; i < 30; ++i)
          made.push_back(Labels::of({{"__name__", "new"}, {"uid", "u" + std::to_string(t) + std::to_string(round * 30 + i)}}));
        std::vector<LabelIndex::NewSeries> fresh;
        for (const Labels& l : made) fresh.push_back({&l, {}});
        Roaring gone;
        for (const auto& added : index.add_many(fresh)) {
          if (!added.created) ++wrong;
          if (added.id % 3 != 0) gone.add(added.id);
        }
        index.remove(gone);
      }
      --writers;
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(index.size() == kept + index.resolve({model::Matcher::equal("__name__", "new")}).cardinality());
}

TEST_CASE("threads that add the same series get the same ids", "[index][threads]") {
  LabelIndex index;
  std::vector<std::vector<SeriesId>> got(3);
  std::atomic<int> created{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < got.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const Labels labels = Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}});
        const auto added = index.add(labels, model::wire_form(labels));
        created += added.created ? 1 : 0;
        got[t].push_back(added.id);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(got[0] == got[1]);
  CHECK(got[0] == got[2]);
  CHECK(created == 500);
  CHECK(index.size() == 500);
}
