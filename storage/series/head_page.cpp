#include "storage/series/head_page.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "daemon/base/check.hpp"
#include "storage/codec/block16.hpp"

namespace plumbline::storage::series {

using model::Sample;
using model::TimeRange;

namespace {

bool earlier(const Sample& a, const Sample& b) { return a.t < b.t; }

// Size classes of the pool.
constexpr std::size_t class_piece4 = 0, class_piece8 = 1, class_buffer_first = 2;
constexpr std::size_t buffer_classes = 3;

// A block: a byte (count - 1, and a flag for "all values are the last value before"), the varint offset of its times, and
// the packed values.
constexpr std::uint8_t block_same = 0x10;
constexpr std::size_t block_head_max = 1 + 5;

std::uint64_t bits(double v) { return std::bit_cast<std::uint64_t>(v); }

std::size_t put_varint(std::uint8_t* out, std::uint32_t v) {
  std::size_t n = 0;
  for (; v >= 0x80; v >>= 7) out[n++] = static_cast<std::uint8_t>(v | 0x80);
  out[n++] = static_cast<std::uint8_t>(v);
  return n;
}
std::uint32_t get_varint(const std::uint8_t*& in) {
  std::uint32_t v = 0;
  for (int shift = 0;; shift += 7) {
    const std::uint8_t byte = *in++;
    v |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
}

}  // namespace

struct HeadPage::Buffer {
  Buffer* next;
  std::uint16_t used;
  std::uint8_t size_class;
  std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this) + header; }
  std::size_t room() const { return SlabPool::sizes[size_class] - header - used; }
  static constexpr std::size_t header = 12;  // not sizeof: the padding holds bytes
};

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
  // Sorting when the unsorted part has grown by half keeps the work per sample logarithmic, however random the order is.
  const std::size_t tail = samples_.size() - sorted_;
  if (tail < 64 || tail < sorted_ / 2) return;
  sort_and_keep_last(samples_);
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

HeadPage::Tail HeadPage::tail_of(const Slot& s) {
  Tail out;
  std::size_t end = s.count;
  Piece piece = s.tail;
  for (std::uint8_t nth = s.pieces; nth > 0; --nth, piece = before(piece)) {
    const std::size_t first = ends[nth - 1u];
    if (end <= first) continue;
    std::memcpy(out.values.data() + first, values(piece), (end - first) * sizeof(double));
    std::memcpy(out.times.data() + first, times(piece, nth), (end - first) * sizeof(std::uint32_t));
    end = first;
  }
  return out;
}

void HeadPage::make_room(Slot& s, bool close) {
  const auto class_of = [](std::uint8_t nth) { return nth == 3 ? class_piece8 : class_piece4; };
  if (s.count == tail_max || close) {
    close_block(s);
    s.count = 0;
    // Back to the first piece: of a million series most are between blocks, not at the end of one.
    for (; s.pieces > 1; --s.pieces) pool_.give(std::exchange(s.tail, before(s.tail)), class_of(s.pieces));
    return;
  }
  ++s.pieces;
  const Piece piece = pool_.take(class_of(s.pieces));
  before(piece) = s.tail;
  s.tail = piece;
}

std::uint32_t HeadPage::store_times(const Slot& s, const Tail& tail) {
  for (const ClosedTimes& c : closed_)
    if (c.count == s.count && c.base == base(s) &&
        std::memcmp(c.times.data(), tail.times.data(), s.count * sizeof(std::uint32_t)) == 0)
      return c.offset;
  std::array<std::int64_t, tail_max> absolute;
  for (std::size_t i = 0; i < s.count; ++i) absolute[i] = base(s) + tail.times[i];
  std::array<std::uint8_t, codec::block_bytes_max> packed;
  const std::size_t size = codec::encode_times_block({absolute.data(), s.count}, packed.data());
  ClosedTimes& c = closed_[next_closed_];
  next_closed_ = static_cast<std::uint8_t>((next_closed_ + 1) % closed_.size());
  c.base = base(s);
  std::copy_n(tail.times.begin(), s.count, c.times.begin());
  c.count = s.count;
  c.offset = static_cast<std::uint32_t>(block_times_used_);
  block_times_.resize(block_times_used_ + size + codec::block_slack);
  std::memcpy(block_times_.data() + block_times_used_, packed.data(), size);
  block_times_used_ += size;
  return c.offset;
}

void HeadPage::close_block(Slot& s) {
  std::array<std::uint8_t, block_head_max + codec::block_bytes_max> block;
  const Tail tail = tail_of(s);
  const double* v = tail.values.data();
  bool same = s.has_blocks;
  for (std::size_t i = 0; i < s.count; ++i) same &= bits(v[i]) == s.block_value;
  block[0] = static_cast<std::uint8_t>((s.count - 1) | (same ? block_same : 0));
  std::size_t size = 1 + put_varint(block.data() + 1, store_times(s, tail));
  if (!same) size += codec::encode_block({v, s.count}, block.data() + size, s.hint);
  s.block_value = bits(v[s.count - 1]);
  s.has_blocks = true;
  put_block(s, block.data(), size);
}

