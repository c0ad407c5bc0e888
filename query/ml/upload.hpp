// Uploads: CSV (RFC 4180, header row) and NDJSON into feature summaries. Which columns are features is said by the options;
// a cell that is empty, NaN or null (any case) is missing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "query/ml/reference.hpp"

namespace plumbline::query::ml {

inline constexpr std::size_t upload_bytes_max = 256ull << 20;  // held in memory once, beside its parsed columns
inline constexpr std::size_t upload_cells_max = 10'000'000;    // 160 MB of cell views; 100,000 rows of 100 features

struct UploadOptions {
  // Columns that are no features. Each list replaces its default when set by ?label=, ?prediction= and ?ignore=; names
  // compare without case.
  std::vector<std::string> label{"label", "target", "y_true", "ground_truth", "clf_target"};
  std::vector<std::string> prediction{"prediction", "y_pred", "y_pred_proba", "score"};
  std::vector<std::string> ignore{"", "id", "index", "timestamp", "time", "datetime", "date", "prediction_id", "model",
                                  "version", "trace_id", "span_id", "latency_ms", "status", "segment"};
  // Numbers that are names: compared as categories (?categorical=season,weathersit).
  std::vector<std::string> categorical;
  bool is_feature(std::string_view column) const;
  bool is_categorical(std::string_view column) const;
};

struct Upload {
  std::uint64_t rows = 0;
  std::vector<FeatureReference> features;  // by name
};

// Fails: invalid_input naming row and column (row 1 is the header), too_large naming the limit.
// A column with text in it is a category; but when more than half of its values are numbers, the text is taken for a
// mistake and refused, unless the column is in options.categorical.
Result<Upload> parse_csv(std::string_view body, const UploadOptions& options);
// One JSON object per line: an inference record (its `features` object counts) or a flat object of features. true and false
// are categories; arrays are skipped (embeddings have no reference yet).
Result<Upload> parse_ndjson(std::string_view body, const UploadOptions& options);

}  // namespace plumbline::query::ml
