#include "ingest/grpc_push.hpp"

#include <algorithm>
#include <map>

#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp_rows.hpp"
#include "ingest/text/inference.hpp"
#include "plumbline/v1/ingest.pb.h"

namespace plumbline::ingest {
namespace {

namespace f = model::field;

// Maps of protobuf have no order; a row's fields and a refusal's words should not change from run to run.
template <class Map>
auto sorted(const Map& map) {
  std::vector<const typename Map::value_type*> entries;
  entries.reserve(map.size());
  for (const auto& entry : map) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  return entries;
}

template <class Map>
std::vector<model::Label> labels_of(const Map& map) {
  std::vector<model::Label> labels;
  for (const auto* entry : sorted(map)) labels.push_back({entry->first, entry->second});
  return labels;
}

model::Value value_of(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kNumber: return value.number();
    case v1::Value::kText: return value.text();
    case v1::Value::kBoolean: return value.boolean();
    case v1::Value::kList: return model::List(value.list().values().begin(), value.list().values().end());
    case v1::Value::KIND_NOT_SET: return std::monostate{};
  }
  return std::monostate{};
}

template <class Map>
std::vector<std::pair<std::string, model::Value>> values_of(const Map& map) {
  std::vector<std::pair<std::string, model::Value>> out;
  for (const auto* entry : sorted(map)) out.emplace_back(entry->first, value_of(entry->second));
  return out;
}

std::string indexed(std::string_view name, int i) { return std::string(name) + "[" + std::to_string(i) + "]"; }

}  // namespace

Decoded translate_push(const v1::PushMetricsRequest& request, std::int64_t now_ns) {
  storage::WriteBatch batch;
  Rejections refused;
  for (int i = 0; i < request.series_size(); ++i) {
    const v1::Series& series = request.series(i);
    auto labels = series_labels(labels_of(series.labels()));
    if (!labels) {
      refused.add(labels.error().reason, indexed("series", i) + ": " + labels.error().message,
                  static_cast<std::uint64_t>(std::max(1, series.samples_size())));
      continue;
    }
    std::vector<model::Sample> samples;
    samples.reserve(static_cast<std::size_t>(series.samples_size()));
    for (const v1::Sample& s : series.samples())
      samples.push_back({s.time_ms() != 0 ? s.time_ms() : now_ns / 1'000'000, s.value()});
    if (!samples.empty()) batch.series.push_back({std::move(*labels), std::move(samples)});
  }
  for (int i = 0; i < request.metadata_size(); ++i) {
    const v1::Metadata& m = request.metadata(i);
    if (m.metric().empty())
      refused.add("missing_name", indexed("metadata", i) + " has no metric");
    else
      batch.metadata.push_back({m.metric(), m.type().empty() ? "unknown" : m.type(), m.help(), m.unit()});
  }
  return {std::move(batch), refused.take()};
}

Decoded translate_push(const v1::PushLogsRequest& request, std::int64_t now_ns) {
  RowBatch out(model::EventKind::log);
  for (int s = 0; s < request.streams_size(); ++s) {
    const v1::LogStream& stream = request.streams(s);
    const std::vector<model::Label> labels = labels_of(stream.labels());
    for (int i = 0; i < stream.entries_size(); ++i) {
      const v1::LogEntry& entry = stream.entries(i);
      const auto place = [&] { return indexed("streams", s) + "." + indexed("entries", i); };
      RowFields row;
      row.add(std::string(f::line), entry.line());
      bool good = true;
      for (const auto* field : sorted(entry.fields())) {
        if (field->first.empty() || field->first == f::line) {
          out.refuse({"invalid_name", "a field is named " + printable(field->first) + ", which it must not be", 1}, place);
          good = false;
          break;
        }
        row.text(field->first, field->first == f::trace_id || field->first == f::span_id ? to_lower(field->second) : field->second);
      }
      if (good) out.add(labels, row.take(entry.time_ns() != 0 ? entry.time_ns() : now_ns), place);
    }
  }
  return out.take();
}

Decoded translate_push(const v1::PushInferencesRequest& request, std::int64_t now_ns) {
  storage::WriteBatch batch;
  Rejections refused;
  RowNumbers numbers;
  for (int i = 0; i < request.records_size(); ++i) {
    const v1::Inference& r = request.records(i);
    InferenceInput in;
    in.model = r.model();
    in.version = r.version();
    in.prediction_id = r.prediction_id();
    in.trace_id = r.trace_id();
    in.span_id = r.span_id();
    in.status = r.status();
    if (r.time_ns() != 0) in.time_ns = r.time_ns();
    in.features = values_of(r.features());
    in.segment = values_of(r.segment());
    for (const auto* score : sorted(r.class_scores())) in.scores.emplace_back(score->first, score->second);
    in.prediction = value_of(r.prediction());
    in.label = value_of(r.label());
    if (r.has_score()) in.score = r.score();
    if (r.has_latency_ms()) in.latency_ms = r.latency_ms();
    if (const auto group = add_inference(batch, std::move(in), now_ns))
      number_row(numbers, *group, static_cast<std::uint64_t>(i) + 1);
    else
      refused.add(refusal_of(group.error(), indexed("records", i)));
  }
  return {std::move(batch), refused.take(), std::move(numbers)};
}

Decoded translate_push(const v1::PushLabelsRequest& request, std::int64_t now_ns) {
  storage::WriteBatch batch;
  Rejections refused;
  for (int i = 0; i < request.labels_size(); ++i) {
    const v1::LateLabel& l = request.labels(i);
    const Status added = add_late_label(batch, {l.model(), l.prediction_id(), value_of(l.label()),
                                                l.time_ns() != 0 ? l.time_ns() : now_ns});
    if (!added) refused.add(refusal_of(added.error(), indexed("labels", i)));
  }
  return {std::move(batch), refused.take()};
}

}  // namespace plumbline::ingest
