#include "storage/series/head.hpp"

#include <algorithm>
#include <functional>

namespace plumbline::storage::series {

using model::Sample;
using model::TimeRange;

namespace {
constexpr std::size_t pages_between_asking = 16;

void widen(std::atomic<std::int64_t>& bound, std::int64_t t, auto beyond) {
  std::int64_t known = bound.load(std::memory_order_relaxed);
  while (beyond(t, known) && !bound.compare_exchange_weak(known, t, std::memory_order_relaxed)) {
  }
}
}  // namespace

Head::Head(std::uint64_t seal_number)
    : seal_number_(seal_number), directories_(std::make_unique<std::array<std::atomic<Directory*>, fan_out>>()) {}

Head::~Head() {
  for (auto& directory : *directories_) {
    Directory* d = directory.load(std::memory_order_relaxed);
    if (d == nullptr) continue;
    for (auto& page : d->pages) delete page.load(std::memory_order_relaxed);
    delete d;
  }
}

HeadPage* Head::find(SeriesId id) const {
  const std::uint32_t page = id / page_series;
  const Directory* d = (*directories_)[page / fan_out].load(std::memory_order_acquire);
  return d == nullptr ? nullptr : d->pages[page % fan_out].load(std::memory_order_acquire);
}

HeadPage& Head::page(SeriesId id) {
  // Whoever loses the race to install drops its own.
  const auto install = [](auto& slot) -> auto& {
    auto* found = slot.load(std::memory_order_acquire);
    if (found != nullptr) return *found;
    auto fresh = std::make_unique<std::remove_pointer_t<decltype(found)>>();
    if (slot.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) found = fresh.release();
    return *found;
  };
  const std::uint32_t page = id / page_series;
  return install(install((*directories_)[page / fan_out]).pages[page % fan_out]);
}

template <class Sample>
TimeRange Head::append_all(std::span<const SeriesRun> runs, std::span<const Sample> samples) {
  std::uint64_t fresh = 0;
  std::uint64_t stored = 0;
  std::uint64_t grown = 0;
  TimeRange seen{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  for (std::size_t i = 0; i < runs.size();) {
    const std::uint32_t number = runs[i].id / page_series;
    HeadPage& at = page(runs[i].id);
    Lock lock(at.mutex());
    for (; i < runs.size() && runs[i].id / page_series == number; ++i) {
      const SeriesRun& run = runs[i];
      for (const Sample& s : samples.subspan(run.first, run.count)) {
        fresh += at.append(run.id % page_series, s);
        seen.min = std::min(seen.min, s.t);
        seen.max = std::max(seen.max, s.t);
      }
      stored += run.count;
    }
    grown += at.take_growth();
  }
  if (fresh > 0) series_.fetch_add(fresh, std::memory_order_relaxed);
  samples_.fetch_add(stored, std::memory_order_relaxed);
  bytes_.fetch_add(grown, std::memory_order_relaxed);
  widen(min_t_, seen.min, std::less<>());
  widen(max_t_, seen.max, std::greater<>());
  return seen;
}

TimeRange Head::append(std::span<const SeriesRun> runs, std::span<const Sample> samples) { return append_all(runs, samples); }
TimeRange Head::append(std::span<const SeriesRun> runs, std::span<const model::HistogramSample> samples) {
  return append_all(runs, samples);
}

bool Head::read(SeriesId id, TimeRange range, std::vector<Sample>& out, std::vector<model::HistogramSample>& histograms) const {
  const HeadPage* at = find(id);
  if (at == nullptr) return false;
  const std::size_t before = out.size() + histograms.size();
  Lock lock(at->mutex());
  at->read(id % page_series, range, out, histograms);
  return out.size() + histograms.size() > before;
}

Result<Roaring> Head::present(const Roaring& ids, TimeRange range, const std::function<Status()>& go_on) const {
  Roaring out;
  std::size_t pages = 0;
  // One lock for the neighbours of a page.
  for (auto it = ids.begin(), end = ids.end(); it != end;) {
    const SeriesId number = *it / page_series;
    const HeadPage* at = find(*it);
    if (at == nullptr) {
      if (number == std::numeric_limits<SeriesId>::max() / page_series) break;
      it.equalorlarger((number + 1) * page_series);
      continue;
    }
    if (go_on && pages++ % pages_between_asking == 0) PLUMBLINE_CHECK_OK(go_on());
    Lock lock(at->mutex());
    for (; it != end && *it / page_series == number; ++it)
      if (at->any(*it % page_series, range)) out.add(*it);
  }
  return out;
}

bool Head::holds(SeriesId id) const {
  const HeadPage* at = find(id);
  if (at == nullptr) return false;
  Lock lock(at->mutex());
  return at->holds(id % page_series);
}

Roaring Head::ids() const {
  Roaring out;
  for (std::uint32_t d = 0; d < fan_out; ++d) {
    const Directory* directory = (*directories_)[d].load(std::memory_order_acquire);
    if (directory == nullptr) continue;
    for (std::uint32_t p = 0; p < fan_out; ++p) {
      const HeadPage* at = directory->pages[p].load(std::memory_order_acquire);
      if (at == nullptr) continue;
      Lock lock(at->mutex());
      for (std::uint32_t slot = 0; slot < page_series; ++slot)
        if (at->holds(slot)) out.add((d * static_cast<std::uint32_t>(fan_out) + p) * page_series + slot);
    }
  }
  return out;
}

}  // namespace plumbline::storage::series
