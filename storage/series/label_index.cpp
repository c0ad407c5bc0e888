#include "storage/series/label_index.hpp"

#include <algorithm>
#include <atomic>

#include "daemon/base/check.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/wire_labels.hpp"

namespace plumbline::storage::series {

using model::Labels;

namespace {

// What a number in the form table is compared by.
template <class Records>
auto has_form(const Records& records, const FormHash& form) {
  return [&](SeriesId id) { return records[id].form == form; };
}

template <class Records>
auto has_labels(const Records& records, const Arena& lists, const LabelPairs& pairs, const Labels& labels) {
  return [&](SeriesId id) {
    const LabelList<const std::uint32_t> l(lists.at(records[id].at));
    if (l.size() != labels.size()) return false;
    const std::uint32_t* pair = l.begin();
    for (const model::Label& label : labels) {
      if (pairs.name_text(*pair) != label.name || pairs.value_text(*pair) != label.value) return false;
      ++pair;
    }
    return true;
  };
}

}  // namespace

static_assert(kv::vshards == 256, "a label list has eight bits for the vshard");

LabelIndex::LabelIndex() : pairs_(key_) {}

// ---- Finder: its lock spans calls, which clang's analysis cannot follow ----------------------------------------------

LabelIndex::Finder::Finder(const LabelIndex& index) PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS : index_(index) {
  index_.pass_gate();
  index_.mutex_.lock_shared();
}

LabelIndex::Finder::~Finder() PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS { index_.mutex_.unlock_shared(); }

SeriesId LabelIndex::Finder::find(std::string_view raw) PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
  const FormHash form = index_.key_.hash(raw);
  const auto& records = index_.records_;
  if (last_ != no_series) {
    const SeriesId guess = std::atomic_ref(records[last_].next).load(std::memory_order_relaxed);
    if (guess < records.size() && records[guess].form == form) return last_ = guess;
  }
  const SeriesId found = index_.find_form(form);
  if (found == no_series) return found;
  if (last_ != no_series) std::atomic_ref(records[last_].next).store(found, std::memory_order_relaxed);
  return last_ = found;
}

std::uint16_t LabelIndex::Finder::vshard(SeriesId id) const PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
  return index_.known(id) ? index_.list(id).vshard() : 0;
}

Labels LabelIndex::Finder::labels(SeriesId id) const PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
  return index_.labels_locked(id);
}

LabelIndex::Finder LabelIndex::finder() const { return Finder(*this); }

// ---- look-up and registration -------------------------------------------------------------------------------------------

LabelIndex::Prepared LabelIndex::prepare(const Labels& labels, std::string_view raw, std::string& scratch) const {
  PLUMBLINE_CHECK(labels.size() <= LabelList<const std::uint32_t>::size_max, "a series of 65,536 labels");
  model::wire_form(labels, scratch);
  Prepared out;
  out.labels = &labels;
  out.canonical = key_.hash(scratch);
  out.raw = raw.empty() || raw == scratch ? out.canonical : key_.hash(raw);
  out.vshard = static_cast<std::uint8_t>(labels.fingerprint() % kv::vshards);
  return out;
}

SeriesId LabelIndex::find_form(const FormHash& form) const {
  const SeriesId found = by_form_.find(form.tag(), has_form(records_, form));
  return found != no_series || more_forms_.size() == 0 ? found : more_forms_.find(form);
}

// Compares the labels themselves: a record may hold the hash of another form.
SeriesId LabelIndex::find_labels(const Prepared& wanted) const {
  return by_form_.find(wanted.canonical.tag(), has_labels(records_, lists_, pairs_, *wanted.labels));
}

LabelIndex::Added LabelIndex::add_locked(const Prepared& wanted) {
  if (const SeriesId known_form = find_form(wanted.raw); known_form != no_series) return {known_form, false};
  if (const SeriesId known_labels = find_labels(wanted); known_labels != no_series) {
    remember_form(known_labels, wanted);
    return {known_labels, false};
  }
  const SeriesId id = next_id_;
  PLUMBLINE_CHECK(id != no_series, "four billion series ids are used up");
  insert(id, wanted);
  return {id, true};
}

