#include "ingest/remote_write.hpp"

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/remote_write_parts.hpp"
#include "ingest/wire_samples.hpp"

namespace plumbline::ingest {
namespace {

using namespace remote_write;

std::string text_of(pbf_reader& reader) { return std::string(view_of(reader)); }

model::Label read_label(pbf_reader reader) {
  model::Label label;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): label.name = text_of(reader); break;
      case bytes_field(2): label.value = text_of(reader); break;
      default: reader.skip();
    }
  return label;
}

// One more than a series may have is refused as too many: the rest is not kept. An empty label is two bytes on the wire.
void add_label(pbf_reader& reader, std::vector<model::Label>& labels) {
  if (labels.size() > model::limit::series_labels_max) return reader.skip();
  labels.push_back(read_label(reader.get_message()));
}

Exemplar read_exemplar(pbf_reader reader) {
  Exemplar out;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): add_label(reader, out.labels); break;
      case double_field(2): out.value = reader.get_double(); break;
      case varint_field(3): out.time_ms = reader.get_int64(); break;
      default: reader.skip();
    }
  return out;
}

void read_series(pbf_reader reader, std::size_t index, storage::WriteBatch& batch, Refused& refused) {
  std::vector<model::Label> labels;
  std::vector<model::Sample> samples;
  std::vector<Exemplar> exemplars;
  SeriesHistograms histograms;
  std::uint64_t over = 0;  // samples beyond the budget
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): add_label(reader, labels); break;
      case bytes_field(2):
        if (!refused.budget.take(sizeof(model::Sample))) {
          ++over;
          reader.skip();
          break;
        }
        samples.push_back(read_sample(reader.get_message()));
        break;
      case bytes_field(3):
        if (exemplars.size() > exemplars_per_series_max) {
          reader.skip();  // one more than may be is refused: the rest need not be kept for that
          break;
        }
        exemplars.push_back(read_exemplar(reader.get_message()));
        break;
      case bytes_field(4): histograms.add(view_of(reader), refused.budget); break;
      default: reader.skip();
    }
  const auto place = [&] { return "timeseries " + std::to_string(index); };
  auto checked = series_labels(std::move(labels));
  if (!checked) {
    refused.list.add(checked.error().reason, place() + ": " + checked.error().message,
                     std::max<std::uint64_t>(1, samples.size() + over + histograms.total()));
    return;
  }
  const std::string name = place() + " " + checked->str();
  if (!exemplars.empty()) add_exemplars(*checked, std::move(exemplars), name, refused.budget, batch, refused.list);
  if (over > 0) refused.list.add(over_budget().reason, name + ": " + over_budget().message, over);
  refused.keep(name, std::move(*checked), std::move(samples), std::move(histograms), batch);
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
  } else if (!valid_utf8_texts(meta)) {
    refused.list.add("invalid_utf8", place + " of " + printable(meta.metric) + " is not valid UTF-8");
  } else {
    batch.metadata.push_back(std::move(meta));
  }
}

enum class Version { v1, v2 };

// The value of the proto parameter of a Content-Type, lower case; "" when there is none.
std::string proto_parameter(std::string_view content_type) {
  while (!content_type.empty()) {
    const std::size_t end = std::min(content_type.find(';'), content_type.size());
    const std::string part = to_lower(trim(content_type.substr(0, end)));
    content_type.remove_prefix(std::min(end + 1, content_type.size()));
    if (!part.starts_with("proto=")) continue;
    std::string_view value = trim(std::string_view(part).substr(6));
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"')) value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return {};
}

// The media type and its proto= parameter. An absent header means 1.0, as Prometheus' own receiver takes it.
Result<Version> version_of(const http::Request& request) {
  const std::string type = request.content_type();
  if (!type.empty() && type != "application/x-protobuf")
    return fail(Code::unsupported, "remote write wants Content-Type application/x-protobuf, got " + printable(type));
  const std::string proto = proto_parameter(request.header("content-type"));
  const bool v2 = proto == "io.prometheus.write.v2.request";
  if (!v2 && !proto.empty() && proto != "prometheus.writerequest")
    return fail(Code::unsupported,
                "remote write knows prometheus.WriteRequest (1.0) and io.prometheus.write.v2.Request (2.0), got proto=" +
                    printable(proto));
  const std::string encoding = to_lower(trim(request.header("content-encoding")));
  if (!encoding.empty() && encoding != "snappy")
    return fail(Code::unsupported, "remote write wants Content-Encoding snappy, got " + printable(encoding));
  return v2 ? Version::v2 : Version::v1;
}

Result<Receipt> receive(Sink& sink, Limits limits, const http::Request& request, Version version) {
  // Kept for the thread's next request, unless this one was far larger than they usually are.
  thread_local std::string buffer;
  constexpr std::size_t kept_max = 4u << 20;
  PLUMBLINE_TRY(const std::string_view message, unsnappy(request.body, limits.inflated_bytes_max, buffer));
  Result<Decoded> decoded = version == Version::v2 ? decode_remote_write_v2(message) : decode_remote_write(message);
  Result<Receipt> receipt = decoded ? sink.accept("remote_write", std::move(*decoded)) : fail(std::move(decoded).error());
  if (buffer.capacity() > kept_max) std::string().swap(buffer);
  return receipt;
}

http::Response answer(const Result<Receipt>& receipt) {
  if (!receipt) return http::Response::error(receipt.error());
  if (refused_but_exemplars(*receipt) == 0) return http::Response::empty(204);
  return http::Response::text(receipt->summary() + "; " + std::to_string(receipt->samples + receipt->histograms) + " samples stored\n", 400);
}

// What 2.0 demands of every answer once the version is agreed on, and 1.0 must not have: a sender that misses them takes
// the receiver for one of 1.0 that read its request as garbage.
void tell_written(http::Response& response, const Receipt& receipt) {
  response.with("X-Prometheus-Remote-Write-Samples-Written", std::to_string(receipt.samples))
      .with("X-Prometheus-Remote-Write-Histograms-Written", std::to_string(receipt.histograms))
      .with("X-Prometheus-Remote-Write-Exemplars-Written", std::to_string(receipt.rows));
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
    const Result<Version> version = version_of(request);
    if (!version) return http::Response::error(version.error());
    const Result<Receipt> receipt = receive(sink, limits, request, *version);
    http::Response response = answer(receipt);
    if (*version == Version::v2) tell_written(response, receipt ? *receipt : Receipt{});
    return response;
  };
  return {{"POST", "/api/v1/write", handle, http::Lane::ingest, limits.body_bytes_max}};
}

}  // namespace plumbline::ingest
