// Remote read: Prometheus, Thanos and promtool fetch raw samples. Both answers of upstream: SAMPLES (one snappy message) and
// STREAMED_XOR_CHUNKS (frames of chunks). Field numbers: prompb/remote.proto and prompb/types.proto.
#include <algorithm>

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "daemon/base/bytes.hpp"
#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "query/api/histogram_chunk.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/xor_chunk.hpp"

namespace plumbline::query {

namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;

// As upstream's storage.remote.read-sample-limit and read-max-bytes-in-frame.
constexpr std::uint64_t samples_max = 50'000'000;
constexpr std::size_t frame_bytes_max = 1u << 20;
// A request is a few matchers; Prometheus asks one query at a time.
constexpr std::size_t request_bytes_max = 4u << 20;
constexpr std::size_t queries_max = 100;

enum class Form { samples = 0, chunks = 1 };

struct ReadRequest {
  std::vector<storage::SeriesQuery> queries;
  Form form = Form::samples;
};

Result<model::Matcher> read_matcher(pbf_reader in) {
  std::int32_t type = 0;
  std::string name, value;
  while (in.next()) switch (in.tag_and_type()) {
      case protozero::tag_and_type(1, protozero::pbf_wire_type::varint): type = in.get_enum(); break;
      case protozero::tag_and_type(2, protozero::pbf_wire_type::length_delimited): name = in.get_string(); break;
      case protozero::tag_and_type(3, protozero::pbf_wire_type::length_delimited): value = in.get_string(); break;
      default: in.skip();
    }
  static constexpr model::MatchOp ops[] = {model::MatchOp::equal, model::MatchOp::not_equal, model::MatchOp::regex,
                                           model::MatchOp::not_regex};
  if (type < 0 || type > 3) return fail(Code::invalid_input, "invalid matcher type " + std::to_string(type));
  return model::Matcher::make(ops[type], std::move(name), std::move(value));
}

Result<storage::SeriesQuery> read_query(pbf_reader in) {
  storage::SeriesQuery out;
  out.range = {0, 0};
  out.samples_max = samples_max;
  while (in.next()) switch (in.tag_and_type()) {
      case protozero::tag_and_type(1, protozero::pbf_wire_type::varint): out.range.min = in.get_int64(); break;
      case protozero::tag_and_type(2, protozero::pbf_wire_type::varint): out.range.max = in.get_int64(); break;
      case protozero::tag_and_type(3, protozero::pbf_wire_type::length_delimited): {
        PLUMBLINE_TRY(model::Matcher matcher, read_matcher(in.get_message()));
        out.matchers.push_back(std::move(matcher));
        break;
      }
      default: in.skip();  // hints: what is sent is exact without them
    }
  return out;
}

Result<ReadRequest> parse(std::string_view bytes) {
  ReadRequest out;
  bool chosen = false;
  const auto accept = [&](std::int32_t form) {
    if (chosen || (form != 0 && form != 1)) return;  // the first that is known, as upstream negotiates
    out.form = static_cast<Form>(form);
    chosen = true;
  };
  try {
    pbf_reader in(bytes.data(), bytes.size());
    while (in.next()) switch (in.tag_and_type()) {
        case protozero::tag_and_type(1, protozero::pbf_wire_type::length_delimited): {
          PLUMBLINE_TRY(storage::SeriesQuery query, read_query(in.get_message()));
          if (out.queries.size() == queries_max)
            return fail(Code::invalid_input, "remote read: more than " + std::to_string(queries_max) + " queries in a request");
          out.queries.push_back(std::move(query));
          break;
        }
        case protozero::tag_and_type(2, protozero::pbf_wire_type::varint): accept(in.get_enum()); break;
        case protozero::tag_and_type(2, protozero::pbf_wire_type::length_delimited):
          for (const auto form : in.get_packed_enum()) accept(form);
          break;
        default: in.skip();
      }
  } catch (const protozero::exception& e) {
    return fail(Code::invalid_input, std::string("remote read: the body is not a prometheus.ReadRequest: ") + e.what());
  }
  return out;
}

void write_labels(pbf_writer& out, const Labels& labels) {
  for (const model::Label& l : labels) {
    pbf_writer label(out, 1);
    label.add_string(1, l.name);
    label.add_string(2, l.value);
  }
}

// A series in the answer's bytes, made while its samples are at hand: of the whole answer only one form is ever held.
struct Encoded {
  Labels labels;
  std::string bytes;
};

void write_spans(pbf_writer& out, protozero::pbf_tag_type tag, const std::vector<model::BucketSpan>& spans) {
  for (const model::BucketSpan& s : spans) {
    pbf_writer span(out, tag);
    span.add_sint32(1, s.offset);
    span.add_uint32(2, s.length);
  }
}

// Integer histograms carry differences between buckets.
void write_counts(pbf_writer& out, bool integer, protozero::pbf_tag_type deltas_tag, protozero::pbf_tag_type counts_tag,
                  const std::vector<double>& counts) {
  if (!integer) return out.add_packed_double(counts_tag, counts.begin(), counts.end());
  std::vector<std::int64_t> deltas;
  std::int64_t before = 0;
  for (const double v : counts) {
    const auto count = static_cast<std::int64_t>(v);
    deltas.push_back(count - before);
    before = count;
  }
  out.add_packed_sint64(deltas_tag, deltas.begin(), deltas.end());
}

void write_histogram(pbf_writer& series, const model::HistogramSample& sample) {
  const model::Histogram& h = sample.h;
  pbf_writer out(series, 4);
  if (h.is_integer) {
    out.add_uint64(1, static_cast<std::uint64_t>(h.count));
  } else {
    out.add_double(2, h.count);
  }
  out.add_double(3, h.sum);
  out.add_sint32(4, h.layout.schema);
  out.add_double(5, h.layout.zero_threshold);
  if (h.is_integer) {
    out.add_uint64(6, static_cast<std::uint64_t>(h.zero_count));
  } else {
    out.add_double(7, h.zero_count);
  }
  write_spans(out, 8, h.layout.negative_spans);
  write_counts(out, h.is_integer, 9, 10, h.negative);
  write_spans(out, 11, h.layout.positive_spans);
  write_counts(out, h.is_integer, 12, 13, h.positive);
  out.add_enum(14, static_cast<std::int32_t>(h.reset));
  out.add_int64(15, sample.t);
  out.add_packed_double(16, h.layout.custom_bounds.begin(), h.layout.custom_bounds.end());
}

std::string encode_samples(const Labels& labels, const storage::SeriesPoints& points) {
  std::string bytes;
  pbf_writer series(bytes);
  write_labels(series, labels);
  for (const Sample& s : points.samples) {
    pbf_writer sample(series, 2);
    sample.add_double(1, s.v);
    sample.add_int64(2, s.t);
  }
  for (const model::HistogramSample& s : points.histograms) write_histogram(series, s);
  return bytes;
}

std::string chunk_message(std::int64_t from, std::int64_t to, int encoding, const std::string& data) {
  std::string bytes;
  pbf_writer chunk(bytes);
  chunk.add_int64(1, from);
  chunk.add_int64(2, to);
  chunk.add_enum(3, encoding);
  chunk.add_bytes(4, data);
  return bytes;
}

// Chunk messages only, by time; the frame adds the labels to each piece of a series that it cuts. Where a series changes between
// floats and histograms a chunk ends.
std::vector<std::string> encode_chunks(const storage::SeriesPoints& points) {
  std::vector<std::string> out;
  std::span<const Sample> samples = points.samples;
  std::span<const model::HistogramSample> histograms = points.histograms;
  while (!samples.empty() || !histograms.empty()) {
    if (histograms.empty() || (!samples.empty() && samples.front().t <= histograms.front().t)) {
      std::size_t n = std::min(samples.size(), xor_chunk_samples);
      if (!histograms.empty()) {
        const auto end = std::ranges::upper_bound(samples.first(n), histograms.front().t, {}, &Sample::t);
        n = static_cast<std::size_t>(end - samples.begin());
      }
      const auto piece = samples.first(n);
      out.push_back(chunk_message(piece.front().t, piece.back().t, chunk_encoding_xor, encode_xor_chunk(piece)));
      samples = samples.subspan(n);
    } else {
      std::size_t n = histogram_chunk_samples(histograms);
      if (!samples.empty()) {
        const auto end = std::ranges::lower_bound(histograms.first(n), samples.front().t, {}, &model::HistogramSample::t);
        n = static_cast<std::size_t>(end - histograms.begin());
      }
      const auto piece = histograms.first(n);
      out.push_back(chunk_message(piece.front().t, piece.back().t, histogram_chunk_encoding(piece.front().h), encode_histogram_chunk(piece)));
      histograms = histograms.subspan(n);
    }
  }
  return out;
}

void append_frame(std::string& out, const Labels& labels, std::span<const std::string> chunks, std::size_t query) {
  std::string message;
  {
    pbf_writer response(message);
    {
      pbf_writer series(response, 1);
      write_labels(series, labels);
      for (const std::string& chunk : chunks) series.add_message(2, chunk);
    }
    if (query != 0) response.add_int64(2, static_cast<std::int64_t>(query));
  }
  ByteWriter head;
  head.varint(message.size());
  head.be32(crc32c(message));
  out += head.str();
  out += message;
}

// One frame per series, or several when its chunks pass the size of a frame.
std::string encode_frames(const Labels& labels, const storage::SeriesPoints& points, std::size_t query) {
  std::string out;
  const std::vector<std::string> chunks = encode_chunks(points);
  std::span<const std::string> rest = chunks;
  while (!rest.empty()) {
    std::size_t n = 0, bytes = 0;
    while (n < rest.size() && (n == 0 || bytes + rest[n].size() <= frame_bytes_max)) bytes += rest[n++].size();
    append_frame(out, labels, rest.first(n), query);
    rest = rest.subspan(n);
  }
  return out;
}

// Over the limit is 400 here, as upstream: a client that comes later would ask for as much.
http::Response refuse(const Error& error) {
  return http::Response::text(error.message + "\n", error.code == Code::over_limit ? 400 : http_status(error.code));
}

Result<http::Response> answer(const storage::Reader& reader, const ReadRequest& asked) {
  std::string out;
  std::uint64_t samples_left = samples_max;
  for (std::size_t q = 0; q < asked.queries.size(); ++q) {
    storage::SeriesQuery query = asked.queries[q];
    query.samples_max = samples_left;
    std::vector<Encoded> found;
    const auto status = reader.select(query, [&](const Labels& labels, const storage::SeriesPoints& points) {
      std::uint64_t worth = points.samples.size();
      for (const model::HistogramSample& s : points.histograms) worth += model::samples_worth(s.h);
      samples_left -= std::min<std::uint64_t>(samples_left, worth);
      found.push_back({labels, asked.form == Form::chunks ? encode_frames(labels, points, q) : encode_samples(labels, points)});
      return true;
    });
    PLUMBLINE_CHECK_OK(status);
    std::ranges::sort(found, {}, &Encoded::labels);
    if (asked.form == Form::chunks) {
      for (const Encoded& series : found) out += series.bytes;
    } else {
      std::string result;
      pbf_writer writer(result);
      for (const Encoded& series : found) writer.add_message(1, series.bytes);
      pbf_writer(out).add_message(1, result);
    }
  }
  http::Response response;
  if (asked.form == Form::chunks) {
    response.body = std::move(out);
    response.with("Content-Type", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
  } else {
    response.body = snappy(out);
    response.with("Content-Type", "application/x-protobuf").with("Content-Encoding", "snappy");
  }
  return response;
}

Result<http::Response> read(const storage::Reader& reader, const http::Request& request) {
  PLUMBLINE_TRY(const std::string body, unsnappy(request.body, request_bytes_max));
  PLUMBLINE_TRY(const ReadRequest asked, parse(body));
  return answer(reader, asked);
}

}  // namespace

http::Routes remote_read_routes(const storage::Reader& reader) {
  const auto handle = [&reader](const http::Request& request) {
    Result<http::Response> response = read(reader, request);
    return response ? std::move(*response) : refuse(response.error());
  };
  return {{"POST", "/api/v1/read", handle, http::Lane::query, request_bytes_max}};
}

}  // namespace plumbline::query
