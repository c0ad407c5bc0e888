// Inference records: one plain form that every door (JSON, gRPC, OTLP) fills, and the one function that turns
// it into the row of storage/model/event.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "ingest/ingest.hpp"
#include "storage/storage.hpp"

namespace plumbline::ingest {

// Empty strings and monostate mean "not given".
struct InferenceInput {
  std::string model, version, prediction_id, trace_id, span_id, status;
  std::optional<std::int64_t> time_ns;  // absent: now
  std::vector<std::pair<std::string, model::Value>> features, segment, scores;
  model::Value prediction, score, label;
  std::optional<double> latency_ms;
};

// Appends the record to the stream {model, version} of the batch, and gives that stream's place in batch.events.
// Every number becomes an f64 (an integer beyond 2^53 the nearest one); ids are checked and lowercased, an all-zero trace or span id counts as
// absent; a record without prediction_id stays without one. Fails (batch untouched): invalid_input. The
// message is "<reason>: <text>", where reason is a stable word: missing_model, missing_features, wrong_type,
// invalid_id, invalid_name, invalid_utf8, duplicate_key, too_long, too_many.
Result<std::size_t> add_inference(storage::WriteBatch& batch, InferenceInput input, std::int64_t now_ns);

// Remembers which row of the request the last row of a batch's group was.
void number_row(RowNumbers& numbers, std::size_t group, std::uint64_t row);

// A ground-truth label that came late. Same failures, and missing_prediction_id, missing_label.
Result<void> add_late_label(storage::WriteBatch& batch, model::LateLabel label);

// An error of the two functions above as a refusal: its reason, and "<place>: <text>".
Rejection refusal_of(const Error& error, std::string_view place);

// Bounds of one record. They keep one hostile row from costing what ten thousand honest ones do.
namespace inference_limits {
inline constexpr std::size_t name_bytes_max = 256;  // model, version, feature and segment names, status
inline constexpr std::size_t id_bytes_max = 512;    // prediction_id: a UUID has 36, a composed key rarely 200
inline constexpr std::size_t text_bytes_max =
    64 * 1024;  // a string feature: a prompt or a document, not a file
inline constexpr std::size_t features_max = 4096;
inline constexpr std::size_t segment_max = 64;
inline constexpr std::size_t scores_max = 4096;     // classes
inline constexpr std::size_t list_max = 16 * 1024;  // an embedding; the largest public ones have 12288
}  // namespace inference_limits

}  // namespace plumbline::ingest
