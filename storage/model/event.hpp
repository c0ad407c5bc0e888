// Events (rows): log lines, spans, inference records and exemplars. A row has a time in Unix nanoseconds and typed fields; it belongs
// to a stream, the label set that rows share. Which fields a kind uses is fixed here, for writers and readers alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "storage/model/labels.hpp"

namespace plumbline::model {

enum class EventKind : std::uint8_t { log = 1, span = 2, inference = 3, exemplar = 4 };
inline constexpr EventKind event_kinds[] = {EventKind::log, EventKind::span, EventKind::inference, EventKind::exemplar};
// Of a byte from disk.
constexpr std::optional<EventKind> event_kind_of(std::uint8_t byte) {
  for (const EventKind kind : event_kinds)
    if (static_cast<std::uint8_t>(kind) == byte) return kind;
  return std::nullopt;
}

using List = std::vector<double>;
// monostate is null.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string, List>;

struct Field {
  std::string name;
  Value value;
  bool operator==(const Field&) const = default;
};

struct Row {
  std::int64_t time_ns = 0;
  std::vector<Field> fields;  // unique names, in the writer's order
  const Value* find(std::string_view name) const {
    for (const Field& f : fields)
      if (f.name == name) return &f.value;
    return nullptr;
  }
};

struct StreamRows {
  EventKind kind = EventKind::log;
  Labels stream;
  std::vector<Row> rows;
};

// A ground-truth label that came after its record; joined at read by (model, prediction_id). Last write wins.
struct LateLabel {
  std::string model;
  std::string prediction_id;
  Value label;
  std::int64_t time_ns = 0;
};

// Field names. All ids are lowercase hex strings; absent means absent, never "".
namespace field {
// Every kind may have these; all three are indexed for look-up by id.
inline constexpr std::string_view trace_id = "trace_id";
inline constexpr std::string_view span_id = "span_id";
inline constexpr std::string_view prediction_id = "prediction_id";
// Log lines: `line`, and any other field is structured metadata (a string).
inline constexpr std::string_view line = "line";
// Spans. Stream labels: service_name, span_name. Attributes are attr.<key>, resource.<key> (typed), lists as JSON text.
inline constexpr std::string_view parent_span_id = "parent_span_id";
inline constexpr std::string_view span_name = "name";
inline constexpr std::string_view span_kind = "kind";                      // i64, OTLP's SpanKind
inline constexpr std::string_view duration_ns = "duration_ns";             // i64
inline constexpr std::string_view status_code = "status_code";             // i64, OTLP's StatusCode
inline constexpr std::string_view status_message = "status_message";
inline constexpr std::string_view trace_state = "trace_state";
inline constexpr std::string_view span_events = "events";  // JSON: [{"time_ns":"1","name":"x","attributes":{"k":v}}]
inline constexpr std::string_view span_links = "links";    // JSON: [{"trace_id":"..","span_id":"..","attributes":{}}]
inline constexpr std::string_view scope_name = "scope.name";
inline constexpr std::string_view scope_version = "scope.version";
inline constexpr std::string_view attribute_prefix = "attr.";
inline constexpr std::string_view resource_prefix = "resource.";
// Inference records. Stream labels: model, version (absent when the record has none).
inline constexpr std::string_view feature_prefix = "feature.";      // bool, f64 (every number), string, list
inline constexpr std::string_view prediction = "prediction";        // f64, bool or string
inline constexpr std::string_view score = "score";                  // f64
inline constexpr std::string_view class_score_prefix = "score.";    // f64, one per class
inline constexpr std::string_view label = "label";                  // f64, bool or string, when it came with the record
inline constexpr std::string_view segment_prefix = "segment.";      // string, f64 or bool
inline constexpr std::string_view latency_ms = "latency_ms";        // f64
inline constexpr std::string_view status = "status";                // string
// Exemplars: a value of a series that somebody can look into. Stream labels: the series', __name__ included. A label of the
// exemplar is exemplar.<name> (string), but trace_id and span_id, which stand as themselves and are found by id.
inline constexpr std::string_view exemplar_value = "value";         // f64
inline constexpr std::string_view exemplar_prefix = "exemplar.";
}  // namespace field

}  // namespace plumbline::model
