#include "ingest/otlp_inference.hpp"

#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp_values.hpp"

namespace plumbline::ingest {
namespace {

using otlp_common::AnyValue;
using otlp_common::KeyValue;
using opentelemetry::proto::logs::v1::LogRecord;
using Pairs = std::vector<std::pair<std::string, model::Value>>;

constexpr std::string_view event_name = "ml.inference";

std::unexpected<Error> wrong_type(std::string_view key, std::string_view wanted) {
  return fail(Code::invalid_input, "wrong_type: " + printable(key) + " is not " + std::string(wanted));
}

std::optional<double> number_of(const AnyValue& v) {
  if (v.value_case() == AnyValue::kIntValue) return static_cast<double>(v.int_value());
  if (v.value_case() == AnyValue::kDoubleValue) return v.double_value();
  return std::nullopt;
}

Result<model::Value> feature_of(std::string_view key, const AnyValue& v) {
  if (const auto number = number_of(v)) return model::Value(*number);
  switch (v.value_case()) {
    case AnyValue::kStringValue: return model::Value(v.string_value());
    case AnyValue::kBoolValue: return model::Value(v.bool_value());
    case AnyValue::VALUE_NOT_SET: return model::Value();
    case AnyValue::kArrayValue: {
      model::List list;
      list.reserve(static_cast<std::size_t>(v.array_value().values_size()));
      for (const AnyValue& element : v.array_value().values()) {
        const auto number = number_of(element);
        if (!number) return wrong_type(key, "an array of numbers");
        list.push_back(*number);
      }
      return model::Value(std::move(list));
    }
    default: return wrong_type(key, "a number, string, bool or array of numbers");
  }
}

Status add_map(std::string_view key, const AnyValue& v, Pairs& into) {
  if (v.value_case() == AnyValue::VALUE_NOT_SET) return {};
  if (v.value_case() != AnyValue::kKvlistValue) return wrong_type(key, "a map");
  for (const KeyValue& kv : v.kvlist_value().values()) {
    PLUMBLINE_TRY(model::Value value, feature_of(std::string(key) + "." + kv.key(), kv.value()));
    into.emplace_back(kv.key(), std::move(value));
  }
  return {};
}

Status set_time(const AnyValue& v, std::optional<std::int64_t>& into) {
  if (const auto number = number_of(v)) {
    // A double holds today's nanoseconds only to 256: integers pass whole where their magnitude says nanoseconds.
    const bool exact = v.value_case() == AnyValue::kIntValue && v.int_value() >= 100'000'000'000'000'000;
    into = exact ? v.int_value() : unix_ns_by_magnitude(*number);
    return {};
  }
  if (v.value_case() != AnyValue::kStringValue) return wrong_type("time", "RFC 3339 or a Unix time");
  const auto parsed = parse_rfc3339_ns(v.string_value());
  if (!parsed) return fail(Code::invalid_input, "invalid_time: " + parsed.error().message);
  into = *parsed;
  return {};
}

Status set_text(std::string_view key, const AnyValue& v, std::string& into) {
  if (v.value_case() == AnyValue::kKvlistValue || v.value_case() == AnyValue::kArrayValue) return wrong_type(key, "a string");
  into = text_of(v);
  return {};
}

Status set(std::string_view key, const AnyValue& v, InferenceInput& in) {
  if (key == "model") return set_text(key, v, in.model);
  if (key == "version") return set_text(key, v, in.version);
  if (key == "prediction_id") return set_text(key, v, in.prediction_id);
  if (key == "trace_id") return set_text(key, v, in.trace_id);
  if (key == "span_id") return set_text(key, v, in.span_id);
  if (key == "status") return set_text(key, v, in.status);
  if (key == "time") return set_time(v, in.time_ns);
  if (key == "features") return add_map(key, v, in.features);
  if (key == "segment") return add_map(key, v, in.segment);
  if (key == "score" && v.value_case() == AnyValue::kKvlistValue) return add_map(key, v, in.scores);
  if (key == "latency_ms") {
    in.latency_ms = number_of(v);
    if (!in.latency_ms && v.value_case() != AnyValue::VALUE_NOT_SET) return wrong_type(key, "a number");
    return {};
  }
  model::Value* single = key == "prediction" ? &in.prediction : key == "label" ? &in.label : key == "score" ? &in.score : nullptr;
  Pairs* flat = nullptr;
  std::string_view name;
  for (const auto& [prefix, pairs] : {std::pair{std::string_view("features."), &in.features},
                                      std::pair{std::string_view("segment."), &in.segment},
                                      std::pair{std::string_view("score."), &in.scores}})
    if (key.starts_with(prefix)) {
      flat = pairs;
      name = key.substr(prefix.size());
    }
  if (single == nullptr && flat == nullptr) return {};  // SDKs and collectors add attributes of their own
  PLUMBLINE_TRY(model::Value value, feature_of(key, v));
  if (single != nullptr)
    *single = std::move(value);
  else
    flat->emplace_back(std::string(name), std::move(value));
  return {};
}

}  // namespace

bool is_inference(const LogRecord& record) {
  if (!record.event_name().empty()) return record.event_name() == event_name;
  const AnyValue* name = find_attribute(record.attributes(), "event.name");
  return name != nullptr && name->string_value() == event_name;
}

Result<InferenceInput> inference_of(const LogRecord& record) {
  InferenceInput in;
  const auto trace_id = id_hex(record.trace_id(), 16);
  const auto span_id = id_hex(record.span_id(), 8);
  if (!trace_id || !span_id) return fail(Code::invalid_input, "invalid_id: trace_id wants 16 bytes and span_id 8");
  in.trace_id = *trace_id;
  in.span_id = *span_id;
  if (record.time_unix_nano() != 0)
    in.time_ns = time_of(record.time_unix_nano());
  else if (record.observed_time_unix_nano() != 0)
    in.time_ns = time_of(record.observed_time_unix_nano());
  // Body first: where both carry a key, the attribute is the newer convention's place for it.
  if (record.body().value_case() == AnyValue::kKvlistValue)
    for (const KeyValue& kv : record.body().kvlist_value().values())
      if (find_attribute(record.attributes(), kv.key()) == nullptr) PLUMBLINE_CHECK_OK(set(kv.key(), kv.value(), in));
  for (const KeyValue& kv : record.attributes()) PLUMBLINE_CHECK_OK(set(kv.key(), kv.value(), in));
  return in;
}

}  // namespace plumbline::ingest
