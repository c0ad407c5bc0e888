#include "query/promql/sliding.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace plumbline::query::promql {

bool Sliding::supports(Fn fn) {
  switch (fn) {
    case Fn::sum_over_time:
    case Fn::avg_over_time:
    case Fn::min_over_time:
    case Fn::max_over_time:
    case Fn::ts_of_min_over_time:
    case Fn::ts_of_max_over_time:
    case Fn::quantile_over_time: return true;
    default: return false;
  }
}

bool Sliding::at(std::size_t low, std::size_t high, std::int64_t end, double q, double& out) {
  bool done = false;
  switch (fn_) {
    case Fn::sum_over_time:
    case Fn::avg_over_time: done = sum(low, high, end, out); break;
    case Fn::quantile_over_time: done = quantile(low, high, q, out); break;
    default: done = extreme(low, high, out); break;
  }
  low_ = low;
  high_ = high;
  return done;
}

bool Sliding::extreme(std::size_t low, std::size_t high, double& out) {
  const bool least = fn_ == Fn::min_over_time || fn_ == Fn::ts_of_min_over_time;
  const bool timestamp = fn_ == Fn::ts_of_min_over_time || fn_ == Fn::ts_of_max_over_time;
  // Of equal values the first one counts, of timestamps the last.
  const auto beats = [&](double a, double b) {
    if (timestamp && a == b) return true;
    return least ? a < b : a > b;
  };
  for (std::size_t i = std::max(low, high_); i < high; ++i) {
    if (std::isnan(samples_[i].v)) continue;
    while (best_.size() > best_first_ && beats(samples_[i].v, samples_[best_.back()].v)) best_.pop_back();
    best_.push_back(i);
  }
  while (best_first_ < best_.size() && best_[best_first_] < low) ++best_first_;
  if (best_first_ > 1024 && best_first_ * 2 > best_.size()) {
    best_.erase(best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(best_first_));
    best_first_ = 0;
  }
  const Sample& found = best_first_ < best_.size() ? samples_[best_[best_first_]] : samples_[high - 1];  // all of them NaN
  out = timestamp ? static_cast<double>(found.t) / 1000 : found.v;
  return true;
}

void Sliding::begin_at_cut(std::size_t low, std::size_t high, std::int64_t end) {
  const std::int64_t cut = end - (end % range_ + range_) % range_;
  next_cut_ = cut + range_;
  std::size_t middle = low;
  while (middle < high && samples_[middle].t <= cut) ++middle;
  tails_from_ = low;
  tails_.resize(middle - low + 1);
  KahanSum tail;
  tails_.back() = tail;
  for (std::size_t i = middle; i-- > low;) {
    tail.add(samples_[i].v);
    tails_[i - low] = tail;
  }
  front_ = {};
  front_to_ = middle;
}

bool Sliding::sum(std::size_t low, std::size_t high, std::int64_t end, double& out) {
  if (end >= next_cut_) begin_at_cut(low, high, end);
  KahanSum front = front_;
  for (std::size_t i = front_to_; i < high; ++i) front.add(samples_[i].v);
  front_ = front;
  front_to_ = high;
  KahanSum all = tails_[low - tails_from_];
  // Added up in order it might pass the largest number on its way.
  static constexpr double large = 1e292;
  if (!(std::fabs(all.sum) < large && std::fabs(front.sum) < large)) return false;
  all.add(front.sum);
  all.lost += front.lost;
  const double total = all.total();
  if (!std::isfinite(total)) return false;  // infinities and NaN that come and go: their order matters
  out = fn_ == Fn::sum_over_time ? total : all.sum / static_cast<double>(high - low) + all.lost / static_cast<double>(high - low);
  return true;
}

bool Sliding::quantile(std::size_t low, std::size_t high, double q, double& out) {
  const auto place = [&](double v) { return std::lower_bound(sorted_.begin(), sorted_.end(), v, nan_first_less); };
  const std::size_t kept_from = std::min(std::max(low, low_), high_), fresh_from = std::max(low, high_);
  // A change moves half of the values (0.4 ns each), sorting takes some 5 ns a value and level.
  const auto levels = static_cast<std::size_t>(std::bit_width(high - low));
  if (high - fresh_from + kept_from - low_ > std::min((high - low) / 2, 8 * levels)) {
    sorted_.clear();
    for (std::size_t i = low; i < high; ++i) sorted_.push_back(samples_[i].v);
    std::sort(sorted_.begin(), sorted_.end(), nan_first_less);
  } else {
    for (std::size_t i = low_; i < kept_from; ++i) sorted_.erase(place(samples_[i].v));
    for (std::size_t i = fresh_from; i < high; ++i) sorted_.insert(place(samples_[i].v), samples_[i].v);
  }
  out = quantile_of_sorted(q, sorted_);
  return true;
}

}  // namespace plumbline::query::promql
