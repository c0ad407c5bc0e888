#include "query/promql/window_plan.hpp"

#include <algorithm>

#include "query/promql/range_functions.hpp"

namespace plumbline::query::promql {

namespace {

// Times that differ may share it: they are compared before a plan is believed.
std::uint64_t mark_of(std::span<const Sample> samples) {
  std::uint64_t mark = samples.size();
  for (const Sample* s : {&samples.front(), &samples[samples.size() / 2], &samples.back()})
    mark = (mark ^ static_cast<std::uint64_t>(s->t)) * 0x9e37'79b9'7f4a'7c15;
  return mark;
}

}  // namespace

std::shared_ptr<const WindowPlan> WindowPlans::of(std::span<const Sample> samples) {
  if (ends_.size() == 1 || samples.size() > samples_kept_max) return make(samples);
  const std::uint64_t mark = mark_of(samples);
  std::shared_ptr<const Known> known;
  bool full = false;
  {
    Lock lock(mutex_);
    if (const auto at = known_.find(mark); at != known_.end()) known = at->second;
    full = kept_ >= windows_kept_max;
  }
  if (known && std::ranges::equal(samples, known->times, {}, &Sample::t)) return known->plan;
  auto plan = make(samples);
  if (known || full) return plan;
  auto fresh = std::make_shared<Known>();
  fresh->times.reserve(samples.size());
  for (const Sample& s : samples) fresh->times.push_back(s.t);
  fresh->plan = plan;
  Lock lock(mutex_);
  if (known_.try_emplace(mark, std::move(fresh)).second) kept_ += ends_.size() + samples.size() / 2;
  return plan;
}

std::shared_ptr<const WindowPlan> WindowPlans::make(std::span<const Sample> samples) const {
  auto plan = std::make_shared<WindowPlan>(ends_.size());
  std::size_t low = 0, high = 0;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const std::int64_t end = ends_[i];
    // Windows only move forward, so both ends do too.
    while (high < samples.size() && samples[high].t <= end) ++high;
    while (low < high && samples[low].t <= end - range_) ++low;
    PlannedWindow& w = (*plan)[i];
    w.low = static_cast<std::uint32_t>(low);
    w.high = static_cast<std::uint32_t>(high);
    if (rate_ == Rate::none || high - low < 2) continue;
    const Extent extent = extent_of(samples[low].t, samples[high - 1].t, high - low, end, range_);
    w.factor = factor_of(extent, range_, rate_ == Rate::per_second);
    w.limit = extent.to_start / extent.sampled * (1 + 1e-9);  // far beyond what rounding does to either side
  }
  return plan;
}

Result<bool> planned_rates(std::span<const Sample> samples, const WindowPlans& plans, const WindowPlan& plan, bool counter, bool per_second,
                           const std::function<Status()>& tick, Column& out) {
  const std::vector<std::size_t> resets = counter ? counter_resets(samples) : std::vector<std::size_t>{};
  std::size_t reset_low = 0, reset_high = 0;
  std::size_t looked_at = 0;  // resets since the last look at the clock
  bool any = false;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const PlannedWindow& w = plan[i];
    if (w.high - w.low < 2) continue;
    const double first = samples[w.low].v;
    double result = samples[w.high - 1].v - first;
    if (!resets.empty()) {
      // A reset counts when both samples around it are inside.
      while (reset_high < resets.size() && resets[reset_high] < w.high) ++reset_high;
      while (reset_low < reset_high && resets[reset_low] <= w.low) ++reset_low;
      for (std::size_t r = reset_low; r < reset_high; ++r) result += samples[resets[r] - 1].v;
      if ((looked_at += reset_high - reset_low) > 1'000'000) {
        looked_at = 0;
        PLUMBLINE_CHECK_OK(tick());
      }
    }
    double v = result * w.factor;
    // What is close to zero is left to the whole formula: products of tiny numbers are not exact.
    if (counter && result > 0 && first >= 0 && !(first > result * w.limit && first > 1e-290))
      extrapolate({samples[w.low], samples[w.high - 1], w.high - w.low}, result, plans.end(i), plans.range(), counter, per_second, v);
    out.set(i, v);
    any = true;
  }
  return any;
}

}  // namespace plumbline::query::promql
