#include "storage/series/head.hpp"

#include <algorithm>
#include <bit>

#include "daemon/base/check.hpp"
#include "storage/series/chunk.hpp"

namespace plumbline::storage::series {

using model::Sample;
using model::TimeRange;

namespace {
bool earlier(const Sample& a, const Sample& b) { return a.t < b.t; }

void decode(const codec::GorillaEncoder& encoder, TimeRange range, std::vector<Sample>& out) {
  const std::string bytes = encoder.str();
  codec::GorillaDecoder decoder(bytes, encoder.count());
  Sample sample;
  while (decoder.next(sample) && sample.t <= range.max)
    if (sample.t >= range.min) out.push_back(sample);
  PLUMBLINE_CHECK(decoder.ok(), "a chunk of the head decodes as it was encoded");
}
}  // namespace

void sort_and_keep_last(std::vector<Sample>& samples) {
  std::stable_sort(samples.begin(), samples.end(), earlier);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (kept > 0 && samples[kept - 1].t == samples[i].t) --kept;
    samples[kept++] = samples[i];
  }
  samples.resize(kept);
}

void SideBuffer::add(Sample sample) {
  if (sorted_ == samples_.size() && (samples_.empty() || samples_.back().t < sample.t)) ++sorted_;
  samples_.push_back(sample);
  const std::size_t tail = samples_.size() - sorted_;
  if (tail < 32 || tail < sorted_ / 8) return;
  sort_and_keep_last(samples_);  // nearly sorted: the merge passes of a stable sort are cheap on it
  sorted_ = samples_.size();
}

std::vector<Sample> SideBuffer::read(TimeRange range) const {
  std::vector<Sample> out;
  const auto sorted_end = samples_.begin() + static_cast<std::ptrdiff_t>(sorted_);
  auto it = std::lower_bound(samples_.begin(), sorted_end, Sample{range.min, 0}, earlier);
  for (; it != sorted_end && it->t <= range.max; ++it) out.push_back(*it);
  const std::size_t from_sorted = out.size();
  for (it = sorted_end; it != samples_.end(); ++it)
    if (range.contains(it->t)) out.push_back(*it);
  if (out.size() > from_sorted) sort_and_keep_last(out);
  return out;
}

bool SideBuffer::any(TimeRange range) const {
  return std::any_of(samples_.begin(), samples_.end(), [&](const Sample& s) { return range.contains(s.t); });
}

std::size_t Head::OpenSeries::memory_bytes() const {
  std::size_t total = side.memory_bytes();
  // Only the last chunk and the vector grow; closed chunks were counted when they were last.
  if (!chunks.empty()) total += chunks.back().encoder.memory_bytes();
  return total + chunks.capacity() * sizeof(OpenChunk);
}

void Head::OpenSeries::append(Sample sample) {
  if (!chunks.empty()) {
    OpenChunk& open = chunks.back();
    if (sample.t <= open.max_t) {
      // A sender that repeats its last sample is common (retries); nothing to keep unless something rewrote it.
      const bool repeated = sample.t == open.max_t && side.empty() &&
                            std::bit_cast<std::uint64_t>(sample.v) == last_bits;
      if (!repeated) side.add(sample);
      return;
    }
    if (open.encoder.count() < chunk_samples_max) {
      open.encoder.append(sample);
      open.max_t = sample.t;
      last_bits = std::bit_cast<std::uint64_t>(sample.v);
      return;
    }
  }
  OpenChunk& fresh = chunks.emplace_back();
  fresh.encoder.append(sample);
  fresh.min_t = fresh.max_t = sample.t;
  last_bits = std::bit_cast<std::uint64_t>(sample.v);
}

