// Loki's push requests, JSON and protobuf, into rows of kind log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "ingest/ingest.hpp"
#include "ingest/limits.hpp"
#include "ingest/text/refusals.hpp"

namespace plumbline::ingest {

// Limits as Loki has them, or wider where Loki's are a known nuisance (15 labels a stream).
namespace loki_limits {
inline constexpr std::size_t line_bytes_max = 256 * 1024;
inline constexpr std::size_t stream_labels_max = 64;
inline constexpr std::size_t label_name_bytes_max = 1024;
inline constexpr std::size_t label_value_bytes_max = 2048;
inline constexpr std::size_t metadata_entries_max = 128;
inline constexpr std::size_t metadata_bytes_max = 64 * 1024;
}  // namespace loki_limits

// One line before it is checked; `place` is what refusals call it: "stream 2, entry 5".
struct LokiEntry {
  std::int64_t time_ns = 0;
  std::string line;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Collects streams and entries from either format: checks them, finds service_name and detected_level, makes
// rows.
class LokiRows {
 public:
  explicit LokiRows(Refusals& refusals) : refusals_(refusals) {}

  // A new stream. False when its labels are refused: each of its entries must then be given to
  // refuse_entry().
  bool begin_stream(std::vector<model::Label> labels);
  // The stream's labels could not even be read.
  void begin_bad_stream(std::string_view reason, std::string_view text);
  void add(LokiEntry entry);
  void refuse_entry(std::string_view reason, std::string_view text);
  std::size_t streams() const { return stream_number_; }
  storage::WriteBatch take() {
    std::erase_if(batch_.events, [](const model::StreamRows& s) { return s.rows.empty(); });
    return std::move(batch_);
  }

 private:
  std::string place() const;

  Refusals& refusals_;
  storage::WriteBatch batch_;
  Budget budget_;
  std::size_t stream_number_ = 0, entry_number_ = 0, entries_total_ = 0;
  bool stream_good_ = false;
  std::string stream_reason_, stream_text_;
};

// Fails (nothing of it usable): invalid_input for broken JSON or protobuf, with the offset.
Status decode_loki_json(std::string_view body, LokiRows& rows);
// After snappy.
Status decode_loki_protobuf(std::string_view body, LokiRows& rows);

}  // namespace plumbline::ingest
