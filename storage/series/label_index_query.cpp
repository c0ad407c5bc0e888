// Matchers, names and values, and who takes the most: what is asked of the postings.
#include <algorithm>

#include "storage/series/label_index.hpp"
#include "storage/series/regex_shape.hpp"

namespace plumbline::storage::series {

using model::Matcher;
using model::MatchOp;

namespace {

// Cheapest first: equality narrows most, conditions that an absent label fulfils only take away.
int cost(const Matcher& m) {
  if (m.op() == MatchOp::equal && !m.value().empty()) return 0;
  const bool regex = m.op() == MatchOp::regex || m.op() == MatchOp::not_regex;
  return (m.matches_empty() ? 2 : 1) + (regex ? 2 : 0);
}

bool same_set(const Roaring& ids, const Roaring& all) { return ids.cardinality() == all.cardinality() && ids == all; }

// Whether the regex of a matcher, negated or not, matches: the shape answers where it can.
class ValueTest {
 public:
  ValueTest(const Matcher& matcher, const RegexShape& shape)
      : matcher_(matcher), shape_(shape), exact_(shape.exact()), short_(shape.branches.size() <= 8),
        negated_(matcher.op() == MatchOp::not_regex) {}
  bool operator()(std::string_view value) const {
    if (shape_.known() && short_) {
      if (!shape_.admits(value)) return false;
      if (exact_) return true;
    }
    return matcher_.matches(value) != negated_;
  }

 private:
  const Matcher& matcher_;
  const RegexShape& shape_;
  const bool exact_;
  const bool short_;  // a long list of branches is RE2's business
  const bool negated_;
};

// The n largest, by name where equal; a heap of n whatever is offered.
class Largest {
 public:
  explicit Largest(std::size_t n) : n_(n) {}
  bool wants(std::uint64_t count) const { return n_ > 0 && (kept_.size() < n_ || count >= kept_.front().count); }
  void offer(std::string name, std::uint64_t count) {
    kept_.push_back({std::move(name), count});
    std::push_heap(kept_.begin(), kept_.end(), before);
    if (kept_.size() <= n_) return;
    std::pop_heap(kept_.begin(), kept_.end(), before);
    kept_.pop_back();
  }
  std::vector<model::Count> take() {
    std::sort(kept_.begin(), kept_.end(), before);
    return std::move(kept_);
  }