void Head::OpenSeries::read(TimeRange range, std::vector<Sample>& out) const {
  const std::size_t first = out.size();
  for (const OpenChunk& c : chunks)
    if (range.overlaps(c.min_t, c.max_t)) decode(c.encoder, range, out);
  if (side.empty()) return;
  const std::vector<Sample> late = side.read(range);
  if (late.empty()) return;
  // Whatever is in the side buffer came after the sample of its time was in a chunk, if there was one: it wins.
  std::vector<Sample> merged;
  merged.reserve(out.size() - first + late.size());
  auto a = out.begin() + static_cast<std::ptrdiff_t>(first);
  auto b = late.begin();
  while (a != out.end() || b != late.end()) {
    if (b == late.end() || (a != out.end() && a->t < b->t)) {
      merged.push_back(*a++);
    } else {
      if (a != out.end() && a->t == b->t) ++a;
      merged.push_back(*b++);
    }
  }
  out.resize(first);
  out.insert(out.end(), merged.begin(), merged.end());
}

bool Head::OpenSeries::any(TimeRange range) const {
  for (const OpenChunk& c : chunks) {
    if (range.contains(c.min_t) || range.contains(c.max_t)) return true;
    if (!range.overlaps(c.min_t, c.max_t)) continue;
    std::vector<Sample> inside;
    decode(c.encoder, range, inside);
    if (!inside.empty()) return true;
  }
  return side.any(range);
}

void Head::append(const EntryPtr& entry, const std::vector<Sample>& samples) {
  Shard& shard = shards_[entry->id % shard_count];
  const std::uint32_t slot = entry->id / shard_count;
  std::size_t grown = 0;
  {
    Lock lock(shard.mutex);
    if (shard.series.size() <= slot) shard.series.resize(slot + 1 + slot / 8);
    auto& open = shard.series[slot];
    if (!open) {
      open = std::make_unique<OpenSeries>();
      open->entry = entry;
      grown += sizeof(OpenSeries) + sizeof(void*);
      series_.fetch_add(1, std::memory_order_relaxed);
    }
    const std::size_t chunks_before = open->chunks.size();
    const std::size_t before = open->memory_bytes();
    for (const Sample& s : samples) open->append(s);
    const std::size_t after = open->memory_bytes();
    // A closed chunk leaves memory_bytes(): what it held stays counted by not subtracting it.
    grown += open->chunks.size() == chunks_before && after >= before ? after - before : after;
  }
  samples_.fetch_add(samples.size(), std::memory_order_relaxed);
  bytes_.fetch_add(grown, std::memory_order_relaxed);
}

bool Head::read(std::uint32_t id, TimeRange range, std::vector<Sample>& out) const {
  const Shard& at = shard(id);
  const std::uint32_t slot = id / shard_count;
  const std::size_t before = out.size();
  Lock lock(at.mutex);
  if (slot >= at.series.size() || !at.series[slot]) return false;
  at.series[slot]->read(range, out);
  return out.size() > before;
}

bool Head::any(std::uint32_t id, TimeRange range) const {
  const Shard& at = shard(id);
  const std::uint32_t slot = id / shard_count;
  Lock lock(at.mutex);
  return slot < at.series.size() && at.series[slot] && at.series[slot]->any(range);
}

bool Head::holds(std::uint32_t id) const {
  const Shard& at = shard(id);
  const std::uint32_t slot = id / shard_count;
  Lock lock(at.mutex);
  return slot < at.series.size() && at.series[slot];
}

Roaring Head::ids() const {
  Roaring out;
  for (std::uint32_t i = 0; i < shard_count; ++i) {
    Lock lock(shards_[i].mutex);
    for (std::size_t slot = 0; slot < shards_[i].series.size(); ++slot)
      if (shards_[i].series[slot]) out.add(static_cast<std::uint32_t>(slot) * shard_count + i);
  }
  return out;
}

void Head::visit(const std::function<bool(const SeriesEntry&, const std::vector<Sample>&)>& each) const {
  std::vector<Sample> samples;
  for (const Shard& at : shards_) {
    // Held for the whole shard: the head is frozen, only readers wait, one shard's encoding (milliseconds) at a time.
    Lock lock(at.mutex);
    for (const auto& open : at.series) {
      if (!open) continue;
      samples.clear();
      open->read({}, samples);
      if (!each(*open->entry, samples)) return;
    }
  }
}

}  // namespace plumbline::storage::series
