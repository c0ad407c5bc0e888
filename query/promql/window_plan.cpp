#include "query/promql/window_plan.hpp"

#include <algorithm>

#include "query/promql/range_functions.hpp"

namespace plumbline::query::promql {

namespace {

// A piece keeps all times of its chunk, some 480 of them, in windows.
constexpr std::size_t piece_worth = 160;

// Times that differ may share it: they are compared before a plan is believed.
std::uint64_t mark_of(std::size_t count, std::int64_t first, std::int64_t last) {
  std::uint64_t mark = count;
  for (const std::int64_t t : {first, last}) mark = (mark ^ static_cast<std::uint64_t>(t)) * 0x9e37'79b9'7f4a'7c15;
  return mark;
}

// The window joins the last run, or begins one.
void add_to_runs(WindowPlan& plan, std::size_t window) {
  const auto i = static_cast<std::uint32_t>(window);
  if (!plan.runs.empty()) {
    WindowPlan::Run& run = plan.runs.back();
    const bool next = run.window + run.count == i;
    const std::uint32_t stride = next ? plan.low[i] - plan.low[i - 1] : 0;
    if (next && plan.high[i] - plan.high[i - 1] == stride && (run.count == 1 || run.stride == stride)) {
      ++run.count;
      run.stride = stride;
      return;
    }
  }
  plan.runs.push_back({i, 1, 0});
}

bool same_pieces(std::span<const storage::TimesPiece> a, std::span<const storage::TimesPiece> b) {
  return std::ranges::equal(a, b, [](const storage::TimesPiece& l, const storage::TimesPiece& r) {
    return l.held && r.held && l.times.data() == r.times.data() && l.times.size() == r.times.size();
  });
}

bool same_times(std::span<const storage::TimesPiece> pieces, std::span<const std::int64_t> times) {
  for (const storage::TimesPiece& piece : pieces) {
    if (!std::ranges::equal(piece.times, times.first(piece.times.size()))) return false;
    times = times.subspan(piece.times.size());
  }
  return times.empty();
}

}  // namespace

std::shared_ptr<const WindowPlan> WindowPlans::of(std::span<const Sample> samples) {
  if (samples.empty()) return make({});
  const auto same = [&](const Known& known) { return std::ranges::equal(samples, known.plan->times, {}, &Sample::t); };
  const auto times = [&] {
    std::vector<std::int64_t> out(samples.size());
    std::ranges::transform(samples, out.begin(), &Sample::t);
    return out;
  };
  return known_or_made(samples.size(), samples.front().t, samples.back().t, same, times, {});
}

std::shared_ptr<const WindowPlan> WindowPlans::of(std::span<const storage::TimesPiece> pieces) {
  std::size_t count = 0;
  bool held = true;
  for (const storage::TimesPiece& piece : pieces) {
    count += piece.times.size();
    held = held && piece.held;
  }
  if (count == 0) return make({});
  const auto same = [&](const Known& known) {
    return same_pieces(pieces, known.pieces) || (count == known.plan->times.size() && same_times(pieces, known.plan->times));
  };
  const auto times = [&] {
    std::vector<std::int64_t> out;
    out.reserve(count);
    for (const storage::TimesPiece& piece : pieces) out.insert(out.end(), piece.times.begin(), piece.times.end());
    return out;
  };
  return known_or_made(count, pieces.front().times.front(), pieces.back().times.back(), same, times,
                       held ? pieces : std::span<const storage::TimesPiece>());
}

template <class Same, class Times>
std::shared_ptr<const WindowPlan> WindowPlans::known_or_made(std::size_t count, std::int64_t first, std::int64_t last, const Same& same,
                                                             const Times& times, std::span<const storage::TimesPiece> pieces) {
  if (ends_.size() == 1 || count > samples_kept_max) return make(times());
  const std::uint64_t mark = mark_of(count, first, last);
  std::shared_ptr<const Known> known;
  {
    Lock lock(mutex_);
    if (const auto at = known_.find(mark); at != known_.end()) known = at->second;
  }
  if (known && same(*known)) return known->plan;
  auto plan = make(times());
  if (known) return plan;
  auto fresh = std::make_shared<const Known>(Known{plan, {pieces.begin(), pieces.end()}});
  Lock lock(mutex_);
  if (kept_ < windows_kept_max && known_.try_emplace(mark, std::move(fresh)).second)
    kept_ += ends_.size() + plan->times.size() / 3 + pieces.size() * piece_worth + 8;
  return plan;
}

std::shared_ptr<const WindowPlan> WindowPlans::make(std::vector<std::int64_t> times) const {
  auto plan = std::make_shared<WindowPlan>();
  plan->low.resize(ends_.size());
  plan->high.resize(ends_.size());
  if (rate_ != Rate::none) {
    plan->factor.resize(ends_.size());
    plan->limit.resize(ends_.size());
  }
  std::size_t low = 0, high = 0;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const std::int64_t end = ends_[i];
    // Windows only move forward, so both ends do too.
    while (high < times.size() && times[high] <= end) ++high;
    while (low < high && times[low] <= end - range_) ++low;
    plan->low[i] = static_cast<std::uint32_t>(low);
    plan->high[i] = static_cast<std::uint32_t>(high);
    if (rate_ == Rate::none || high - low < 2) continue;
    const Extent extent = extent_of(times[low], times[high - 1], high - low, end, range_);
    plan->factor[i] = factor_of(extent, range_, rate_ == Rate::per_second);
    plan->limit[i] = extent.to_start / extent.sampled * (1 + 1e-9);  // far beyond what rounding does to either side
    add_to_runs(*plan, i);
  }
  plan->times = std::move(times);
  return plan;
}