 private:
  static bool before(const model::Count& a, const model::Count& b) {
    return a.count != b.count ? a.count > b.count : a.name < b.name;
  }
  std::size_t n_;
  std::vector<model::Count> kept_;  // a heap, the smallest in front
};

// Visits pairs of a name and collects the series of those whose value passes.
auto gather_if(const LabelPairs& pairs, const ValueTest& test, IdUnion& out) {
  return [&](std::uint32_t pair) {
    if (test(pairs.value_text(pair))) pairs.gather(out, pair);
  };
}

std::vector<std::string> names_on(const LabelPairs& pairs, const Roaring* ids) {  // null: on any series
  std::vector<std::string> out;
  pairs.each_name([&](std::uint32_t name, std::string_view text) {
    if (ids == nullptr || pairs.having(name).intersect(*ids)) out.emplace_back(text);
  });
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::uint32_t> values_on(const LabelPairs& pairs, std::uint32_t name, const Roaring& ids) {
  std::vector<std::uint32_t> out;
  pairs.each(name, [&](std::uint32_t pair) {
    if (pairs.any_of(pair, ids)) out.push_back(pair);
  });
  pairs.sort_by_value(out);
  return out;
}

model::Cardinality cardinality_of(const LabelPairs& pairs, std::size_t n) {
  Largest metrics(n), values(n), series(n), memory(n);
  std::uint64_t label_pairs = 0;
  pairs.each_name([&](std::uint32_t name, std::string_view text) {
    const bool metric = text == model::metric_name_label;
    std::uint64_t bytes = text.size();
    pairs.each(name, [&](std::uint32_t pair) {
      const std::uint64_t count = pairs.count(pair);
      const std::string_view value = pairs.value_text(pair);
      // The string, what the pair costs, its series; and its place in each of their lists.
      bytes += value.size() + 1 + LabelPairs::pair_bytes + pairs.postings_bytes(pair) + count * sizeof(std::uint32_t);
      if (metric && metrics.wants(count)) metrics.offer(std::string(value), count);
      if (series.wants(count)) series.offer(std::string(text) + "=" + std::string(value), count);
    });
    label_pairs += pairs.value_count(name);
    if (values.wants(pairs.value_count(name))) values.offer(std::string(text), pairs.value_count(name));
    if (memory.wants(bytes)) memory.offer(std::string(text), bytes);
  });
  return {label_pairs, metrics.take(), values.take(), series.take(), memory.take()};
}

}  // namespace

std::uint32_t LabelIndex::pair_of(SeriesId id, std::uint32_t name) const {
  for (const std::uint32_t pair : list(id))
    if (pairs_.name_of(pair) == name) return pair;
  return LabelPairs::none;
}

void LabelIndex::narrow_regex(Roaring& ids, const Matcher& matcher, std::uint32_t name) const {
  const bool negated = matcher.op() == MatchOp::not_regex;
  const Roaring& having = pairs_.having(name);
  // Keeps of `ids` what the regex says, given the series that have the label and match.
  const auto apply = [&](const Roaring& matching) {
    if (negated) {
      if (!matcher.matches_empty()) ids &= having;
      ids -= matching;
    } else if (matcher.matches_empty()) {
      ids -= having - matching;
    } else {
      ids &= matching;
    }
  };
  const RegexShape shape = regex_shape(matcher.value());
  if (shape.everything() || shape.nonempty()) return apply(having);
  const ValueTest matches(matcher, shape);
  const std::uint64_t candidates = ids.cardinality();
  const bool look_up = shape.words() || (shape.prefixed() && shape.branches.size() <= 64);
  if (!look_up && candidates < pairs_.value_count(name)) {
    // Fewer candidates than values: ask each candidate for its value instead of each value for its series.
    std::vector<SeriesId> kept;
    for (const SeriesId id : ids) {
      const std::uint32_t pair = pair_of(id, name);
      const bool keep = pair == LabelPairs::none ? matcher.matches_empty() : matches(pairs_.value_text(pair)) != negated;
      if (keep) kept.push_back(id);
    }
    ids = Roaring(kept.size(), kept.data());
    return;
  }
  IdUnion matching;
  if (!look_up) {
    pairs_.each(name, gather_if(pairs_, matches, matching));
    return apply(matching.take());
  }
  for (const RegexShape::Branch& branch : shape.branches) {
    if (branch.kind == RegexShape::Kind::word) {
      const std::uint32_t pair = pairs_.find(name, branch.text);
      if (pair != LabelPairs::none) pairs_.gather(matching, pair);
      continue;
    }
    pairs_.each_with_prefix(name, branch.text, gather_if(pairs_, matches, matching));
  }
  apply(matching.take());
}

void LabelIndex::narrow(Roaring& ids, const Matcher& matcher) const {
  const std::uint32_t name = pairs_.find_name(matcher.name());
  if (name == LabelPairs::none) {
    if (!matcher.matches_empty()) ids = Roaring();
    return;
  }
  if (matcher.op() == MatchOp::regex || matcher.op() == MatchOp::not_regex) return narrow_regex(ids, matcher, name);
  const bool equal = matcher.op() == MatchOp::equal;
  if (matcher.value().empty()) {  // the label is absent, or is there
    if (equal) ids -= pairs_.having(name);
    else ids &= pairs_.having(name);
    return;
  }
  const std::uint32_t pair = pairs_.find(name, matcher.value());
  if (equal && pair == LabelPairs::none) ids = Roaring();
  else if (equal) pairs_.intersect(ids, pair);
  else if (pair != LabelPairs::none) pairs_.subtract(ids, pair);
}

Roaring LabelIndex::resolve(const model::Matchers& matchers) const {
  std::vector<const Matcher*> order;
  for (const Matcher& m : matchers) order.push_back(&m);
  std::sort(order.begin(), order.end(), [](const Matcher* a, const Matcher* b) {
    return cost(*a) != cost(*b) ? cost(*a) < cost(*b) : a < b;  // as written where equal
  });
  pass_gate();
  ReadLock lock(mutex_);
  Roaring ids = all_;
  for (const Matcher* m : order) {
    if (ids.isEmpty()) break;
    narrow(ids, *m);
  }
  return ids;
}

std::vector<std::string> LabelIndex::label_names(const Roaring& ids) const {
  pass_gate();
  ReadLock lock(mutex_);
  return names_on(pairs_, same_set(ids, all_) ? nullptr : &ids);
}

std::vector<std::string> LabelIndex::label_values(std::string_view name_text, const Roaring& ids) const {
  std::vector<std::string> out;
  pass_gate();
  ReadLock lock(mutex_);
  const std::uint32_t name = pairs_.find_name(name_text);
  if (name == LabelPairs::none) return out;
  std::vector<std::uint32_t> found;
  if (same_set(ids, all_)) {
    found = pairs_.sorted_values(name);
  } else if (ids.cardinality() * 4 < pairs_.value_count(name)) {
    for (const SeriesId id : ids & pairs_.having(name)) found.push_back(pair_of(id, name));
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    pairs_.sort_by_value(found);
  } else {
    found = values_on(pairs_, name, ids);
  }
  out.reserve(found.size());
  for (const std::uint32_t pair : found) out.emplace_back(pairs_.value_text(pair));
  return out;
}

model::Cardinality LabelIndex::cardinality(std::size_t n) const {
  pass_gate();
  ReadLock lock(mutex_);
  return cardinality_of(pairs_, n);
}

}  // namespace plumbline::storage::series