void HeadPage::put_block(Slot& s, const std::uint8_t* bytes, std::size_t size) {
  if (s.last == nullptr || s.last->room() < size) {
    std::size_t size_class = s.last == nullptr ? class_buffer_first : s.last->size_class + 1u;
    size_class = std::min(size_class, class_buffer_first + buffer_classes - 1);
    while (SlabPool::sizes[size_class] - Buffer::header < size) ++size_class;
    auto* fresh = reinterpret_cast<Buffer*>(pool_.take(size_class));
    fresh->used = 0;
    fresh->size_class = static_cast<std::uint8_t>(size_class);
    fresh->next = s.last == nullptr ? fresh : s.last->next;
    if (s.last != nullptr) s.last->next = fresh;
    s.last = fresh;
  }
  std::memcpy(s.last->bytes() + s.last->used, bytes, size);
  s.last->used = static_cast<std::uint16_t>(s.last->used + size);
}

void HeadPage::late(std::uint32_t slot, Sample sample) {
  Slot& s = slots_[slot];
  if (s.has_histograms) {
    HistogramBuffer& histograms = histograms_->at(slot);
    const std::size_t before = histograms.memory_bytes();
    histograms.remove(sample.t);
    side_bytes_ += histograms.memory_bytes() - before;
  }
  if (sample.t == s.last_t && !s.has_side && !s.has_histograms && s.count > 0) {
    // A sender repeats its last sample when it retries; a rewrite of it is a store.
    values(s.tail)[s.count - 1 - ends[s.pieces - 1u]] = sample.v;
    return;
  }
  SideBuffer& side = side_[slot];
  const std::size_t before = s.has_side ? side.memory_bytes() : 0;
  side.add(sample);
  side_bytes_ += side.memory_bytes() - before;
  if (!s.has_side) side_bytes_ += 96;  // the map's node
  s.has_side = true;
}

void HeadPage::in_order(const Slot& s, TimeRange range, std::vector<Sample>& out) const {
  std::array<std::int64_t, tail_max> t;
  std::array<double, tail_max> v;
  if (s.last != nullptr) {
    double before = 0;
    Buffer* buffer = s.last->next;
    for (bool more = true; more; buffer = buffer->next) {
      more = buffer != s.last;
      const std::uint8_t* at = buffer->bytes();
      const std::uint8_t* const end = at + buffer->used;
      while (at != end) {
        const std::uint8_t head = *at++;
        const std::size_t count = static_cast<std::size_t>(head & 0x0f) + 1;
        codec::decode_times_block(block_times_.data() + get_varint(at), {t.data(), count});
        if ((head & block_same) != 0)
          std::fill_n(v.begin(), count, before);
        else
          at += codec::decode_block(at, {v.data(), count});
        before = v[count - 1];
        if (t[0] > range.max) return;
        if (t[count - 1] < range.min) continue;
        for (std::size_t i = 0; i < count; ++i)
          if (range.contains(t[i])) out.push_back({t[i], v[i]});
      }
    }
  }
  const Tail tail = tail_of(s);
  for (std::size_t i = 0; i < s.count; ++i) {
    const std::int64_t at = base(s) + tail.times[i];
    if (range.contains(at)) out.push_back({at, tail.values[i]});
  }
}

bool HeadPage::append(std::uint32_t slot, const model::HistogramSample& sample) {
  Slot& s = slots_[slot];
  const bool fresh = s.pieces == 0;
  if (fresh) make_room(s, false);
  if (!histograms_) histograms_ = std::make_unique<std::unordered_map<std::uint32_t, HistogramBuffer>>();
  HistogramBuffer& buffer = (*histograms_)[slot];
  const std::size_t before = s.has_histograms ? buffer.memory_bytes() : 0;
  s.has_histograms = true;
  buffer.add(sample);
  side_bytes_ += buffer.memory_bytes() - before;
  if (sample.t > s.last_t) {
    if (s.count > 0) make_room(s, true);  // last_t is no longer that of the tail: the next float begins another
    s.last_t = sample.t;
  }
  return fresh;
}

void HeadPage::read(std::uint32_t slot, TimeRange range, std::vector<Sample>& out,
                    std::vector<model::HistogramSample>& histograms) const {
  const std::size_t first = out.size();
  read_floats(slot, range, out);
  if (!slots_[slot].has_histograms) return;
  auto at = static_cast<std::ptrdiff_t>(histograms.size());
  histograms_->at(slot).read(range, histograms);
  // A float that came after a histogram of its time has removed it: those that are there came later.
  const auto hidden = [&](const Sample& s) {
    const auto winner = std::lower_bound(histograms.begin() + at, histograms.end(), s.t,
                                         [](const model::HistogramSample& h, std::int64_t t) { return h.t < t; });
    at = winner - histograms.begin();
    return winner != histograms.end() && winner->t == s.t;
  };
  out.erase(std::remove_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), hidden), out.end());
}

void HeadPage::read_floats(std::uint32_t slot, TimeRange range, std::vector<Sample>& out) const {
  const Slot& s = slots_[slot];
  if (s.pieces == 0) return;
  const std::size_t first = out.size();
  in_order(s, range, out);
  if (!s.has_side) return;
  const std::vector<Sample> late = side_.at(slot).read(range);
  if (late.empty()) return;
  // What is in the side buffer came after the sample of its time, if there was one: it wins.
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

bool HeadPage::any(std::uint32_t slot, TimeRange range) const {
  const Slot& s = slots_[slot];
  if (s.pieces == 0) return false;
  if (range.contains(s.last_t)) return true;
  if (s.has_side && side_.at(slot).any(range)) return true;
  if (s.has_histograms && histograms_->at(slot).any(range)) return true;
  if (s.last_t < range.min) return false;
  std::vector<Sample> inside;
  in_order(s, range, inside);
  return !inside.empty();
}

}  // namespace plumbline::storage::series
