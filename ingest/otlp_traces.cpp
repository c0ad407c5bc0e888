// OTLP spans -> rows of kind span, in the fields of storage/model/event.hpp.
#include "daemon/base/json_writer.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp.hpp"
#include "ingest/otlp_rows.hpp"
#include "ingest/otlp_values.hpp"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace plumbline::ingest {
namespace {

namespace pb = opentelemetry::proto::trace::v1;
namespace f = model::field;

std::string events_json(const pb::Span& span) {
  std::string out;
  JsonWriter w(out);
  w.begin_array();
  for (const pb::Span::Event& e : span.events()) {
    w.begin_object().field("time_ns", std::to_string(e.time_unix_nano())).field("name", e.name());
    w.key("attributes").raw(json_of(e.attributes())).end_object();
  }
  w.end_array();
  return out;
}

std::string links_json(const pb::Span& span) {
  std::string out;
  JsonWriter w(out);
  w.begin_array();
  for (const pb::Span::Link& l : span.links()) {
    w.begin_object()
        .field("trace_id", id_hex(l.trace_id(), 16).value_or(""))
        .field("span_id", id_hex(l.span_id(), 8).value_or(""));
    if (!l.trace_state().empty()) w.field("trace_state", l.trace_state());
    w.key("attributes").raw(json_of(l.attributes())).end_object();
  }
  w.end_array();
  return out;
}

// Typed attributes under a prefix; the last of equal keys counts, as in a map.
void add_attributes(RowFields& row, std::string_view prefix, const OtlpAttributes& attributes) {
  for (const otlp_common::KeyValue& kv : attributes) row.set(std::string(prefix) + kv.key(), value_of(kv.value()));
}

std::expected<model::Row, Rejection> row_of(const pb::Span& span, const pb::ScopeSpans& scope,
                                            const OtlpAttributes& resource) {
  const auto bad = [](std::string_view reason, std::string why) {
    return std::unexpected(Rejection{std::string(reason), std::move(why), 1});
  };
  const auto trace_id = id_hex(span.trace_id(), 16);
  const auto span_id = id_hex(span.span_id(), 8);
  const auto parent_id = id_hex(span.parent_span_id(), 8);
  if (!trace_id || trace_id->empty()) return bad("invalid_id", "its trace_id is not 16 bytes that are not all zero");
  if (!span_id || span_id->empty()) return bad("invalid_id", "its span_id is not 8 bytes that are not all zero");
  if (!parent_id) return bad("invalid_id", "its parent_span_id is neither empty nor 8 bytes");
  const std::int64_t start = time_of(span.start_time_unix_nano());
  const std::int64_t end = time_of(span.end_time_unix_nano());
  if (start == 0) return bad("missing_time", "its start time is not set");
  if (end != 0 && end < start) return bad("end_before_start", "it ends " + std::to_string(start - end) + " ns before it starts");

  RowFields row;
  row.text(f::trace_id, *trace_id);
  row.text(f::span_id, *span_id);
  row.text(f::parent_span_id, *parent_id);
  row.text(f::span_name, span.name());
  row.add(std::string(f::span_kind), static_cast<std::int64_t>(span.kind()));
  row.add(std::string(f::duration_ns), end == 0 ? std::int64_t{0} : end - start);
  row.add(std::string(f::status_code), static_cast<std::int64_t>(span.status().code()));
  row.text(f::status_message, span.status().message());
  row.text(f::trace_state, span.trace_state());
  if (span.events_size() > 0) row.text(f::span_events, events_json(span));
  if (span.links_size() > 0) row.text(f::span_links, links_json(span));
  row.text(f::scope_name, scope.scope().name());
  row.text(f::scope_version, scope.scope().version());
  add_attributes(row, f::attribute_prefix, span.attributes());
  add_attributes(row, f::resource_prefix, resource);
  return row.take(start);
}

}  // namespace

Decoded translate_traces(const otlp_collector::trace::v1::ExportTraceServiceRequest& request) {
  RowBatch out(model::EventKind::span);
  for (int r = 0; r < request.resource_spans_size(); ++r) {
    const pb::ResourceSpans& resource = request.resource_spans(r);
    const std::size_t resource_bytes = resource.resource().ByteSizeLong();
    std::string service = attribute_text(resource.resource().attributes(), "service.name");
    if (service.empty()) service = "unknown_service";
    for (int s = 0; s < resource.scope_spans_size(); ++s) {
      const pb::ScopeSpans& scope = resource.scope_spans(s);
      for (int i = 0; i < scope.spans_size(); ++i) {
        const pb::Span& span = scope.spans(i);
        const auto place = [&] {
          return "resourceSpans[" + std::to_string(r) + "].scopeSpans[" + std::to_string(s) + "].spans[" + std::to_string(i) +
                 "] " + printable(span.name());
        };
        if (out.refuse_unbuilt(resource_bytes + scope.scope().ByteSizeLong(), place)) continue;
        auto row = row_of(span, scope, resource.resource().attributes());
        if (!row) {
          out.refuse(row.error(), place);
          continue;
        }
        out.add({{"service_name", service}, {"span_name", span.name()}}, std::move(*row), place);
      }
    }
  }
  return out.take();
}

}  // namespace plumbline::ingest
