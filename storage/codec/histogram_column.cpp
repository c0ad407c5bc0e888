#include "storage/codec/histogram_column.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/codec/column_floats.hpp"
#include "storage/codec/column_ints.hpp"
#include "storage/codec/histogram_row.hpp"
#include "storage/codec/times.hpp"

namespace plumbline::storage::codec {
namespace {

using model::BucketSpan;
using model::Histogram;
using model::HistogramLayout;
using model::HistogramSample;

constexpr std::uint8_t version = 1;
enum Form : std::uint8_t { integers = 0, floats = 1 };

// --------------------------------------------------------------------------------------------------------------- columns

// Counts are integers nearly always: their differences pack into few bits. What is no integer takes the form for floats.
bool as_integers(std::span<const double> values, std::vector<std::int64_t>& out) {
  constexpr double exact_max = 9007199254740992.0;  // 2^53
  out.clear();
  for (const double v : values) {
    if (!(std::fabs(v) <= exact_max) || v != std::floor(v) || (v == 0 && std::signbit(v))) return false;
    out.push_back(static_cast<std::int64_t>(v));
  }
  return true;
}

void put_column(ByteWriter& out, std::span<const double> values) {
  ByteWriter as_floats;
  encode_floats(as_floats, values);
  if (std::vector<std::int64_t> ints; as_integers(values, ints)) {
    ByteWriter packed;
    encode_ints(packed, ints);
    if (packed.size() <= as_floats.size()) {
      out.u8(integers);
      return out.raw(packed.str());
    }
  }
  out.u8(floats);
  out.raw(as_floats.str());
}

bool get_column(ByteReader& in, std::size_t count, std::vector<double>& out) {
  out.clear();
  const std::uint8_t form = in.u8();
  if (!in.ok()) return false;
  if (form == floats) return decode_floats(in, count, out);
  std::vector<std::int64_t> ints;
  if (form != integers || !decode_ints(in, count, ints)) return false;
  out.assign(ints.begin(), ints.end());
  return true;
}

// --------------------------------------------------------------------------------------------------------------- layouts

std::string layout_bytes(const HistogramLayout& layout) {
  ByteWriter out;
  put_layout(out, layout);
  return out.take();
}

struct Layout {
  HistogramLayout layout;
  std::size_t positive = 0, negative = 0;  // buckets
};

std::size_t buckets_of(const std::vector<BucketSpan>& spans) {
  std::size_t out = 0;
  for (const BucketSpan& s : spans) out += s.length;
  return out;
}

bool get_layout(ByteReader& in, Layout& out) {
  if (!codec::get_layout(in, out.layout)) return false;
  out.positive = buckets_of(out.layout.positive_spans);
  out.negative = buckets_of(out.layout.negative_spans);
  return true;
}

// ---------------------------------------------------------------------------------------------------------------- blocks

// What a sample takes in memory, in units of a count; a span or a bound is one as well.
std::size_t cells(const HistogramLayout& l, std::size_t buckets) {
  return 1 + buckets + l.positive_spans.size() + l.negative_spans.size() + l.custom_bounds.size();
}

std::size_t samples_that_fit(std::span<const HistogramSample> samples) {
  std::size_t n = 0, taken = 0;
  while (n < samples.size() && n < histogram_block_samples_max) {
    const Histogram& h = samples[n].h;
    taken += cells(h.layout, h.positive.size() + h.negative.size());
    if (n > 0 && taken > histogram_block_cells_max) break;
    ++n;
  }
  return n;
}

// The form of the counts and the reset hint.
std::int64_t marks(const Histogram& h) { return static_cast<std::int64_t>(h.reset) << 1 | (h.is_integer ? 1 : 0); }

// Of the samples at `places`: one column per bucket.
template <class Member>
void put_buckets(ByteWriter& out, std::span<const HistogramSample> samples, const std::vector<std::size_t>& places,
                 Member counts) {
  std::vector<double> column(places.size());
  for (std::size_t b = 0; b < (samples[places.front()].h.*counts).size(); ++b) {
    for (std::size_t i = 0; i < places.size(); ++i) column[i] = (samples[places[i]].h.*counts)[b];
    put_column(out, column);
  }
}

template <class Member>
bool get_buckets(ByteReader& in, std::span<HistogramSample> samples, const std::vector<std::size_t>& places, Member counts,
                 std::size_t buckets) {
  for (const std::size_t p : places) (samples[p].h.*counts).resize(buckets);
  std::vector<double> column;
  for (std::size_t b = 0; b < buckets; ++b) {
    if (!get_column(in, places.size(), column)) return false;
    for (std::size_t i = 0; i < places.size(); ++i) (samples[places[i]].h.*counts)[b] = column[i];
  }
  return true;
}

template <class Member>
void put_member(ByteWriter& out, std::span<const HistogramSample> samples, Member member) {
  std::vector<double> column;
  for (const HistogramSample& s : samples) column.push_back(s.h.*member);
  put_column(out, column);
}

template <class Member>
bool get_member(ByteReader& in, std::span<HistogramSample> samples, Member member) {
  std::vector<double> column;
  if (!get_column(in, samples.size(), column)) return false;
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].h.*member = column[i];
  return true;
}

std::unexpected<Error> damaged(std::string_view where) {
  return fail(Code::corrupt, "histogram block: damaged " + std::string(where));
}

}  // namespace

