#include "ingest/remote_write.hpp"

#include <protozero/pbf_reader.hpp>

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/wire_samples.hpp"

namespace plumbline::ingest {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::tag_and_type;

// Each field is looked at as tag and wire type together: protozero trusts its caller about the wire type, and a field with
// a foreign one is unknown, which protobuf says to skip.
constexpr auto bytes_field(std::uint32_t tag) { return tag_and_type(tag, pbf_wire_type::length_delimited); }
constexpr auto varint_field(std::uint32_t tag) { return tag_and_type(tag, pbf_wire_type::varint); }
constexpr auto double_field(std::uint32_t tag) { return tag_and_type(tag, pbf_wire_type::fixed64); }

std::string text_of(pbf_reader& reader) {
  const protozero::data_view view = reader.get_view();
  return std::string(view.data(), view.size());
}

model::Label read_label(pbf_reader reader) {
  model::Label label;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): label.name = text_of(reader); break;
      case bytes_field(2): label.value = text_of(reader); break;
      default: reader.skip();
    }
  return label;
}

model::Sample read_sample(pbf_reader reader) {
  model::Sample sample;
  while (reader.next()) switch (reader.tag_and_type()) {
      case double_field(1): sample.v = reader.get_double(); break;
      case varint_field(2): sample.t = reader.get_int64(); break;
      default: reader.skip();
    }
  return sample;
}

struct Refused {
  Rejections list;
  Budget budget;
  void histograms(std::string place, std::uint64_t count) {
    list.add("unsupported_histogram", std::move(place) + ": native histograms are not supported yet", count);
  }
  void exemplars(std::string place, std::uint64_t count) {
    list.add("unsupported_exemplar", std::move(place) + ": exemplars are not supported yet", count);
  }
};

void read_series(pbf_reader reader, std::size_t index, storage::WriteBatch& batch, Refused& refused) {
  std::vector<model::Label> labels;
  std::vector<model::Sample> samples;
  std::uint64_t exemplars = 0, histograms = 0;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): labels.push_back(read_label(reader.get_message())); break;
      case bytes_field(2): samples.push_back(read_sample(reader.get_message())); break;
      case bytes_field(3): ++exemplars, reader.skip(); break;
      case bytes_field(4): ++histograms, reader.skip(); break;
      default: reader.skip();
    }
  const auto place = [&] { return "timeseries " + std::to_string(index); };
  auto checked = series_labels(std::move(labels));
  if (!checked) {
    refused.list.add(checked.error().reason, place() + ": " + checked.error().message,
                     std::max<std::uint64_t>(1, samples.size() + histograms));
    return;
  }
  if (histograms > 0) refused.histograms(place() + " " + checked->str(), histograms);
  if (exemplars > 0) refused.exemplars(place() + " " + checked->str(), exemplars);
  if (samples.empty()) return;
  if (!refused.budget.take(*checked) || !refused.budget.take(samples.size() * sizeof(model::Sample)))
    return refused.list.add(over_budget().reason, place() + ": " + over_budget().message, samples.size());
  batch.series.push_back({std::move(*checked), std::move(samples)});
}

std::string_view type_name(std::int32_t type) {
  switch (type) {
    case 1: return "counter";
    case 2: return "gauge";
    case 3: return "histogram";
    case 4: return "gaugehistogram";
    case 5: return "summary";
    case 6: return "info";
    case 7: return "stateset";
    default: return "unknown";
  }
}

void read_metadata(pbf_reader reader, std::size_t index, storage::WriteBatch& batch, Refused& refused) {
  storage::MetricMetadata meta;
  meta.type = "unknown";
  while (reader.next()) switch (reader.tag_and_type()) {
      case varint_field(1): meta.type = type_name(reader.get_enum()); break;
      case bytes_field(2): meta.metric = text_of(reader); break;
      case bytes_field(4): meta.help = text_of(reader); break;
      case bytes_field(5): meta.unit = text_of(reader); break;
      default: reader.skip();
    }
  const std::string place = "metadata " + std::to_string(index);
  if (meta.metric.empty()) {
    refused.list.add("missing_name", place + " has no metric name");
  } else if (!valid_utf8(meta.metric) || !valid_utf8(meta.help) || !valid_utf8(meta.unit)) {
    refused.list.add("invalid_utf8", place + " of " + printable(meta.metric) + " is not valid UTF-8");
  } else {
    batch.metadata.push_back(std::move(meta));
  }
}

