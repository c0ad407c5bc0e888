#include "query/promql/fold.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace plumbline::query::promql {

namespace {

// Every step has a value. (One byte each, 0 or 1.)
bool dense(const std::vector<std::uint8_t>& present) { return std::memchr(present.data(), 0, present.size()) == nullptr; }

// KahanSum::add() at every step, without branches for the compiler to stumble over: what a finite sum loses is the same number by Knuth's
// formula, and what an infinite one has lost is never looked at.
void add_dense(std::vector<double>& sums, std::vector<double>& lost, const std::vector<double>& values) {
  double* const sum = sums.data();
  double* const rest = lost.data();
  const double* const value = values.data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double before = sum[i], v = value[i];
    const double after = before + v;
    const double added = after - before;
    rest[i] += (before - (after - added)) + (v - added);
    sum[i] = after;
  }
}

}  // namespace

Fold::Fold(Tok op, std::size_t steps) : op_(op), counts_(steps) {
  switch (op) {
    case Tok::sum:
      values_.assign(steps, 0);
      others_.assign(steps, 0);
      break;
    case Tok::avg: means_.resize(steps); break;
    case Tok::min:
    case Tok::max: values_.assign(steps, nan_value); break;
    case Tok::stddev:
    case Tok::stdvar:
      values_.assign(steps, 0);
      others_.assign(steps, 0);
      break;
    default: break;
  }
}

void Fold::add(const Column& column) {
  const std::vector<double>& v = column.values;
  const std::vector<std::uint8_t>& present = column.present;
  const std::size_t steps = counts_.size();
  const auto each = [&](const auto& take) {
    for (std::size_t i = 0; i < steps; ++i)
      if (present[i]) take(i, v[i]);
  };
  switch (op_) {
    case Tok::sum:
      if (dense(present))
        add_dense(values_, others_, v);
      else
        each([&](std::size_t i, double x) {
          KahanSum sum{values_[i], others_[i]};
          sum.add(x);
          values_[i] = sum.sum;
          others_[i] = sum.lost;
        });
      break;
    case Tok::avg: each([&](std::size_t i, double x) { means_[i].add(x); }); break;
    case Tok::min:
      each([&](std::size_t i, double x) {
        if (values_[i] > x || std::isnan(values_[i])) values_[i] = x;
      });
      break;
    case Tok::max:
      each([&](std::size_t i, double x) {
        if (values_[i] < x || std::isnan(values_[i])) values_[i] = x;
      });
      break;
    case Tok::stddev:
    case Tok::stdvar:
      each([&](std::size_t i, double x) {
        if (counts_[i] == 0) {  // an infinite first value makes the group NaN
          others_[i] = x;
          values_[i] = std::isfinite(x) ? 0 : nan_value;
          return;
        }
        const double delta = x - others_[i];
        others_[i] += delta / (counts_[i] + 1.0);
        values_[i] += delta * (x - others_[i]);
      });
      break;
    default: break;
  }
  for (std::size_t i = 0; i < steps; ++i) counts_[i] += present[i];
}

void Fold::merge(const Fold& other) {
  if (op_ == Tok::sum && std::ranges::all_of(other.counts_, [](std::uint32_t n) { return n > 0; })) {
    add_dense(values_, others_, other.values_);
    for (std::size_t i = 0; i < others_.size(); ++i) others_[i] += other.others_[i];
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    return;
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (other.counts_[i] == 0) continue;
    switch (op_) {
      case Tok::sum: {
        KahanSum sum{values_[i], others_[i]};
        sum.add(other.values_[i]);
        sum.lost += other.others_[i];
        values_[i] = sum.sum;
        others_[i] = sum.lost;
        break;
      }
      case Tok::avg:
        if (counts_[i] == 0)
          means_[i] = other.means_[i];
        else
          means_[i].merge(other.means_[i]);
        break;
      case Tok::min:
        if (values_[i] > other.values_[i] || std::isnan(values_[i])) values_[i] = other.values_[i];
        break;
      case Tok::max:
        if (values_[i] < other.values_[i] || std::isnan(values_[i])) values_[i] = other.values_[i];
        break;
      default: break;
    }
    counts_[i] += other.counts_[i];
  }
}

double Fold::value(std::size_t i) const {
  switch (op_) {
    case Tok::sum: return KahanSum{values_[i], others_[i]}.total();
    case Tok::avg: return means_[i].value();
    case Tok::count: return counts_[i];
    case Tok::group: return 1;
    case Tok::stdvar: return values_[i] / counts_[i];
    case Tok::stddev: return std::sqrt(values_[i] / counts_[i]);
    default: return values_[i];
  }
}

}  // namespace plumbline::query::promql
