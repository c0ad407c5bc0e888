// A reference: what a model's features looked like when all was well. Immutable; what it keeps is enough for every statistic
// (sorted values for KS, fixed quantile edges with counts for PSI, category counts), never the rows themselves.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "query/ml/statistics.hpp"

namespace plumbline::query::ml {

enum class FeatureType : std::uint8_t { number = 0, category = 1 };
std::string_view name_of(FeatureType type);

// Sorted values kept per feature, 800 KB: a KS test against 100,000 values sees distances from 0.006 on, and a larger sample
// would not change a verdict. Beyond it a reservoir draws them, seeded by the feature's name: the same upload gives the same
// reference. Quantile edges and counts always come from all values.
inline constexpr std::size_t sample_values_max = 100'000;
inline constexpr std::size_t category_bins_max = 100;      // the most frequent ones; the rest is "other"
inline constexpr std::size_t categories_kept_max = 10'000;  // names known as seen; more would be an id, not a category
inline constexpr std::size_t categories_distinct_max = 1'000'000;  // while counting, per feature
inline constexpr std::size_t features_max = 5'000;

using CategoryCounts = std::vector<std::pair<std::string, std::uint64_t>>;

struct FeatureReference {
  std::string name;
  FeatureType type = FeatureType::number;
  std::uint64_t rows = 0;
  std::uint64_t missing = 0;      // absent, null, empty or NaN
  std::vector<double> sample;     // number: ascending, at most sample_values_max
  std::vector<double> edges;      // number: quantile_edges of all values
  Counts bins;                    // number: of all values, edges.size() + 1
  CategoryCounts categories;      // category: most frequent first, then by name; at most categories_kept_max
  std::uint64_t uncounted = 0;    // category: values whose category was not kept
  std::uint64_t count() const { return rows - missing; }
  bool operator==(const FeatureReference&) const = default;
};

// The bins of a category feature: the top 100, then "other" (seen in the reference, not in the top), then "unseen".
class CategoryBins {
 public:
  explicit CategoryBins(const FeatureReference& feature);  // borrows it
  std::size_t bin(std::string_view category) const;
  std::size_t size() const { return top_ + 2; }
  Counts reference_counts() const;

 private:
  const FeatureReference& feature_;
  std::size_t top_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

// Sums up one column. Values of both kinds may come; finish() decides: any text makes it a category, and numbers then count
// by their shortest text.
class FeatureBuilder {
 public:
  // Fails: too_large past categories_distinct_max.
  Status add(double value);  // NaN counts as missing
  Status add(std::string_view category);
  bool has_text() const { return !categories_.empty(); }
  FeatureReference finish(std::string name, std::uint64_t rows, bool force_category);

 private:
  std::vector<double> numbers_;
  std::unordered_map<std::string, std::uint64_t> categories_;
};

struct Reference {
  std::string model;
  std::string name;
  std::uint32_t version = 0;
  std::int64_t created_ns = 0;
  std::string source;  // "text/csv", or "window <start> <end> <where>"
  std::string hash;    // hash128_hex of the encoded features: equal content, equal hash
  std::uint64_t rows = 0;
  std::vector<FeatureReference> features;  // by name
  std::string id() const { return name + "@" + std::to_string(version); }
  const FeatureReference* find(std::string_view feature) const;
};

// The canonical bytes of the features (what the hash covers), and back. Fails: corrupt.
std::string encode_features(const std::vector<FeatureReference>& features);
Result<std::vector<FeatureReference>> decode_features(std::string_view bytes);

}  // namespace plumbline::query::ml
