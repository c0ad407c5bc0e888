#include "storage/codec/group_models.hpp"

#include <algorithm>
#include <limits>

#include "storage/codec/value_group_format.hpp"

namespace plumbline::storage::codec {
namespace {

using Cost = std::uint64_t;  // in 1/256 bits
constexpr Cost bit = 256;
constexpr Cost entry_cost = 6 * bit;   // of one token in a written model, about
constexpr Cost model_cost = 24 * bit;  // of a model besides
constexpr std::uint32_t absent =
    (model_bits + 1) * 256;  // a token that a model lacks takes one of its 512 shares

struct Gathered {
  std::array<std::uint32_t, token_count> counts{};
  std::array<std::uint32_t, token_count> costs;  // of one occurrence
  std::uint32_t total = 0;

  Gathered() { costs.fill(absent); }
  void price() {
    const std::uint32_t all = log2_fixed(total);
    for (std::size_t t = 0; t < token_count; ++t)
      if (counts[t] != 0) costs[t] = std::min(all - log2_fixed(counts[t]), absent);
  }
};

}  // namespace

void ModelChooser::add(std::span<const std::uint32_t, token_count> histogram) {
  for (std::size_t t = 0; t < token_count; ++t)
    if (histogram[t] != 0) entries_.push_back({histogram[t], static_cast<std::uint8_t>(t)});
  ends_.push_back(entries_.size());
}

void ModelChooser::clear() {
  entries_.clear();
  ends_.clear();
}

std::vector<Model> ModelChooser::choose(std::vector<std::size_t>& model_of) const {
  std::vector<Gathered> models;
  model_of.assign(ends_.size(), 0);
  const auto column = [&](std::size_t i) {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::span(entries_).subspan(begin, ends_[i] - begin);
  };
  const auto best_model = [&](std::span<const Entry> entries, std::size_t& best) {
    Cost least = std::numeric_limits<Cost>::max();
    for (std::size_t m = 0; m < models.size(); ++m) {
      Cost cost = 0;
      for (const Entry& e : entries)
        cost += Cost{e.count} * models[m].costs[e.token] + (models[m].counts[e.token] == 0 ? entry_cost : 0);
      if (cost < least) {
        least = cost;
        best = m;
      }
    }
    return least;
  };
  const auto join = [](Gathered& model, std::span<const Entry> entries) {
    for (const Entry& e : entries) {
      model.counts[e.token] += e.count;
      model.total += e.count;
    }
  };
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const auto entries = column(i);
    std::uint32_t n = 0;
    for (const Entry& e : entries) n += e.count;
    Cost own = model_cost;
    for (const Entry& e : entries) own += Cost{e.count} * (log2_fixed(n) - log2_fixed(e.count)) + entry_cost;
    std::size_t best = 0;
    const Cost shared = best_model(entries, best);
    if (models.empty() || (own < shared && models.size() < group_format::models_max)) {
      best = models.size();
      models.emplace_back();
    }
    join(models[best], entries);
    models[best].price();
    model_of[i] = best;
  }
  // Once more with what each model became; then those that nobody took any longer go.
  for (std::size_t i = 0; i < ends_.size(); ++i) best_model(column(i), model_of[i]);
  std::vector<Gathered> last(models.size());
  for (std::size_t i = 0; i < ends_.size(); ++i) join(last[model_of[i]], column(i));
  std::vector<std::size_t> index(models.size());
  std::vector<Model> out;
  for (std::size_t m = 0; m < last.size(); ++m)
    if (last[m].total != 0) {
      index[m] = out.size();
      out.push_back(make_model(last[m].counts));
    }
  for (std::size_t& m : model_of) m = index[m];
  return out;
}

}  // namespace plumbline::storage::codec