void LabelIndex::insert(SeriesId id, const Prepared& made) {
  const auto size = static_cast<std::uint32_t>(made.labels->size());
  Record& record = records_.make(id);
  record.form = made.raw;
  record.at = lists_.put(LabelList<std::uint32_t>::bytes(size));
  const LabelList<std::uint32_t> l(lists_.at(record.at));
  l.start(size, made.vshard);
  last_pairs_.resize(std::max<std::size_t>(last_pairs_.size(), size), LabelPairs::none);
  std::uint32_t* pair = l.begin();
  auto guess = last_pairs_.begin();
  for (const model::Label& label : *made.labels) {
    *pair = *guess = pairs_.intern(label.name, label.value, *guess);
    ++guess;
    pairs_.add(*pair++, id);
  }
  by_form_.add(made.raw.tag(), id);
  if (made.raw != made.canonical) {
    by_form_.add(made.canonical.tag(), id);
    l.set_other_form_first(true);
  }
  all_.add(id);
  next_id_ = std::max(next_id_, id + 1);
}

// The form that came last is the one that comes next, so it is compared first from now on. The one before moves to the alias
// table while there is place for it: a sender of ever new forms costs time, never memory.
void LabelIndex::remember_form(SeriesId id, const Prepared& wanted) {
  Record& record = records_[id];
  const LabelList<std::uint32_t> l(lists_.at(record.at));
  if (l.more_forms() < forms_more_max) {
    more_forms_.add(record.form, id);
    l.set_more_forms(l.more_forms() + 1);
  }
  if (l.other_form_first()) by_form_.remove(record.form.tag(), id);
  if (wanted.raw != wanted.canonical) by_form_.add(wanted.raw.tag(), id);
  l.set_other_form_first(wanted.raw != wanted.canonical);
  record.form = wanted.raw;
}

LabelIndex::Added LabelIndex::add(const Labels& labels, std::string_view raw) {
  const NewSeries one{&labels, raw};
  return add_many({&one, 1}).front();
}

std::vector<LabelIndex::Added> LabelIndex::add_many(std::span<const NewSeries> series) {
  std::vector<Prepared> prepared;
  prepared.reserve(series.size());
  std::string scratch;
  for (const NewSeries& s : series) prepared.push_back(prepare(*s.labels, s.raw, scratch));
  std::vector<Added> out;
  out.reserve(series.size());
  Lock gate(gate_);
  WriteLock lock(mutex_);
  for (const Prepared& p : prepared) out.push_back(add_locked(p));
  return out;
}

Status LabelIndex::restore(SeriesId id, const Labels& labels) {
  if (id == no_series) return fail(Code::corrupt, "series id 4294967295 is not one: " + labels.str());
  if (labels.size() > LabelList<const std::uint32_t>::size_max)
    return fail(Code::corrupt, "series id " + std::to_string(id) + " has " + std::to_string(labels.size()) + " labels");
  std::string scratch;
  const Prepared prepared = prepare(labels, {}, scratch);
  Lock gate(gate_);
  WriteLock lock(mutex_);
  if (known(id))
    return fail(Code::corrupt, "series id " + std::to_string(id) + " is defined twice: " + labels_locked(id).str() +
                                   " and " + labels.str());
  insert(id, prepared);
  return {};
}

void LabelIndex::reserve_ids(SeriesId next) {
  Lock gate(gate_);
  WriteLock lock(mutex_);
  next_id_ = std::max(next_id_, next);
}

// ---- removal ------------------------------------------------------------------------------------------------------------

void LabelIndex::forget_forms(const Roaring& ids) {
  bool aliases = false;
  std::string scratch;
  for (const SeriesId id : ids) {
    by_form_.remove(records_[id].form.tag(), id);
    aliases = aliases || list(id).more_forms() > 0;
    if (!list(id).other_form_first()) continue;
    model::wire_form(labels_locked(id), scratch);
    by_form_.remove(key_.hash(scratch).tag(), id);
  }
  if (aliases) more_forms_.remove(ids);
  by_form_.shrink();
}

void LabelIndex::remove(const Roaring& ids) {
  Lock gate(gate_);
  WriteLock lock(mutex_);
  const Roaring gone = ids & all_;
  if (gone.isEmpty()) return;
  forget_forms(gone);
  std::vector<bool> seen(pairs_.pairs_end());
  std::vector<std::uint32_t> touched;
  for (const SeriesId id : gone) {
    const auto l = list(id);
    for (const std::uint32_t pair : l)
      if (!seen[pair]) {
        seen[pair] = true;
        touched.push_back(pair);
      }
    lists_.drop(LabelList<const std::uint32_t>::bytes(l.size()));
    records_.release(id);
  }
  all_ -= gone;
  pairs_.remove(gone, touched);
  if (lists_.mostly_dead()) compact_lists();
}

