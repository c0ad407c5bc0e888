#include "storage/series/merge.hpp"

#include <algorithm>

#include "storage/series/head_page.hpp"

namespace plumbline::storage::series {

void Gather::commit(std::uint64_t order) {
  const std::size_t first = pieces_.empty() ? 0 : pieces_.back().first + pieces_.back().count;
  if (first == samples_.size()) return;
  if (first > 0 && samples_[first].t <= samples_[first - 1].t) apart_ = false;
  pieces_.push_back({order, first, samples_.size() - first});
}

std::span<const model::Sample> Gather::end() {
  if (apart_) return samples_;
  std::stable_sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) { return a.order < b.order; });
  std::vector<model::Sample> merged;
  merged.reserve(samples_.size());
  for (const Piece& p : pieces_)
    merged.insert(merged.end(), samples_.begin() + static_cast<std::ptrdiff_t>(p.first),
                  samples_.begin() + static_cast<std::ptrdiff_t>(p.first + p.count));
  sort_and_keep_last(merged);
  samples_ = std::move(merged);
  pieces_.assign(1, {0, 0, samples_.size()});
  apart_ = true;
  return samples_;
}

void Gather::clear() {
  samples_.clear();
  pieces_.clear();
  apart_ = true;
}

}  // namespace plumbline::storage::series
