// The Prometheus text exposition (classic 0.0.4 and 1.0.0) and OpenMetrics 1.0, read line by line. As lenient
// as Prometheus' own scrape parser, and a little more: CRLF, a missing last newline and {__name__="x"} are
// fine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/model/labels.hpp"

namespace plumbline::ingest {

enum class ExpositionFormat { text, openmetrics };
// By media type; anything that is not application/openmetrics-text is read as the classic text, as Prometheus
// 2 did.
ExpositionFormat exposition_format(std::string_view content_type);

struct ExpositionExemplar {
  std::vector<model::Label> labels;
  double value = 0;
  std::optional<std::int64_t> timestamp_ms;
};

// One line's worth. Which members are set depends on what next() answered.
struct ExpositionLine {
  std::size_t line = 0;  // 1-based
  // sample: unsorted, may hold empty values and duplicates, the metric name first as __name__
  std::vector<model::Label> labels;
  double value = 0;
  std::optional<std::int64_t> timestamp_ms;
  std::optional<ExpositionExemplar> exemplar;
  // metadata
  enum class About { type, help, unit } about = About::type;
  std::string metric;
  std::string text;
  // error
  std::size_t column = 0;  // 1-based, in bytes
  std::string reason;      // stable word: syntax, bad_value, bad_timestamp, bad_metadata, no_eof, after_eof,
                           // too_long, too_many_labels
  std::string message;     // "line 3, column 7: ..."
};

class ExpositionParser {
 public:
  enum class Item { sample, metadata, error, end };

  // The body must outlive the parser.
  ExpositionParser(std::string_view body, ExpositionFormat format) : body_(body), format_(format) {}

  // The next sample, metadata line or error; comments and blank lines are passed over. After an error the
  // next call goes on with the next line.
  Item next(ExpositionLine& out);

 private:
  class LineReader;
  Item comment(std::string_view line, ExpositionLine& out);
  Item sample(std::string_view line, ExpositionLine& out);

  std::string_view body_;
  ExpositionFormat format_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;
  bool eof_seen_ = false;
  bool ended_ = false;
};

// Bounds of one line.
inline constexpr std::size_t exposition_line_bytes_max = 1
                                                         << 20;  // help texts and info labels reach some KiB
inline constexpr std::size_t exposition_labels_max = 256;        // Kubernetes info metrics carry about 60

}  // namespace plumbline::ingest