// Prometheus' receiver drops exemplars without a word when it keeps none. An answer of 400 for them alone would make every
// sender with exemplars switched on count its samples as failed, though all of them are stored; the counter tells.
bool only_exemplars(const Receipt& receipt) {
  for (const Rejection& r : receipt.rejections)
    if (r.reason != "unsupported_exemplar") return false;
  return true;
}

// The media type and its proto= parameter. An absent header means 1.0, as Prometheus' own receiver takes it.
Status check_content_type(const http::Request& request) {
  const std::string type = request.content_type();
  const std::string whole = to_lower(request.header("content-type"));
  if (!type.empty() && type != "application/x-protobuf")
    return fail(Code::unsupported, "remote write wants Content-Type application/x-protobuf, got " + printable(type));
  if (whole.find("io.prometheus.write.v2.request") != std::string::npos)
    return fail(Code::unsupported,
                "remote write 2.0 is not supported yet; send 1.0 (Content-Type application/x-protobuf, "
                "protobuf_message: prometheus.WriteRequest)");
  const std::string encoding = to_lower(trim(request.header("content-encoding")));
  if (!encoding.empty() && encoding != "snappy")
    return fail(Code::unsupported, "remote write wants Content-Encoding snappy, got " + printable(encoding));
  return {};
}

Result<Receipt> receive(Sink& sink, Limits limits, const http::Request& request) {
  PLUMBLINE_CHECK_OK(check_content_type(request));
  // Kept for the thread's next request, unless this one was far larger than they usually are.
  thread_local std::string buffer;
  constexpr std::size_t kept_max = 4u << 20;
  PLUMBLINE_TRY(const std::string_view message, unsnappy(request.body, limits.inflated_bytes_max, buffer));
  Result<Decoded> decoded = decode_remote_write(message);
  Result<Receipt> receipt = decoded ? sink.accept("remote_write", std::move(*decoded)) : fail(std::move(decoded).error());
  if (buffer.capacity() > kept_max) std::string().swap(buffer);
  return receipt;
}

}  // namespace

Result<Decoded> decode_remote_write(std::string_view message) {
  Decoded out;
  Refused refused;
  std::size_t series = 0, metadata = 0;
  // What Prometheus sends at most by default; of a smaller message not more than it can hold.
  const std::size_t expected = std::min<std::size_t>(2048, message.size() / 32);
  out.batch.wire.series.reserve(expected);
  out.batch.wire.samples.reserve(expected);
  try {
    pbf_reader reader(message.data(), message.size());
    while (reader.next()) switch (reader.tag_and_type()) {
        case bytes_field(1): {
          const protozero::data_view view = reader.get_view();
          const std::size_t index = series++;
          if (!read_wire_series({view.data(), view.size()}, out.batch.wire))
            read_series(pbf_reader(view), index, out.batch, refused);
          break;
        }
        case bytes_field(3): read_metadata(reader.get_message(), metadata++, out.batch, refused); break;
        default: reader.skip();
      }
  } catch (const protozero::exception& e) {
    return fail(Code::invalid_input, "remote write: the body is not a prometheus.WriteRequest: " + std::string(e.what()) +
                                         " after " + std::to_string(series) + " timeseries and " +
                                         std::to_string(metadata) + " metadata");
  }
  out.rejections = refused.list.take();
  return out;
}

http::Routes remote_write_routes(Sink& sink, Limits limits) {
  const auto handle = [&sink, limits](const http::Request& request) {
    const Result<Receipt> receipt = receive(sink, limits, request);
    if (!receipt) return http::Response::error(receipt.error());
    if (receipt->refused() == 0 || only_exemplars(*receipt)) return http::Response::empty(204);
    return http::Response::text(receipt->summary() + "; " + std::to_string(receipt->samples) + " samples stored\n", 400);
  };
  return {{"POST", "/api/v1/write", handle, http::Lane::ingest, limits.body_bytes_max}};
}

}  // namespace plumbline::ingest