namespace {

// One series' values, and what is made of them.
struct Rates {
  std::span<const double> values;
  const WindowPlan& plan;
  bool counter = false;
  Column& out;

  // Whether extrapolation may stop where the counter would be zero: the whole formula says, products of tiny numbers are not exact.
  bool near_zero(std::size_t window, double first, double result) const {
    return counter & (result > 0) & (first >= 0) & !((first > result * plan.limit[window]) & (first > 1e-290));
  }
  // Windows [window, window + count) of a run without resets. False: one of them is near zero, and none has its value. The loop has no
  // branches, so that compilers make vectors of it where the stride is one.
  template <std::uint32_t stride>
  bool plain(std::size_t window, std::size_t count, std::size_t any_stride) const {
    const std::size_t by = stride != 0 ? stride : any_stride;
    const double* const first = values.data() + plan.low[window];
    const double* const last = values.data() + plan.high[window] - 1;
    const double* const factor = plan.factor.data() + window;
    const double* const limit = plan.limit.data() + window;
    double* const __restrict to = out.values.data() + window;
    double near = 0;  // a flag as wide as what is compared: with another type there are no vectors
    for (std::size_t i = 0; i < count; ++i) {
      const double from = first[i * by], result = last[i * by] - from;
      to[i] = result * factor[i];
      near = ((result > 0) & (from >= 0) & !((from > result * limit[i]) & (from > 1e-290))) ? 1.0 : near;
    }
    return near == 0 || !counter;
  }
};

bool any_reset(std::span<const double> values) {
  double any = 0;  // as above
  const double* const v = values.data();
  for (std::size_t i = 1; i < values.size(); ++i) any = v[i] < v[i - 1] ? 1.0 : any;
  return any != 0;
}

}  // namespace

Result<bool> planned_rates(std::span<const double> values, const WindowPlans& plans, const WindowPlan& plan, bool counter, bool per_second,
                           const std::function<Status()>& tick, Column& out) {
  const std::vector<std::size_t> resets = counter && any_reset(values) ? counter_resets(values) : std::vector<std::size_t>{};
  std::size_t reset_low = 0, reset_high = 0;
  std::size_t looked_at = 0;  // resets since the last look at the clock
  const Rates rates{values, plan, counter, out};
  const auto window = [&](std::size_t i) -> Status {
    const std::uint32_t low = plan.low[i], high = plan.high[i];
    const double first = values[low], last = values[high - 1];
    double result = last - first;
    if (!resets.empty()) {
      // A reset counts when both samples around it are inside.
      while (reset_high < resets.size() && resets[reset_high] < high) ++reset_high;
      while (reset_low < reset_high && resets[reset_low] <= low) ++reset_low;
      for (std::size_t r = reset_low; r < reset_high; ++r) result += values[resets[r] - 1];
      if ((looked_at += reset_high - reset_low) > 1'000'000) {
        looked_at = 0;
        PLUMBLINE_CHECK_OK(tick());
      }
    }
    double v = result * plan.factor[i];
    if (rates.near_zero(i, first, result))
      extrapolate({{plan.times[low], first}, {plan.times[high - 1], last}, high - low}, result, plans.end(i), plans.range(), counter, per_second,
                  v);
    out.values[i] = v;
    return {};
  };
  for (const WindowPlan::Run& run : plan.runs) {
    std::fill_n(out.present.begin() + run.window, run.count, std::uint8_t{1});
    // In pieces: a young counter is near zero in its first windows only.
    constexpr std::size_t at_once = 64;
    for (std::size_t from = run.window; from < run.window + run.count; from += at_once) {
      const std::size_t count = std::min<std::size_t>(at_once, run.window + run.count - from);
      if (resets.empty() && (run.stride == 1 ? rates.plain<1>(from, count, 1) : rates.plain<0>(from, count, run.stride))) continue;
      for (std::size_t i = from; i < from + count; ++i) PLUMBLINE_CHECK_OK(window(i));
    }
  }
  return !plan.runs.empty();
}

}  // namespace plumbline::query::promql
