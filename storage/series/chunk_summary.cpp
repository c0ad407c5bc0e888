#include "storage/series/chunk_summary.hpp"

#include <bit>
#include <cmath>
#include <limits>

namespace plumbline::storage::series {

namespace {

// Most series of a machine do not move within two hours.
bool constant(std::span<const double> values) {
  const auto first = std::bit_cast<std::uint64_t>(values.front());
  std::size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    std::uint64_t differs = 0;
    for (std::size_t k = 0; k < 8; ++k) differs |= std::bit_cast<std::uint64_t>(values[i + k]) ^ first;
    if (differs != 0) return false;
  }
  for (; i < values.size(); ++i)
    if (std::bit_cast<std::uint64_t>(values[i]) != first) return false;
  return true;
}

class Summing {
 public:
  void add(double v) {
    if (model::is_stale(v)) {
      out_.has_stale = true;
      return;
    }
    if (out_.count++ == 0) out_.first = v;
    out_.last = v;
    if (std::isnan(v)) {
      out_.sum += v;
      return;
    }
    if (!(out_.min <= v)) out_.min = v;
    if (!(out_.max >= v)) out_.max = v;
    const double total = out_.sum + v;
    compensation_ += std::fabs(out_.sum) >= std::fabs(v) ? (out_.sum - total) + v : (v - total) + out_.sum;
    out_.sum = total;
    if (v < previous_) out_.reset_correction += previous_;
    previous_ = v;
  }
  ChunkSummary take() {
    // After an overflow or a NaN the compensation itself is NaN and says nothing.
    if (std::isfinite(out_.sum)) out_.sum += compensation_;
    return out_;
  }

 private:
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();
  ChunkSummary out_{none, none, none, none, 0, 0, 0, false};
  double compensation_ = 0;
  double previous_ = none;
};

}  // namespace

ChunkSummary summarize(const std::vector<model::Sample>& samples) {
  Summing summing;
  for (const model::Sample& s : samples) summing.add(s.v);
  return summing.take();
}

ChunkSummary summarize(std::span<const double> values) {
  if (!values.empty() && std::isfinite(values.front()) && constant(values)) {
    const double v = values.front();
    const auto count = static_cast<std::uint32_t>(values.size());
    return {v, v, v, v, v * count, 0, count, false};
  }
  Summing summing;
  for (const double v : values) summing.add(v);
  return summing.take();
}

}  // namespace plumbline::storage::series
