#include "storage/series/histogram_buffer.hpp"

#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/codec/histogram_row.hpp"

namespace plumbline::storage::series {

using model::HistogramSample;
using model::TimeRange;

namespace {
constexpr std::uint32_t block_samples_max = 64;
}

void sort_and_keep_last(std::vector<HistogramSample>& samples) {
  std::ranges::stable_sort(samples, {}, &HistogramSample::t);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (kept > 0 && samples[kept - 1].t == samples[i].t) --kept;
    if (kept != i) samples[kept] = std::move(samples[i]);
    ++kept;
  }
  samples.resize(kept);
}

void HistogramBuffer::append(Block& block, const HistogramSample& sample, const model::HistogramLayout* before) {
  ByteWriter out;
  out.zigzag(sample.t - (block.count == 0 ? 0 : block.max_t));
  codec::put_histogram(out, sample.h, before);
  block.min_t = block.count == 0 ? sample.t : std::min(block.min_t, sample.t);
  block.max_t = block.count == 0 ? sample.t : std::max(block.max_t, sample.t);
  ++block.count;
  block.rows += out.str();
}

void HistogramBuffer::add(const HistogramSample& sample) {
  for (const Block& b : blocks_) ordered_ = ordered_ && sample.t > b.max_t;
  const bool fresh = !open_ || blocks_.back().count == block_samples_max;
  open_ = true;
  if (fresh) {
    if (!blocks_.empty()) blocks_.back().rows.shrink_to_fit();
    blocks_.emplace_back();
  }
  append(blocks_.back(), sample, fresh ? nullptr : &layout_);
  layout_ = sample.h.layout;
}

std::size_t HistogramBuffer::memory_bytes() const {
  std::size_t out = sizeof *this + blocks_.capacity() * sizeof(Block) + layout_.custom_bounds.capacity() * sizeof(double) +
                    (layout_.positive_spans.capacity() + layout_.negative_spans.capacity()) * sizeof(model::BucketSpan);
  for (const Block& b : blocks_) out += b.rows.capacity();
  return out;
}

// The rows were written here: that they do not read is our own bug.
void HistogramBuffer::decode(const Block& block, std::vector<HistogramSample>& out) {
  ByteReader in(block.rows);
  std::int64_t reached = 0;
  for (std::uint32_t i = 0; i < block.count; ++i) {
    const model::HistogramLayout* before = i == 0 ? nullptr : &out.back().h.layout;
    HistogramSample sample;
    sample.t = reached + in.zigzag();
    PLUMBLINE_CHECK(codec::get_histogram(in, sample.h, before), "a head's histogram reads back");
    reached = i == 0 ? sample.t : std::max(reached, sample.t);
    out.push_back(std::move(sample));
  }
}

void HistogramBuffer::remove(std::int64_t t) {
  for (Block& block : blocks_) {
    if (block.count == 0 || t < block.min_t || t > block.max_t) continue;
    std::vector<HistogramSample> samples;
    decode(block, samples);
    if (std::erase_if(samples, [t](const HistogramSample& s) { return s.t == t; }) == 0) continue;
    Block rest;
    for (std::size_t i = 0; i < samples.size(); ++i)
      append(rest, samples[i], i == 0 ? nullptr : &samples[i - 1].h.layout);
    block = std::move(rest);
    // The next row may go on behind another one than before: it begins a block and brings its own layout.
    open_ = false;
  }
  std::erase_if(blocks_, [](const Block& b) { return b.count == 0; });
}

bool HistogramBuffer::any(TimeRange range) const {
  for (const Block& block : blocks_) {
    if (!range.overlaps(block.min_t, block.max_t)) continue;
    if (range.contains(block.min_t) || range.contains(block.max_t)) return true;
    std::vector<HistogramSample> samples;
    decode(block, samples);
    if (std::ranges::any_of(samples, [&](const HistogramSample& s) { return range.contains(s.t); })) return true;
  }
  return false;
}

void HistogramBuffer::read(TimeRange range, std::vector<HistogramSample>& out) const {
  std::vector<HistogramSample> found;
  for (const Block& block : blocks_)
    if (range.overlaps(block.min_t, block.max_t)) decode(block, found);
  std::erase_if(found, [&](const HistogramSample& s) { return !range.contains(s.t); });
  if (!ordered_) sort_and_keep_last(found);
  std::ranges::move(found, std::back_inserter(out));
}

}  // namespace plumbline::storage::series