void LabelIndex::compact_lists() {
  Arena fresh;
  for (const SeriesId id : all_) {
    const auto l = list(id);
    const std::uint32_t to = fresh.put(LabelList<const std::uint32_t>::bytes(l.size()));
    std::copy(l.begin() - 1, l.end(), fresh.at(to));
    records_[id].at = to;
  }
  lists_ = std::move(fresh);
}

// ---- what is known ------------------------------------------------------------------------------------------------------

Labels LabelIndex::labels_locked(SeriesId id) const {
  if (!known(id)) return {};
  const auto l = list(id);
  std::vector<model::Label> out;
  out.reserve(l.size());
  for (const std::uint32_t pair : l)
    out.push_back({std::string(pairs_.name_text(pair)), std::string(pairs_.value_text(pair))});
  return Labels::trusted(std::move(out));
}

Labels LabelIndex::labels(SeriesId id) const {
  pass_gate();
  ReadLock lock(mutex_);
  return labels_locked(id);
}

std::vector<Labels> LabelIndex::labels_of(std::span<const SeriesId> ids) const {
  std::vector<Labels> out;
  out.reserve(ids.size());
  pass_gate();
  ReadLock lock(mutex_);
  for (const SeriesId id : ids) out.push_back(labels_locked(id));
  return out;
}

SeriesId LabelIndex::find(const Labels& labels) const {
  std::string scratch;
  const Prepared wanted = prepare(labels, {}, scratch);
  pass_gate();
  ReadLock lock(mutex_);
  return find_labels(wanted);
}

bool LabelIndex::contains(SeriesId id) const {
  pass_gate();
  ReadLock lock(mutex_);
  return known(id);
}

SeriesId LabelIndex::first_unknown(std::span<const SeriesRun> runs) const {
  pass_gate();
  ReadLock lock(mutex_);
  for (const SeriesRun& run : runs)
    if (!known(run.id)) return run.id;
  return no_series;
}

std::vector<SeriesRef> LabelIndex::refs(const Roaring& ids) const {
  std::vector<SeriesRef> out;
  out.reserve(ids.cardinality());
  {
    pass_gate();
    ReadLock lock(mutex_);
    for (const SeriesId id : ids)
      if (known(id)) out.push_back({list(id).vshard(), id});
  }
  std::sort(out.begin(), out.end());
  return out;
}

// By the numbers of their pairs: not the order of texts, but siblings come together all the same.
std::vector<SeriesRef> LabelIndex::label_order(const Roaring& ids) const {
  std::vector<SeriesRef> out = refs(ids);
  pass_gate();
  ReadLock lock(mutex_);
  std::sort(out.begin(), out.end(), [this](const SeriesRef& a, const SeriesRef& b) PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
    if (a.vshard != b.vshard) return a.vshard < b.vshard;
    const auto x = list(a.id), y = list(b.id);
    return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
  });
  return out;
}

std::uint16_t LabelIndex::vshard(SeriesId id) const {
  pass_gate();
  ReadLock lock(mutex_);
  return known(id) ? list(id).vshard() : 0;
}

SeriesId LabelIndex::next_id() const {
  pass_gate();
  ReadLock lock(mutex_);
  return next_id_;
}

Roaring LabelIndex::all() const {
  pass_gate();
  ReadLock lock(mutex_);
  return all_;
}

std::size_t LabelIndex::size() const {
  pass_gate();
  ReadLock lock(mutex_);
  return all_.cardinality();
}

void LabelIndex::visit_metrics(std::span<const SeriesId> ids, const std::function<void(std::size_t, std::string_view)>& visit) const {
  pass_gate();
  ReadLock lock(mutex_);
  const std::uint32_t name = pairs_.find_name(model::metric_name_label);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!known(ids[i])) continue;
    const std::uint32_t pair = name == LabelPairs::none ? LabelPairs::none : pair_of(ids[i], name);
    visit(i, pair == LabelPairs::none ? std::string_view() : pairs_.value_text(pair));
  }
}

std::uint32_t LabelIndex::series_of_metric(std::string_view metric) const {
  pass_gate();
  ReadLock lock(mutex_);
  const std::uint32_t name = pairs_.find_name(model::metric_name_label);
  if (name == LabelPairs::none) return 0;
  const std::uint32_t pair = pairs_.find(name, metric);
  return pair == LabelPairs::none ? 0 : pairs_.count(pair);
}

std::size_t LabelIndex::memory_bytes() const {
  pass_gate();
  ReadLock lock(mutex_);
  return sizeof *this + records_.bytes() + by_form_.bytes() + more_forms_.bytes() + lists_.bytes() + pairs_.bytes() +
         all_.getSizeInBytes();
}

}  // namespace plumbline::storage::series
