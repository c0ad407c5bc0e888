#include "ingest/remote_write_histogram.hpp"

#include <limits>

#include "ingest/remote_write_parts.hpp"

namespace plumbline::ingest::remote_write {
namespace {

// Both limits before anything is allocated: a bucket takes one byte on the wire and eight here.
constexpr std::size_t entries_max = model::limit::histogram_buckets_max;

// One side of the histogram as it is sent.
struct Side {
  std::vector<std::int64_t> deltas;
  std::vector<double> counts;
  std::vector<model::BucketSpan> spans;
};

struct Wire {
  std::uint64_t count_int = 0, zero_int = 0;
  double count_float = 0, zero_float = 0;
  std::int64_t reset = 0, t = 0, schema = 0;
  Side positive, negative;
  model::Histogram h;
  bool too_long = false;

  template <class Range, class T>
  void append(const Range& range, std::vector<T>& out) {
    for (const T v : range) push(v, out);
  }
  template <class T>
  void push(T v, std::vector<T>& out) {
    if (out.size() >= entries_max)
      too_long = true;
    else
      out.push_back(v);
  }
};

model::BucketSpan read_span(pbf_reader reader) {
  model::BucketSpan span;
  while (reader.next()) switch (reader.tag_and_type()) {
      case varint_field(1): span.offset = reader.get_sint32(); break;
      case varint_field(2): span.length = reader.get_uint32(); break;
      default: reader.skip();
    }
  return span;
}

// Repeated numbers may stand packed or one by one.
Wire read_fields(pbf_reader reader) {
  Wire w;
  while (reader.next()) switch (reader.tag_and_type()) {
      case varint_field(1): w.count_int = reader.get_uint64(), w.h.is_integer = true; break;
      case double_field(2): w.count_float = reader.get_double(), w.h.is_integer = false; break;
      case double_field(3): w.h.sum = reader.get_double(); break;
      case varint_field(4): w.schema = reader.get_sint32(); break;
      case double_field(5): w.h.layout.zero_threshold = reader.get_double(); break;
      case varint_field(6): w.zero_int = reader.get_uint64(); break;
      case double_field(7): w.zero_float = reader.get_double(); break;
      case bytes_field(8): w.push(read_span(reader.get_message()), w.negative.spans); break;
      case bytes_field(9): w.append(reader.get_packed_sint64(), w.negative.deltas); break;
      case varint_field(9): w.push(reader.get_sint64(), w.negative.deltas); break;
      case bytes_field(10): w.append(reader.get_packed_double(), w.negative.counts); break;
      case double_field(10): w.push(reader.get_double(), w.negative.counts); break;
      case bytes_field(11): w.push(read_span(reader.get_message()), w.positive.spans); break;
      case bytes_field(12): w.append(reader.get_packed_sint64(), w.positive.deltas); break;
      case varint_field(12): w.push(reader.get_sint64(), w.positive.deltas); break;
      case bytes_field(13): w.append(reader.get_packed_double(), w.positive.counts); break;
      case double_field(13): w.push(reader.get_double(), w.positive.counts); break;
      case varint_field(14): w.reset = reader.get_enum(); break;
      case varint_field(15): w.t = reader.get_int64(); break;
      case bytes_field(16): w.append(reader.get_packed_double(), w.h.layout.custom_bounds); break;
      case double_field(16): w.push(reader.get_double(), w.h.layout.custom_bounds); break;
      default: reader.skip();
    }
  return w;
}

// False when a sum of differences leaves 64 bits; a negative one is found by the check of counts.
bool counts_of(const Side& side, bool is_integer, std::vector<double>& out) {
  if (!is_integer) {
    out = side.counts;
    return true;
  }
  std::int64_t count = 0;
  for (const std::int64_t delta : side.deltas) {
    if (__builtin_add_overflow(count, delta, &count)) return false;
    out.push_back(static_cast<double>(count));
  }
  return true;
}

Rejection bad(std::string message) { return {"bad_histogram", std::move(message), 1}; }

}  // namespace

std::expected<model::HistogramSample, Rejection> read_histogram(std::string_view message) {
  Wire w = read_fields(pbf_reader(message.data(), message.size()));
  if (w.too_long)
    return std::unexpected(bad("it has more than " + std::to_string(entries_max) + " buckets, spans or bounds on a side"));
  model::Histogram& h = w.h;
  if (w.reset < 0 || w.reset > 3) return std::unexpected(bad("its reset hint is " + std::to_string(w.reset) + "; known are 0 to 3"));
  h.reset = static_cast<model::ResetHint>(w.reset);
  h.layout.schema = static_cast<int>(w.schema);
  h.count = h.is_integer ? static_cast<double>(w.count_int) : w.count_float;
  h.zero_count = h.is_integer ? static_cast<double>(w.zero_int) : w.zero_float;
  if (!counts_of(w.positive, h.is_integer, h.positive) || !counts_of(w.negative, h.is_integer, h.negative))
    return std::unexpected(bad("its bucket differences add up to more than 64 bits"));
  h.layout.positive_spans = std::move(w.positive.spans);
  h.layout.negative_spans = std::move(w.negative.spans);
  if (Status status = model::check_histogram(h); !status) return std::unexpected(bad(std::move(status.error().message)));
  return model::HistogramSample{w.t, std::move(h)};
}

void SeriesHistograms::add(std::string_view message, Budget& budget) {
  auto read = read_histogram(message);
  if (!read) {
    if (bad++ == 0) first_trouble = std::move(read.error().message);
  } else if (budget.take(model::samples_worth(read->h) * sizeof(model::Sample))) {
    samples.push_back(std::move(*read));
  } else {
    ++over;
  }
}

}  // namespace plumbline::ingest::remote_write
