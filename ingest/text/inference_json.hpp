// Inference records and late labels as JSON: an array of rows, or one row per line (NDJSON).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/base/error.hpp"
#include "ingest/text/json_tree.hpp"
#include "ingest/text/refusals.hpp"
#include "storage/storage.hpp"

namespace plumbline::ingest {

// What decoding one body came to. `rows` counts all rows, refused ones included; blank NDJSON lines are no
// rows.
struct JsonRows {
  storage::WriteBatch batch;
  std::size_t rows = 0;
  RowNumbers row_numbers = {};
};

// Keys: model, version, prediction_id, time, features, prediction, score, label, segment, trace_id, span_id,
// latency_ms, status. A row with another key is refused and the key named: a typo must not silently lose a
// column. An array that breaks off in its middle is refused whole: every row of it is counted as refused.
JsonRows decode_inferences(std::string_view body, std::int64_t now_ns, Refusals& refusals);

// Keys: model, prediction_id, label, time.
JsonRows decode_labels(std::string_view body, std::int64_t now_ns, Refusals& refusals);

// RFC 3339, a number, or a string of digits; Unix s, ms, us or ns by magnitude. Exact for integers.
std::optional<std::int64_t> json_time_ns(const JsonNode& node);

}  // namespace plumbline::ingest