std::size_t encode_histograms(std::span<const HistogramSample> all, std::string& bytes) {
  const std::span<const HistogramSample> samples = all.first(samples_that_fit(all));
  ByteWriter out;
  out.u8(version);
  out.varint(samples.size());
  if (!samples.empty()) {
    std::vector<std::int64_t> times, layout_of, mark_of;
    std::map<std::string, std::size_t> known;
    std::vector<std::vector<std::size_t>> places;  // of the samples of each layout
    ByteWriter layouts;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto [it, fresh] = known.try_emplace(layout_bytes(samples[i].h.layout), known.size());
      if (fresh) {
        layouts.raw(it->first);
        places.emplace_back();
      }
      places[it->second].push_back(i);
      layout_of.push_back(static_cast<std::int64_t>(it->second));
      mark_of.push_back(marks(samples[i].h));
      times.push_back(samples[i].t);
    }
    std::string time_bytes;
    encode_times(times, time_bytes);
    out.sized(time_bytes);
    out.varint(places.size());
    out.raw(layouts.str());
    if (places.size() > 1) encode_ints(out, layout_of);
    encode_ints(out, mark_of);
    put_member(out, samples, &Histogram::count);
    put_member(out, samples, &Histogram::sum);
    put_member(out, samples, &Histogram::zero_count);
    for (const std::vector<std::size_t>& of_layout : places) {
      put_buckets(out, samples, of_layout, &Histogram::positive);
      put_buckets(out, samples, of_layout, &Histogram::negative);
    }
  }
  // What is sealed is no longer anywhere else: read it back before it is trusted.
  std::vector<HistogramSample> again;
  const Status read = decode_histograms(out.str(), again);
  PLUMBLINE_CHECK(read && std::ranges::equal(again, samples, [](const HistogramSample& a, const HistogramSample& b) {
                    return a.t == b.t && same_bits(a.h, b.h);
                  }), "a histogram block reads back as it was written");
  bytes += out.str();
  return samples.size();
}

Status decode_histograms(std::string_view bytes, std::vector<HistogramSample>& out) {
  ByteReader in(bytes);
  const std::uint8_t v = in.u8();
  if (in.ok() && v > version)
    return fail(Code::unsupported, "histogram block: version " + std::to_string(v) + ", this build reads up to " +
                                       std::to_string(version));
  const std::uint64_t n = in.varint();
  if (!in.ok() || v == 0 || n > histogram_block_samples_max) return damaged("header");
  std::vector<HistogramSample> samples(n);
  if (n > 0) {
    std::vector<std::int64_t> times(n), layout_of, mark_of;
    PLUMBLINE_CHECK_OK(decode_times(in.sized(), times));
    const std::uint64_t layout_count = in.varint();
    if (!in.ok() || layout_count == 0 || layout_count > n) return damaged("layout count");
    std::vector<Layout> layouts(layout_count);
    for (Layout& l : layouts)
      if (!get_layout(in, l)) return damaged("layout");
    if (layout_count == 1)
      layout_of.assign(n, 0);
    else if (!decode_ints(in, n, layout_of))
      return damaged("layouts of samples");
    if (!decode_ints(in, n, mark_of)) return damaged("marks");
    std::vector<std::vector<std::size_t>> places(layout_count);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (layout_of[i] < 0 || static_cast<std::uint64_t>(layout_of[i]) >= layout_count) return damaged("layouts of samples");
      if (mark_of[i] < 0 || mark_of[i] > 7) return damaged("marks");
      const Layout& l = layouts[static_cast<std::size_t>(layout_of[i])];
      taken += cells(l.layout, l.positive + l.negative);
      if (i > 0 && taken > histogram_block_cells_max) return damaged("layouts: they make more cells than a block has");
      places[static_cast<std::size_t>(layout_of[i])].push_back(i);
      samples[i].t = times[i];
      samples[i].h.layout = l.layout;
      samples[i].h.is_integer = (mark_of[i] & 1) != 0;
      samples[i].h.reset = static_cast<model::ResetHint>(mark_of[i] >> 1);
    }
    if (!get_member(in, samples, &Histogram::count) || !get_member(in, samples, &Histogram::sum) ||
        !get_member(in, samples, &Histogram::zero_count))
      return damaged("counts");
    for (std::size_t l = 0; l < layouts.size(); ++l) {
      if (places[l].empty()) return damaged("layout: no sample has it");
      if (!get_buckets(in, samples, places[l], &Histogram::positive, layouts[l].positive) ||
          !get_buckets(in, samples, places[l], &Histogram::negative, layouts[l].negative))
        return damaged("buckets");
    }
  }
  if (!in.ok() || !in.done()) return damaged("end");
  std::ranges::move(samples, std::back_inserter(out));
  return {};
}

}  // namespace plumbline::storage::codec
