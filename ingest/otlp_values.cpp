#include "ingest/otlp_values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"

namespace plumbline::ingest {
namespace {

using otlp_common::AnyValue;
using otlp_common::KeyValue;

void write_json(JsonWriter& w, const AnyValue& value);

void write_json(JsonWriter& w, const OtlpAttributes& attributes) {
  w.begin_object();
  for (const KeyValue& kv : attributes) {
    w.key(kv.key());
    write_json(w, kv.value());
  }
  w.end_object();
}

// Depth is bounded by the decoder.
void write_json(JsonWriter& w, const AnyValue& value) {
  switch (value.value_case()) {
    case AnyValue::kStringValue: w.string(value.string_value()); return;
    case AnyValue::kBoolValue: w.boolean(value.bool_value()); return;
    case AnyValue::kIntValue: w.integer(value.int_value()); return;
    case AnyValue::kDoubleValue:
      if (std::isfinite(value.double_value())) {
        w.number(value.double_value());
      } else {
        w.string(format_number(value.double_value()));  // JSON has no other way to say NaN
      }
      return;
    case AnyValue::kBytesValue: w.string(to_base64(value.bytes_value())); return;
    case AnyValue::kArrayValue:
      w.begin_array();
      for (const AnyValue& v : value.array_value().values()) write_json(w, v);
      w.end_array();
      return;
    case AnyValue::kKvlistValue: write_json(w, value.kvlist_value().values()); return;
    case AnyValue::VALUE_NOT_SET: w.null(); return;
  }
}

}  // namespace

std::string json_of(const AnyValue& value) {
  std::string out;
  JsonWriter w(out);
  write_json(w, value);
  return out;
}

std::string json_of(const OtlpAttributes& attributes) {
  std::string out;
  JsonWriter w(out);
  write_json(w, attributes);
  return out;
}

std::string text_of(const AnyValue& value) {
  switch (value.value_case()) {
    case AnyValue::kStringValue: return value.string_value();
    case AnyValue::kBoolValue: return value.bool_value() ? "true" : "false";
    case AnyValue::kIntValue: return std::to_string(value.int_value());
    case AnyValue::kDoubleValue: return format_number(value.double_value());
    case AnyValue::kBytesValue: return to_base64(value.bytes_value());
    case AnyValue::kArrayValue:
    case AnyValue::kKvlistValue: return json_of(value);
    case AnyValue::VALUE_NOT_SET: return {};
  }
  return {};
}

model::Value value_of(const AnyValue& value) {
  switch (value.value_case()) {
    case AnyValue::kBoolValue: return value.bool_value();
    case AnyValue::kIntValue: return static_cast<std::int64_t>(value.int_value());
    case AnyValue::kDoubleValue: return value.double_value();
    case AnyValue::VALUE_NOT_SET: return std::monostate{};
    default: return text_of(value);
  }
}

const AnyValue* find_attribute(const OtlpAttributes& attributes, std::string_view key) {
  const AnyValue* found = nullptr;
  for (const KeyValue& kv : attributes)
    if (kv.key() == key) found = &kv.value();
  return found;
}

std::string attribute_text(const OtlpAttributes& attributes, std::string_view key) {
  const AnyValue* value = find_attribute(attributes, key);
  return value != nullptr ? text_of(*value) : std::string();
}

void flatten(std::string key, const AnyValue& value, std::string_view separator, const LeafVisitor& visit) {
  // A key past any field's limit stays whole: joined with each leaf below it, it would be copied once per leaf.
  if (value.value_case() != AnyValue::kKvlistValue || key.size() > limit::label_name_bytes_max) {
    visit(std::move(key), value);
    return;
  }
  for (const KeyValue& kv : value.kvlist_value().values())
    flatten(key + std::string(separator) + kv.key(), kv.value(), separator, visit);
}

void flatten(const OtlpAttributes& attributes, std::string_view separator, const LeafVisitor& visit) {
  for (const KeyValue& kv : attributes) flatten(kv.key(), kv.value(), separator, visit);
}

std::optional<std::string> id_hex(std::string_view id, std::size_t bytes) {
  if (id.empty()) return std::string();
  if (id.size() != bytes) return std::nullopt;
  if (std::all_of(id.begin(), id.end(), [](char c) { return c == 0; })) return std::string();
  return hex(id);
}

std::int64_t time_of(std::uint64_t unix_nano) {
  constexpr auto top = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(unix_nano, top));
}

}  // namespace plumbline::ingest
