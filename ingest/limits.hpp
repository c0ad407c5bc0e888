// Bounds on foreign input that every door shares, and the label rules of a series.
//
// Bytes (ingest.hpp, Limits): a body may have 32 MiB as sent, because Prometheus' largest default request is 2,000 samples
// (0.3 MiB) and OTLP's 4 MiB, so that a tenfold sender still fits; and 64 MiB inflated, the same one limit for gzip, snappy
// and zstd, because one request must not be able to cost more memory than a worker may hold.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/ingest.hpp"
#include "storage/model/wire_labels.hpp"

namespace plumbline::ingest {

namespace limit {
using model::limit::label_name_bytes_max;
// JSON costs 24 bytes of tree for "0,": 16 MiB of it may become 200 MiB for the time of one request.
inline constexpr std::size_t json_bytes_max = 16u << 20;
// Messages inside messages. Real attributes nest 3 deep; 64 keeps the stack of a recursive decoder small.
inline constexpr int nesting_max = 64;
// What one request may become. A resource's attributes are sent once and stored on each of its rows, so that a request of
// 64 MiB could ask for gigabytes; 256 MiB is four times the largest body, which no honest batch reaches.
inline constexpr std::size_t decoded_bytes_max = 256u << 20;
inline constexpr std::size_t row_fields_max = 1024;           // fields of a log line or span
inline constexpr std::size_t field_bytes_max = 1u << 20;      // a line or an attribute; Loki's default is 256 KiB for lines
// A resource is copied into every row of it: 64 KiB is twenty times the largest that SDKs' detectors make.
inline constexpr std::size_t resource_bytes_max = 64u << 10;
// Refusals of one reason that are named one by one; further ones are counted in the last.
inline constexpr std::size_t refusals_named_max = 20;
// The gRPC listener: streams of one connection that run at once (grpc-go's default is 100, too), and its memory.
inline constexpr int grpc_streams_max = 100;
inline constexpr std::size_t grpc_memory_bytes_max = 256u << 20;
}  // namespace limit

using model::printable;

// Rejections by reason, each reason's examples bounded however many rows there are.
class Rejections {
 public:
  void add(std::string_view reason, std::string message, std::uint64_t count = 1) { add({std::string(reason), std::move(message), count}); }
  void add(Rejection rejection);
  // False: the next add() with this reason will only count, so its message need not be composed.
  bool wants_message(std::string_view reason) const;
  std::vector<Rejection> take() { return std::move(list_); }
  std::uint64_t count() const;

 private:
  std::vector<Rejection> list_;
};

// Counts what a translator makes of a request.
class Budget {
 public:
  explicit Budget(std::size_t bytes_max = limit::decoded_bytes_max) : left_(bytes_max) {}
  // False (and nothing taken) when the rest does not reach.
  bool take(const model::Labels& labels);
  bool take(const model::Row& row);
  bool take(std::size_t bytes);

 private:
  std::size_t left_;
};
// The refusal of what no longer fits.
Rejection over_budget();

// What is wrong with a row, if anything: invalid_utf8, too_many_fields, too_long.
std::optional<Rejection> row_trouble(const model::Row& row);

// The labels of a series, as Prometheus wants them. Refused: missing_name, empty_label_name, duplicate_label, invalid_utf8,
// too_many_labels, label_too_long. Empty values mean "absent" and are dropped.
std::expected<model::Labels, Rejection> series_labels(std::vector<model::Label> labels);
// The same without the demand for __name__: the stream labels of rows.
std::expected<model::Labels, Rejection> stream_labels(std::vector<model::Label> labels);

}  // namespace plumbline::ingest
