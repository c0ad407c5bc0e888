// The level of a log line, found as Loki finds it: Grafana colours its log volume by `detected_level`.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "storage/model/event.hpp"

namespace plumbline::ingest {

inline constexpr std::string_view detected_level_name = "detected_level";
inline constexpr std::string_view service_name_label = "service_name";

// trace, debug, info, warn, error, critical, fatal or unknown. Looks at, in this order: a level label of the
// stream, a level field of the row, OTLP's severity_number field, the line itself (JSON, logfmt, then words
// in it). A level label or field with a word of its own ("notice") keeps that word.
std::string detect_level(const model::Labels& stream, std::span<const model::Field> fields,
                         std::string_view line);

// The service a stream belongs to when it has no service_name: the first of Loki's candidate labels, else
// unknown_service.
std::string discover_service_name(const model::Labels& stream);

}  // namespace plumbline::ingest
