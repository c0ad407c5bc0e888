#include "storage/series/merge.hpp"

#include <algorithm>

#include "storage/series/head_page.hpp"

namespace plumbline::storage::series {

void Gather::commit(std::uint64_t order) {
  Piece p;
  p.order = order;
  if (!pieces_.empty()) {
    p.first = pieces_.back().first + pieces_.back().count;
    p.first_histogram = pieces_.back().first_histogram + pieces_.back().histograms;
  }
  p.count = samples_.size() - p.first;
  p.histograms = histograms_.size() - p.first_histogram;
  if (p.count == 0 && p.histograms == 0) return;
  if (p.first > 0 && p.count > 0 && samples_[p.first].t <= samples_[p.first - 1].t) apart_ = false;
  pieces_.push_back(p);
}

void Gather::end() {
  const bool mixed = !histograms_.empty();
  if (apart_ && !mixed) return;
  std::stable_sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) { return a.order < b.order; });
  if (mixed) {
    merge_mixed();
  } else {
    std::vector<model::Sample> merged;
    merged.reserve(samples_.size());
    for (const Piece& p : pieces_)
      merged.insert(merged.end(), samples_.begin() + static_cast<std::ptrdiff_t>(p.first),
                    samples_.begin() + static_cast<std::ptrdiff_t>(p.first + p.count));
    sort_and_keep_last(merged);
    samples_ = std::move(merged);
  }
  pieces_.assign(1, {0, 0, samples_.size(), 0, histograms_.size()});
  apart_ = true;
}

// Pieces by ascending order: of one timestamp the last one wins, whatever it is.
void Gather::merge_mixed() {
  struct Place {
    std::int64_t t = 0;
    bool histogram = false;
    std::size_t at = 0;
  };
  std::vector<Place> places;
  places.reserve(samples_.size() + histograms_.size());
  for (const Piece& p : pieces_) {
    for (std::size_t i = p.first; i < p.first + p.count; ++i) places.push_back({samples_[i].t, false, i});
    for (std::size_t i = p.first_histogram; i < p.first_histogram + p.histograms; ++i)
      places.push_back({histograms_[i].t, true, i});
  }
  std::ranges::stable_sort(places, {}, &Place::t);
  std::vector<model::Sample> samples;
  std::vector<model::HistogramSample> histograms;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i + 1 < places.size() && places[i + 1].t == places[i].t) continue;
    if (places[i].histogram)
      histograms.push_back(std::move(histograms_[places[i].at]));
    else
      samples.push_back(samples_[places[i].at]);
  }
  samples_ = std::move(samples);
  histograms_ = std::move(histograms);
}

void Gather::clear() {
  samples_.clear();
  histograms_.clear();
  pieces_.clear();
  stale_ = false;
  apart_ = true;
}

}  // namespace plumbline::storage::series
