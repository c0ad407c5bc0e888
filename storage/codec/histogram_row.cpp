#include "storage/codec/histogram_row.hpp"

#include <algorithm>
#include <cmath>

namespace plumbline::storage::codec {
namespace {

using model::BucketSpan;
using model::Histogram;
using model::HistogramLayout;

// The first byte of a row.
constexpr std::uint8_t mark_integer = 1, reset_shift = 1, mark_layout = 8, mark_varints = 16;

void put_spans(ByteWriter& out, const std::vector<BucketSpan>& spans) {
  out.varint(spans.size());
  for (const BucketSpan& s : spans) {
    out.zigzag(s.offset);
    out.varint(s.length);
  }
}

bool get_spans(ByteReader& in, std::vector<BucketSpan>& out) {
  const std::uint64_t n = in.varint();
  if (!in.ok() || n > in.left() / 2) return false;
  out.clear();
  std::size_t buckets = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::int64_t offset = in.zigzag();
    const std::uint64_t length = in.varint();
    if (!in.ok() || offset != static_cast<std::int32_t>(offset) || length > model::limit::histogram_buckets_max) return false;
    buckets += length;
    if (buckets > model::limit::histogram_buckets_max) return false;
    out.push_back({static_cast<std::int32_t>(offset), static_cast<std::uint32_t>(length)});
  }
  return true;
}

// Counts nearly always are: a varint of one or two bytes instead of eight.
bool packs(double v) {
  constexpr double exact_max = 9007199254740992.0;  // 2^53
  return v >= 0 && v <= exact_max && v == std::floor(v) && !std::signbit(v);
}

}  // namespace

void put_layout(ByteWriter& out, const HistogramLayout& layout) {
  out.zigzag(layout.schema);
  out.f64(layout.zero_threshold);
  put_spans(out, layout.positive_spans);
  put_spans(out, layout.negative_spans);
  if (!layout.is_custom()) return;
  out.varint(layout.custom_bounds.size());
  for (const double b : layout.custom_bounds) out.f64(b);
}

bool get_layout(ByteReader& in, HistogramLayout& out) {
  const std::int64_t schema = in.zigzag();
  const bool known = schema == model::histogram_schema_custom ||
                     (schema >= model::histogram_schema_min && schema <= model::histogram_schema_max);
  out.schema = static_cast<int>(schema);
  out.zero_threshold = in.f64();
  out.custom_bounds.clear();
  if (!in.ok() || !known || !get_spans(in, out.positive_spans) || !get_spans(in, out.negative_spans)) return false;
  if (!out.is_custom()) return true;
  const std::uint64_t bounds = in.varint();
  if (!in.ok() || bounds > in.left() / 8) return false;
  for (std::uint64_t i = 0; i < bounds; ++i) out.custom_bounds.push_back(in.f64());
  return in.ok();
}

void put_histogram(ByteWriter& out, const Histogram& h, const HistogramLayout* before) {
  const bool same = before != nullptr && same_bits(*before, h.layout);
  const bool varints = packs(h.count) && packs(h.zero_count) && std::ranges::all_of(h.positive, packs) &&
                       std::ranges::all_of(h.negative, packs);
  out.u8(static_cast<std::uint8_t>((h.is_integer ? mark_integer : 0) | static_cast<unsigned>(h.reset) << reset_shift |
                                   (same ? 0 : mark_layout) | (varints ? mark_varints : 0)));
  if (!same) put_layout(out, h.layout);
  const auto put = [&](double v) { varints ? out.varint(static_cast<std::uint64_t>(v)) : out.f64(v); };
  put(h.count);
  put(h.zero_count);
  for (const double v : h.positive) put(v);
  for (const double v : h.negative) put(v);
  out.f64(h.sum);
}

bool get_histogram(ByteReader& in, Histogram& out, const HistogramLayout* before) {
  const std::uint8_t marks = in.u8();
  if (!in.ok() || marks >= 2 * mark_varints || ((marks & mark_layout) == 0 && before == nullptr)) return false;
  out.is_integer = (marks & mark_integer) != 0;
  out.reset = static_cast<model::ResetHint>(marks >> reset_shift & 3);
  if ((marks & mark_layout) == 0)
    out.layout = *before;
  else if (!get_layout(in, out.layout))
    return false;
  const bool varints = (marks & mark_varints) != 0;
  const auto get = [&] { return varints ? static_cast<double>(in.varint()) : in.f64(); };
  const auto side = [&](const std::vector<BucketSpan>& spans, std::vector<double>& counts) {
    std::size_t buckets = 0;
    for (const BucketSpan& s : spans) buckets += s.length;
    if (buckets > in.left()) return false;
    counts.resize(buckets);
    for (double& v : counts) v = get();
    return in.ok();
  };
  out.count = get();
  out.zero_count = get();
  if (!side(out.layout.positive_spans, out.positive) || !side(out.layout.negative_spans, out.negative)) return false;
  out.sum = in.f64();
  return in.ok();
}

}  // namespace plumbline::storage::codec
