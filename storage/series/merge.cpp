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
  if (p.first > 0 && p.count > 0 && samples_[p.first].t <= samples_[p.first - 1].t) ascending_ = false;
  pieces_.push_back(p);
}

void Gather::add(const SharedTimes& times, std::span<const double> values, const SharedValues& held, model::TimeRange range,
                 std::uint64_t order) {
  const auto from = std::ranges::lower_bound(*times, range.min), to = std::ranges::upper_bound(*times, range.max);
  if (from >= to) return;
  values = values.subspan(static_cast<std::size_t>(from - times->begin()), static_cast<std::size_t>(to - from));
  if (samples_.empty() && (times_.empty() || times_.back().times.back() < *from)) {
    times_.push_back({{from, to}, times});
    apart_.push_back({order, held, values.data(), own_.size()});
    if (!held) own_.insert(own_.end(), values.begin(), values.end());
    return;
  }
  join();
  for (std::size_t i = 0; i < values.size(); ++i) samples_.push_back({from[static_cast<std::ptrdiff_t>(i)], values[i]});
  commit(order);
}

void Gather::join() {
  for (std::size_t p = 0; p < times_.size(); ++p) {
    const double* v = begin_of(apart_[p]);
    for (const std::int64_t t : times_[p].times) samples_.push_back({t, *v++});
    commit(apart_[p].order);
  }
  times_.clear();
  apart_.clear();
  own_.clear();
}

void Gather::end(std::vector<double>& scratch) {
  const bool follow = samples_.empty() || times_.empty() || (ascending_ && times_.back().times.back() < samples_.front().t);
  if (!follow || !histograms_.empty()) join();
  end();
  if (times_.size() == 1 && samples_.empty()) {
    values_ = {begin_of(apart_[0]), times_[0].times.size()};
    return;
  }
  scratch.clear();
  for (std::size_t p = 0; p < times_.size(); ++p)
    scratch.insert(scratch.end(), begin_of(apart_[p]), begin_of(apart_[p]) + times_[p].times.size());
  if (!samples_.empty()) {
    own_times_.clear();
    for (const model::Sample& s : samples_) {
      own_times_.push_back(s.t);
      scratch.push_back(s.v);
    }
    times_.push_back({own_times_, nullptr});
    samples_.clear();
  }
  values_ = scratch;
}

void Gather::end() {
  const bool mixed = !histograms_.empty();
  if (ascending_ && !mixed) return;
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
  ascending_ = true;
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
  times_.clear();
  apart_.clear();
  own_.clear();
  values_ = {};
  stale_ = false;
  ascending_ = true;
}

}  // namespace plumbline::storage::series
