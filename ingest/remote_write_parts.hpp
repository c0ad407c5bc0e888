// What the decoders of remote write 1.0 and 2.0 share: fields by tag and wire type, samples, metric types, refusals.
#pragma once

#include <protozero/pbf_reader.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/text.hpp"
#include "ingest/exemplar.hpp"
#include "ingest/limits.hpp"
#include "ingest/remote_write_histogram.hpp"

namespace plumbline::ingest::remote_write {

using protozero::pbf_reader;

// Each field is looked at as tag and wire type together: protozero trusts its caller about the wire type, and a field with
// a foreign one is unknown, which protobuf says to skip.
constexpr auto bytes_field(std::uint32_t tag) {
  return protozero::tag_and_type(tag, protozero::pbf_wire_type::length_delimited);
}
constexpr auto varint_field(std::uint32_t tag) { return protozero::tag_and_type(tag, protozero::pbf_wire_type::varint); }
constexpr auto double_field(std::uint32_t tag) { return protozero::tag_and_type(tag, protozero::pbf_wire_type::fixed64); }

inline std::string_view view_of(pbf_reader& reader) {
  const protozero::data_view view = reader.get_view();
  return {view.data(), view.size()};
}

// The same message in both versions, but for fields that are not kept.
inline model::Sample read_sample(pbf_reader reader) {
  model::Sample sample;
  while (reader.next()) switch (reader.tag_and_type()) {
      case double_field(1): sample.v = reader.get_double(); break;
      case varint_field(2): sample.t = reader.get_int64(); break;
      default: reader.skip();
    }
  return sample;
}

inline std::string_view type_name(std::int32_t type) {
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

inline bool valid_utf8_texts(const storage::MetricMetadata& meta) {
  return valid_utf8(meta.metric) && valid_utf8(meta.help) && valid_utf8(meta.unit);
}

struct Refused {
  Rejections list;
  Budget budget;
  // What may be stored of a series: `place` names it. The caller has counted the samples.
  void keep(const std::string& place, model::Labels labels, std::vector<model::Sample> samples, SeriesHistograms histograms,
            storage::WriteBatch& batch) {
    if (histograms.bad > 0) list.add("bad_histogram", place + ": " + histograms.first_trouble, histograms.bad);
    const auto no_room = [&](std::uint64_t count) { list.add(over_budget().reason, place + ": " + over_budget().message, count); };
    if (histograms.over > 0) no_room(histograms.over);
    if (!samples.empty()) {
      if (!budget.take(labels))
        no_room(samples.size());
      else
        batch.series.push_back({labels, std::move(samples)});
    }
    if (histograms.samples.empty()) return;
    if (!budget.take(labels)) return no_room(histograms.samples.size());
    batch.histograms.push_back({std::move(labels), std::move(histograms.samples)});
  }
};

}  // namespace plumbline::ingest::remote_write
