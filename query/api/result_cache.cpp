#include "query/api/result_cache.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "query/promql/ast.hpp"
#include "query/promql/evaluator.hpp"

namespace plumbline::query {

namespace {

// A single answer may take this part of the cache, or one large one would drive out all others at every refresh.
constexpr std::uint64_t share_max = 4;

// The whole text, not its canonical form: annotations name places in it.
std::string key_of(const RangeAsked& asked) {
  const std::int64_t phase = (asked.start_ms % asked.step_ms + asked.step_ms) % asked.step_ms;
  return fmt::format("{} {} {} {}", asked.step_ms, phase, asked.lookback_ms, asked.expression);
}

template <class Points>
void append(const Points& from, std::int64_t first, std::int64_t last, Points& to) {
  const auto begin = std::ranges::lower_bound(from, first, {}, [](const auto& p) { return p.t; });
  const auto end = std::ranges::upper_bound(begin, from.end(), last, {}, [](const auto& p) { return p.t; });
  to.insert(to.end(), begin, end);
}

// The part of a series inside of [first, last] is put before what `to` has.
MatrixSeries joined(const MatrixSeries& before, std::int64_t first, std::int64_t last, MatrixSeries* after) {
  MatrixSeries out{before.labels, {}, {}};
  append(before.samples, first, last, out.samples);
  append(before.histograms, first, last, out.histograms);
  if (after == nullptr) return out;
  out.samples.insert(out.samples.end(), after->samples.begin(), after->samples.end());
  std::ranges::move(after->histograms, std::back_inserter(out.histograms));
  return out;
}

// Both are sorted by labels.
Matrix join(const Matrix& before, std::int64_t first, std::int64_t last, Matrix after) {
  Matrix out;
  out.reserve(std::max(before.size(), after.size()));
  auto next = after.begin();
  for (const MatrixSeries& series : before) {
    for (; next != after.end() && next->labels < series.labels; ++next) out.push_back(std::move(*next));
    MatrixSeries* const same = next != after.end() && next->labels == series.labels ? &*next++ : nullptr;
    MatrixSeries whole = joined(series, first, last, same);
    if (!whole.samples.empty() || !whole.histograms.empty()) out.push_back(std::move(whole));
  }
  std::move(next, after.end(), std::back_inserter(out));
  return out;
}

std::uint64_t bytes_of(const Matrix& matrix) {
  std::uint64_t bytes = matrix.capacity() * sizeof(MatrixSeries);
  for (const MatrixSeries& s : matrix) {
    bytes += s.samples.size() * sizeof(model::Sample);
    for (const model::Label& l : s.labels) bytes += sizeof(l) + l.name.size() + l.value.size();
    for (const model::HistogramSample& h : s.histograms) bytes += model::samples_worth(h.h) * sizeof(model::Sample);
  }
  return bytes;
}

// Offsets and ranges are the same at every step, so that the distance from the first one is that of any.
std::optional<std::int64_t> before(std::int64_t start_ms, std::optional<std::int64_t> other) {
  return other ? std::optional(start_ms - *other) : std::nullopt;
}

// The earliest time that changed since `moment` for any of the selectors' metrics: each names one.
std::int64_t changed_since(const storage::Reader& reader, std::uint64_t moment, const std::vector<const promql::Selector*>& selectors) {
  std::int64_t changed = std::numeric_limits<std::int64_t>::max();
  for (const promql::Selector* s : selectors)
    for (const model::Matcher& m : s->matchers)
      if (m.name() == model::metric_name_label) changed = std::min(changed, reader.changed_since(moment, m.value()));
  return changed;
}

// Whether the series of an expression's selectors that match now are cut into as many parts. One that is not among them (what info() looks for)
// is not known to be.
bool cut_alike(const storage::Reader& reader, const std::vector<const promql::Selector*>& selectors, const std::vector<SelectorParts>& kept) {
  return std::ranges::all_of(kept, [&](const SelectorParts& k) {
    if (k.parts == 0) return true;
    const auto same = std::ranges::find_if(selectors, [&](const promql::Selector* s) { return promql::selector_text(s->matchers) == k.selector; });
    return same != selectors.end() && k.parts == reader.parts_of((*same)->matchers);
  });
}

}  // namespace

ResultCache::ResultCache(const storage::Reader& reader, std::uint64_t bytes_max, Registry* registry)
    : reader_(reader), bytes_max_(bytes_max) {
  if (registry == nullptr) return;
  const auto counter = [&](const char* name, const char* help) { return &registry->counter(name, help); };
  hits_ = counter("plumbline_query_result_cache_hits_total", "Range queries of which a part was known.");
  misses_ = counter("plumbline_query_result_cache_misses_total", "Range queries of which nothing was known, though it might have been.");
  steps_ = counter("plumbline_query_result_cache_steps_total", "Steps that were known, and not evaluated.");
  evictions_ = counter("plumbline_query_result_cache_evictions_total", "Answers that were dropped for others.");
}

Result<Answer> ResultCache::answer(const RangeAsked& asked, const Evaluate& evaluate) {
  const bool sound = asked.step_ms > 0 && asked.start_ms <= asked.end_ms;
  const auto whole = [&] { return evaluate(asked.start_ms, asked.end_ms); };
  if (bytes_max_ == 0 || !sound) return whole();
  const Result<promql::ExprPtr> e = promql::parse(asked.expression);
  if (!e || promql::type_of(**e) != promql::Type::vector || !promql::cacheable(**e)) return whole();
  const std::vector<const promql::Selector*> selectors = promql::selectors_of(**e);
  std::string key = key_of(asked);
  const std::int64_t last = asked.end_ms - (asked.end_ms - asked.start_ms) % asked.step_ms;
  // Before anything is read or asked: what comes in the meantime counts as a change.
  const std::uint64_t moment = reader_.moment();
  const std::shared_ptr<const Kept> kept = find(key);
  // The last step that is known and still holds.
  const std::int64_t none = asked.start_ms - asked.step_ms;
  std::int64_t known = none;
  if (kept && kept->start_ms <= asked.start_ms && kept->end_ms >= asked.start_ms) {
    const std::int64_t changed = changed_since(reader_, kept->moment, selectors);
    std::int64_t until = std::min(kept->end_ms, last);
    if (changed <= until) until = changed <= asked.start_ms ? known : changed - 1 - (changed - 1 - asked.start_ms) % asked.step_ms;
    known = std::max(known, until);
  }
  const auto tell = [&](std::int64_t until) {
    const auto steps = static_cast<std::uint64_t>((until - asked.start_ms) / asked.step_ms + 1);
    if (Counter* const told = steps > 0 ? hits_ : misses_; told != nullptr) told->add();
    if (steps_ != nullptr) steps_->add(steps);
  };

  // Series that came or went may have moved others from one part to another. What is evaluated says into how many they are cut.
  const bool in_parts = promql::adds_parts(**e);
  if (known == last && in_parts && !cut_alike(reader_, selectors, kept->parts)) known = none;
  if (known == last) {
    tell(known);
    return Answer{join(kept->matrix, asked.start_ms, known, {}), {}, {}, before(asked.start_ms, kept->reach_ms), {}};
  }
  Result<Answer> answer = evaluate(known + asked.step_ms, asked.end_ms);
  if (known != none) {
    // What an error or an annotation says may depend on more than the steps that are new.
    const bool plain = answer ? answer->warnings.empty() && answer->infos.empty() : answer.error().code != Code::execution;
    const bool same_parts = !answer || !in_parts || answer->parts == kept->parts;
    if (!plain || !same_parts) {
      known = none;
      answer = whole();
    }
  }
  auto* const fresh = answer ? std::get_if<Matrix>(&answer->value) : nullptr;
  if (fresh == nullptr) return answer;
  tell(known);
  if (known != none) {
    *fresh = join(kept->matrix, asked.start_ms, known, std::move(*fresh));
    answer->reads_since = before(asked.start_ms, kept->reach_ms);
  }
  if (!answer->warnings.empty() || !answer->infos.empty()) return answer;
  if (in_parts && std::ranges::find(answer->parts, parts_mixed, &SelectorParts::parts) != answer->parts.end()) return answer;
  const std::vector<SelectorParts> parts = in_parts ? answer->parts : std::vector<SelectorParts>();
  std::uint64_t bytes = bytes_of(*fresh) + 2 * key.size() + 256;
  for (const SelectorParts& p : parts) bytes += sizeof(p) + p.selector.size();
  if (bytes <= bytes_max_ / share_max)
    put(std::move(key), std::make_shared<const Kept>(Kept{asked.start_ms, last, moment, before(asked.start_ms, answer->reads_since), parts,
                                                          *fresh, bytes}));
  return answer;
}

std::shared_ptr<const ResultCache::Kept> ResultCache::find(const std::string& key) {
  Lock lock(mutex_);
  const auto at = places_.find(key);
  if (at == places_.end()) return nullptr;
  used_.splice(used_.begin(), used_, at->second);
  return at->second->kept;
}

void ResultCache::drop(std::list<Entry>::iterator entry, std::list<Entry>& dropped) {
  bytes_ -= entry->kept->bytes;
  places_.erase(entry->key);
  dropped.splice(dropped.begin(), used_, entry);
}

void ResultCache::put(std::string key, std::shared_ptr<const Kept> kept) {
  std::list<Entry> dropped;
  Lock lock(mutex_);
  if (const auto at = places_.find(key); at != places_.end()) {
    // Of two that were evaluated at a time, the one that knows of more changes.
    if (at->second->kept->moment > kept->moment) return;
    drop(at->second, dropped);
  }
  bytes_ += kept->bytes;
  used_.push_front({std::move(key), std::move(kept)});
  places_.emplace(used_.front().key, used_.begin());
  while (bytes_ > bytes_max_) {
    drop(std::prev(used_.end()), dropped);
    if (evictions_ != nullptr) evictions_->add();
  }
}

std::uint64_t ResultCache::bytes() const {
  Lock lock(mutex_);
  return bytes_;
}

}  // namespace plumbline::query
