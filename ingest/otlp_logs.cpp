// OTLP log records -> rows of kind log, as Loki's OTLP door maps them; ml.inference events -> inference rows.
#include <algorithm>
#include <array>
#include <iterator>

#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp.hpp"
#include "ingest/otlp_inference.hpp"
#include "ingest/otlp_names.hpp"
#include "ingest/otlp_rows.hpp"
#include "ingest/otlp_values.hpp"
#include "ingest/text/log_level.hpp"
#include "opentelemetry/proto/collector/logs/v1/logs_service.pb.h"

namespace plumbline::ingest {
namespace {

namespace pb = opentelemetry::proto::logs::v1;
namespace f = model::field;

// The resource attributes that make a stream (Loki's default list); all others would split it too finely.
constexpr std::array<std::string_view, 18> stream_attributes{
    "service.name",           "service.namespace",       "service.instance.id",  "deployment.environment",
    "deployment.environment.name", "cloud.region",       "cloud.availability_zone", "k8s.cluster.name",
    "k8s.namespace.name",     "k8s.pod.name",            "k8s.container.name",   "container.name",
    "k8s.replicaset.name",    "k8s.deployment.name",     "k8s.statefulset.name", "k8s.daemonset.name",
    "k8s.cronjob.name",       "k8s.job.name"};

bool is_stream_attribute(std::string_view key) {
  return std::find(stream_attributes.begin(), stream_attributes.end(), key) != stream_attributes.end();
}

std::vector<model::Label> stream_of(const OtlpAttributes& resource) {
  std::vector<model::Label> labels;
  for (const std::string_view key : stream_attributes) {
    std::string value = attribute_text(resource, key);
    if (!value.empty()) labels.push_back({label_name(key), std::move(value)});
  }
  // Every log line has a service, so that one selector finds them all.
  if (labels.empty() || labels.front().name != service_name_label) {
    std::string service = discover_service_name(model::Labels::trusted(labels));
    labels.push_back({std::string(service_name_label), std::move(service)});
  }
  return labels;
}

std::string_view level_of(int severity) {
  static constexpr std::array<std::string_view, 6> names{"trace", "debug", "info", "warn", "error", "fatal"};
  return severity >= 1 && severity <= 24 ? names[static_cast<std::size_t>(severity - 1) / 4] : std::string_view();
}

std::int64_t record_time(const pb::LogRecord& record, std::int64_t now_ns) {
  if (record.time_unix_nano() != 0) return time_of(record.time_unix_nano());
  if (record.observed_time_unix_nano() != 0) return time_of(record.observed_time_unix_nano());
  return now_ns;
}

std::expected<model::Row, Rejection> row_of(const pb::LogRecord& record, const pb::ScopeLogs& scope,
                                            const OtlpAttributes& resource, std::int64_t now_ns) {
  const auto trace_id = id_hex(record.trace_id(), 16);
  const auto span_id = id_hex(record.span_id(), 8);
  if (!trace_id) return std::unexpected(Rejection{"invalid_id", "its trace_id is neither empty nor 16 bytes", 1});
  if (!span_id) return std::unexpected(Rejection{"invalid_id", "its span_id is neither empty nor 8 bytes", 1});

  RowFields row;
  row.add(std::string(f::line), text_of(record.body()));
  row.text(f::trace_id, *trace_id);
  row.text(f::span_id, *span_id);
  row.text("severity_text", record.severity_text());
  if (record.severity_number() != 0) row.text("severity_number", std::to_string(static_cast<int>(record.severity_number())));
  row.text("event_name", record.event_name());
  row.text("scope_name", scope.scope().name());
  row.text("scope_version", scope.scope().version());
  if (record.flags() != 0) row.text("flags", std::to_string(record.flags()));
  const LeafVisitor add = [&](std::string key, const otlp_common::AnyValue& value) {
    std::string name = label_name(key);
    std::string text = text_of(value);
    const std::string* own = name == f::trace_id ? &*trace_id : name == f::span_id ? &*span_id : nullptr;
    if (own != nullptr) text = to_lower(text);
    if (own != nullptr && text == *own) return;
    // What would hide the line's own columns, or has no name at all, keeps its value under another.
    if (name.empty() || name == f::line || name == f::prediction_id || (own != nullptr && !own->empty()))
      name = "attribute_" + name;
    row.join(std::move(name), std::move(text));
  };
  flatten(record.attributes(), "_", add);
  flatten(scope.scope().attributes(), "_", add);
  for (const otlp_common::KeyValue& kv : resource)
    if (!is_stream_attribute(kv.key())) flatten(kv.key(), kv.value(), "_", add);
  model::Row out = row.take(record_time(record, now_ns));
  // Grafana colours its log volume by this field. OTLP's number decides where it is set: it is what the SDK meant.
  if (out.find(detected_level_name) == nullptr) {
    std::string level(level_of(static_cast<int>(record.severity_number())));
    if (level.empty()) level = detect_level({}, out.fields, text_of(record.body()));
    out.fields.push_back({std::string(detected_level_name), std::move(level)});
  }
  return out;
}

}  // namespace

Decoded translate_logs(const otlp_collector::logs::v1::ExportLogsServiceRequest& request, std::int64_t now_ns) {
  RowBatch out(model::EventKind::log);
  Decoded inferences;
  std::uint64_t number = 0;  // of the record in its request
  for (int r = 0; r < request.resource_logs_size(); ++r) {
    const pb::ResourceLogs& resource = request.resource_logs(r);
    const OtlpAttributes& attributes = resource.resource().attributes();
    const std::size_t resource_bytes = resource.resource().ByteSizeLong();
    const std::vector<model::Label> stream = stream_of(attributes);
    for (int s = 0; s < resource.scope_logs_size(); ++s) {
      const pb::ScopeLogs& scope = resource.scope_logs(s);
      for (int i = 0; i < scope.log_records_size(); ++i) {
        const pb::LogRecord& record = scope.log_records(i);
        ++number;
        const auto place = [&] {
          return "resourceLogs[" + std::to_string(r) + "].scopeLogs[" + std::to_string(s) + "].logRecords[" +
                 std::to_string(i) + "]";
        };
        if (is_inference(record)) {
          Result<InferenceInput> input = inference_of(record);
          const auto group = input ? add_inference(inferences.batch, std::move(*input), now_ns) : fail(input.error());
          if (group) {
            number_row(inferences.row_numbers, *group, number);
          } else {
            const Rejection refusal = refusal_of(group.error(), place());
            out.refuse({refusal.reason, refusal.message, 1}, [] { return std::string("ml.inference"); });
          }
          continue;
        }
        if (out.refuse_unbuilt(resource_bytes + scope.scope().ByteSizeLong(), place)) continue;
        auto row = row_of(record, scope, attributes, now_ns);
        if (!row)
          out.refuse(row.error(), place);
        else
          out.add(stream, std::move(*row), place);
      }
    }
  }
  Decoded decoded = out.take();
  decoded.row_numbers.resize(decoded.batch.events.size());  // logs, which the sink does not refuse one by one
  std::ranges::move(inferences.row_numbers, std::back_inserter(decoded.row_numbers));
  for (model::StreamRows& group : inferences.batch.events) decoded.batch.events.push_back(std::move(group));
  return decoded;
}

}  // namespace plumbline::ingest
