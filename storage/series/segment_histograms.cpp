#include "storage/series/segment_histograms.hpp"

#include <algorithm>

#include "daemon/base/check.hpp"
#include "storage/codec/histogram_column.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/segment_format.hpp"

namespace plumbline::storage::series {

using model::HistogramSample;

namespace {

// What a reader of one sample decodes: chunk_samples_max of a usual histogram, fewer of one with thousands of buckets.
constexpr std::size_t block_worth_max = 128u << 10;  // in float samples: 2 MiB

std::size_t block_length(std::span<const HistogramSample> samples) {
  std::size_t n = 0, worth = 0;
  while (n < samples.size() && n < chunk_samples_max) {
    worth += model::samples_worth(samples[n].h);
    if (n > 0 && worth > block_worth_max) break;
    ++n;
  }
  return n;
}

// Differences wrap: the first and the last day reach to the ends of i64.
std::int64_t minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t plus(std::int64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}

}  // namespace

void HistogramEncoder::add(SeriesRef series, std::span<const HistogramSample> samples) {
  while (!samples.empty()) {
    const std::size_t before = payload_.size();
    const std::size_t taken = codec::encode_histograms(samples.first(block_length(samples)), payload_);
    blocks_.push_back({series, taken, samples.front().t, samples[taken - 1].t, payload_.size() - before});
    samples = samples.subspan(taken);
  }
}

std::string HistogramEncoder::finish(std::int64_t day_start) {
  ByteWriter out;
  out.varint(blocks_.size());
  SeriesRef before;
  for (const Block& b : blocks_) {
    out.varint(b.series.vshard - before.vshard);
    out.zigzag(std::int64_t{b.series.id} - before.id);
    before = b.series;
    out.varint(b.count);
    out.zigzag(minus(b.min_t, day_start));
    out.varint(static_cast<std::uint64_t>(minus(b.max_t, b.min_t)));
    out.varint(b.bytes);
  }
  out.raw(payload_);
  blocks_.clear();
  payload_.clear();
  return pack(out.str());
}

Result<HistogramRecord> HistogramRecord::open(std::string_view body, std::int64_t day_start) {
  HistogramRecord out;
  PLUMBLINE_TRY(out.bytes_, unpack(body));
  NumberReader in(out.bytes_);
  const std::uint64_t count = in.varint();
  if (!in.ok() || count == 0 || count > in.left()) return fail(Code::corrupt, "histograms of " + std::to_string(count) + " blocks");
  std::uint64_t vshard = 0, total = 0;
  std::int64_t id = 0;
  bool sound = true;
  for (std::uint64_t i = 0; i < count && sound; ++i) {
    const std::uint64_t up = in.varint();
    const std::int64_t step = in.zigzag();
    const std::uint64_t samples = in.varint();
    Block b;
    b.min_t = plus(day_start, static_cast<std::uint64_t>(in.zigzag()));
    b.max_t = plus(b.min_t, in.varint());
    b.bytes = in.varint();
    sound = in.ok() && up < kv::vshards - vshard && step >= -id && step <= 0xffff'ffffll - id && samples >= 1 &&
            samples <= chunk_samples_max && b.max_t >= b.min_t && b.bytes <= in.left();
    vshard += up;
    id += step;
    b.series = {static_cast<std::uint16_t>(vshard), static_cast<std::uint32_t>(id)};
    b.count = static_cast<std::uint32_t>(samples);
    b.at = total;
    total += b.bytes;
    out.blocks_.push_back(b);
  }
  if (!sound || total != in.left()) return fail(Code::corrupt, "histograms whose blocks make no sense");
  const std::size_t start = out.bytes_.size() - in.left();
  for (Block& b : out.blocks_) b.at += start;
  return out;
}

Status HistogramRecord::read(const Block& block, std::vector<HistogramSample>& out) const {
  const std::size_t first = out.size();
  PLUMBLINE_CHECK_OK(codec::decode_histograms(std::string_view(bytes_).substr(block.at, block.bytes), out));
  const auto samples = std::span(out).subspan(first);
  const auto ascend = std::ranges::adjacent_find(samples, [](const auto& a, const auto& b) { return a.t >= b.t; }) == samples.end();
  if (samples.size() != block.count || !ascend || samples.front().t != block.min_t || samples.back().t != block.max_t)
    return fail(Code::corrupt, "series " + std::to_string(block.series.id) + ": a block of histograms with other times than the record says");
  return {};
}

}  // namespace plumbline::storage::series
