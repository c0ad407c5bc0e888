// OTLP's AnyValue in the words of the store: as text, as a typed value, as JSON, flattened.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "opentelemetry/proto/common/v1/common.pb.h"
#include "opentelemetry/proto/resource/v1/resource.pb.h"
#include "storage/model/event.hpp"

namespace plumbline::ingest {

namespace otlp_common = opentelemetry::proto::common::v1;
using OtlpAttributes = google::protobuf::RepeatedPtrField<otlp_common::KeyValue>;

// As OpenTelemetry's AsString: strings verbatim, numbers and bools as text, maps and lists as JSON, bytes as base64,
// an empty value as "".
std::string text_of(const otlp_common::AnyValue& value);
std::string json_of(const otlp_common::AnyValue& value);
std::string json_of(const OtlpAttributes& attributes);  // an object
// bool, i64, f64, string; lists, maps and bytes as text_of(); empty is null.
model::Value value_of(const otlp_common::AnyValue& value);

// The last value of a key; nullptr when there is none.
const otlp_common::AnyValue* find_attribute(const OtlpAttributes& attributes, std::string_view key);
// "" when absent.
std::string attribute_text(const OtlpAttributes& attributes, std::string_view key);

// Calls with every leaf of maps inside maps, keys joined by `separator`: {a: {b: 1}} -> "a_b".
using LeafVisitor = std::function<void(std::string key, const otlp_common::AnyValue& leaf)>;
void flatten(const OtlpAttributes& attributes, std::string_view separator, const LeafVisitor& visit);
void flatten(std::string key, const otlp_common::AnyValue& value, std::string_view separator, const LeafVisitor& visit);

// Lowercase hex. "" for an absent (empty or all-zero) id; nullopt when the length is neither 0 nor `bytes`.
std::optional<std::string> id_hex(std::string_view id, std::size_t bytes);

// OTLP's unsigned nanoseconds; what passes the signed range is its end.
std::int64_t time_of(std::uint64_t unix_nano);

}  // namespace plumbline::ingest
