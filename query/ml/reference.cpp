#include "query/ml/reference.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::query::ml {
namespace {

// Every value has the same chance to stay (algorithm R). The remainder's bias is below 1e-12 for 64-bit draws.
std::vector<double> reservoir(const std::vector<double>& values, std::string_view name) {
  std::vector<double> kept(values.begin(), values.begin() + sample_values_max);
  std::mt19937_64 random(hash64(name));
  for (std::size_t i = sample_values_max; i < values.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(random() % (i + 1));
    if (at < sample_values_max) kept[at] = values[i];
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace

std::string_view name_of(FeatureType type) { return type == FeatureType::number ? "number" : "category"; }

CategoryBins::CategoryBins(const FeatureReference& feature)
    : feature_(feature), top_(std::min(feature.categories.size(), category_bins_max)) {
  index_.reserve(feature.categories.size());
  for (std::size_t k = 0; k < feature.categories.size(); ++k)
    index_.emplace(feature.categories[k].first, std::min(k, top_));
}

std::size_t CategoryBins::bin(std::string_view category) const {
  const auto found = index_.find(category);
  if (found != index_.end()) return found->second;
  // With names that were not kept, an unknown one may have been seen: "unseen" would be a false claim.
  return feature_.uncounted > 0 ? top_ : top_ + 1;
}

Counts CategoryBins::reference_counts() const {
  Counts counts(size());
  for (std::size_t k = 0; k < feature_.categories.size(); ++k)
    counts[std::min(k, top_)] += feature_.categories[k].second;
  counts[top_] += feature_.uncounted;
  return counts;
}

Status FeatureBuilder::add(double value) {
  if (!std::isnan(value)) numbers_.push_back(value);
  return {};
}

Status FeatureBuilder::add(std::string_view category) {
  ++categories_[std::string(category)];
  if (categories_.size() > categories_distinct_max)
    return fail(Code::too_large, "more than " + std::to_string(categories_distinct_max) +
                                     " different values; an id is not a feature (leave it out with ignore=)");
  return {};
}

FeatureReference FeatureBuilder::finish(std::string name, std::uint64_t rows, bool force_category) {
  FeatureReference out;
  out.name = std::move(name);
  out.rows = rows;
  std::uint64_t present = numbers_.size();
  for (const auto& [category, count] : categories_) present += count;
  out.missing = rows - std::min(rows, present);
  if (force_category || has_text()) {
    out.type = FeatureType::category;
    for (const double v : numbers_) ++categories_[format_number(v)];
    out.categories.assign(categories_.begin(), categories_.end());
    std::sort(out.categories.begin(), out.categories.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (std::size_t k = categories_kept_max; k < out.categories.size(); ++k) out.uncounted += out.categories[k].second;
    if (out.categories.size() > categories_kept_max) out.categories.resize(categories_kept_max);
    return out;
  }
  const bool sampled = numbers_.size() > sample_values_max;
  if (sampled) out.sample = reservoir(numbers_, out.name);
  std::sort(numbers_.begin(), numbers_.end());
  out.edges = quantile_edges(numbers_);
  out.bins = bin_counts(out.edges, numbers_);
  if (!sampled) out.sample = std::move(numbers_);
  return out;
}

const FeatureReference* Reference::find(std::string_view feature) const {
  const auto at = std::lower_bound(features.begin(), features.end(), feature,
                                   [](const FeatureReference& f, std::string_view n) { return f.name < n; });
  return at != features.end() && at->name == feature ? &*at : nullptr;
}

std::string encode_features(const std::vector<FeatureReference>& features) {
  ByteWriter out;
  out.varint(features.size());
  for (const FeatureReference& f : features) {
    out.sized(f.name);
    out.u8(static_cast<std::uint8_t>(f.type));
    out.varint(f.rows);
    out.varint(f.missing);
    out.varint(f.sample.size());
    for (const double v : f.sample) out.f64(v);
    out.varint(f.edges.size());
    for (const double v : f.edges) out.f64(v);
    out.varint(f.bins.size());
    for (const std::uint64_t c : f.bins) out.varint(c);
    out.varint(f.categories.size());
    for (const auto& [category, count] : f.categories) {
      out.sized(category);
      out.varint(count);
    }
    out.varint(f.uncounted);
  }
  return out.take();
}

Result<std::vector<FeatureReference>> decode_features(std::string_view bytes) {
  ByteReader in(bytes);
  const auto damaged = [] { return fail(Code::corrupt, "the stored features end early"); };
  std::vector<FeatureReference> features;
  const std::uint64_t count = in.varint();
  if (count > features_max) return damaged();
  for (std::uint64_t i = 0; i < count; ++i) {
    FeatureReference f;
    f.name = std::string(in.sized());
    f.type = in.u8() == 0 ? FeatureType::number : FeatureType::category;
    f.rows = in.varint();
    f.missing = in.varint();
    const auto doubles = [&](std::vector<double>& to) {
      const std::uint64_t n = in.varint();
      if (!in.ok() || n > in.left() / 8) return false;
      to.resize(n);
      for (double& v : to) v = in.f64();
      return true;
    };
    if (!doubles(f.sample) || !doubles(f.edges)) return damaged();
    std::uint64_t n = in.varint();
    if (!in.ok() || n > in.left()) return damaged();
    f.bins.resize(n);
    for (std::uint64_t& c : f.bins) c = in.varint();
    n = in.varint();
    if (!in.ok() || n > in.left()) return damaged();
    f.categories.resize(n);
    for (auto& [category, seen] : f.categories) {
      category = std::string(in.sized());
      seen = in.varint();
    }
    f.uncounted = in.varint();
    const bool shaped = f.type == FeatureType::category || f.bins.size() == f.edges.size() + 1;
    if (!in.ok() || !shaped || f.missing > f.rows) return damaged();
    features.push_back(std::move(f));
  }
  if (!in.done()) return damaged();
  return features;
}

}  // namespace plumbline::query::ml
