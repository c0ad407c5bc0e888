// What stands behind Models; the routes see it too, for uploads with column lists and for listings.
#pragma once

#include "query/ml/reference_store.hpp"
#include "query/ml/upload.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"

namespace plumbline::query {

struct Models::Impl {
  Impl(const storage::Reader& r, storage::State& s, const Clock& c) : reader(r), clock(c), references(s) {}

  Result<std::shared_ptr<const ml::Reference>> upload(const std::string& model, const std::string& name,
                                                      std::string_view content_type, std::string_view body,
                                                      const ml::UploadOptions& options);
  Result<std::shared_ptr<const ml::Reference>> pin(const std::string& model, const std::string& name, const Window& window,
                                                   const ml::UploadOptions& options);
  // As Models has them; fail with cancelled, too, when `stop` is requested.
  Result<DriftReport> drift(const DriftRequest& request, std::stop_token stop) const;
  Result<PerformanceReport> performance(const std::string& model, const Window& window,
                                        const std::optional<std::string>& positive_class, std::stop_token stop) const;

  const storage::Reader& reader;
  const Clock& clock;
  ml::ReferenceStore references;
};

namespace ml {

// Null-hypothesis level of the default verdicts after Benjamini-Hochberg, and the smallest effects worth a verdict: drifted
// means significant and large. Reasons and measured error rates: README.
inline constexpr double verdict_alpha = 0.01;
inline constexpr double psi_effect_min = 0.1;       // the customary "moderate shift"
inline constexpr double ks_effect_min = 0.1;        // a tenth of the probability mass moved
inline constexpr double cramers_v_min = 0.1;        // Cohen's "small" association between window and category
inline constexpr double missing_effect_min = 0.05;  // five rows in a hundred

Result<DriftReport> compute_drift(const StoppingReader& reader, const Reference& reference, const DriftRequest& request);
Result<PerformanceReport> compute_performance(const StoppingReader& reader, const std::string& model, const Window& window,
                                              const std::optional<std::string>& positive_class);

}  // namespace ml
}  // namespace plumbline::query
