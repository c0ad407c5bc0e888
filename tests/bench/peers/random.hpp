#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace plumbline::bench {

// xorshift64*: the same numbers with every standard library, unlike <random>'s distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull) {
    for (int i = 0; i < 4; ++i) next();
  }

  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull;
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  double normal() {
    return std::sqrt(-2.0 * std::log(1.0 - unit())) * std::cos(2.0 * std::numbers::pi * unit());
  }
  double poisson(double mean) {
    if (mean > 30) return std::max(0.0, std::round(mean + std::sqrt(mean) * normal()));
    const double limit = std::exp(-mean);
    double product = unit();
    double n = 0;
    while (product > limit) {
      product *= unit();
      ++n;
    }
    return n;
  }

 private:
  std::uint64_t state_;
};

}  // namespace plumbline::bench
