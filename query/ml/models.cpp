#include <algorithm>
#include <map>

#include "daemon/base/text.hpp"
#include "query/ml/models_impl.hpp"
#include "query/ml/records.hpp"

namespace plumbline::query {

Result<std::shared_ptr<const ml::Reference>> Models::Impl::upload(const std::string& model, const std::string& name,
                                                                  std::string_view content_type, std::string_view body,
                                                                  const ml::UploadOptions& options) {
  const bool csv = content_type == "text/csv" || content_type == "application/csv";
  const bool ndjson = content_type == "application/x-ndjson" || content_type == "application/ndjson" ||
                      content_type == "application/jsonl" || content_type == "application/x-jsonlines";
  if (!csv && !ndjson)
    return fail(Code::unsupported, "content type " + json_quote(content_type) +
                                       ": a reference is text/csv or application/x-ndjson");
  PLUMBLINE_TRY(ml::Upload upload, csv ? ml::parse_csv(body, options) : ml::parse_ndjson(body, options));
  ml::Reference reference;
  reference.model = model;
  reference.name = name;
  reference.created_ns = clock.now_ns();
  reference.source = content_type;
  reference.rows = upload.rows;
  reference.features = std::move(upload.features);
  return references.add(std::move(reference));
}

Result<std::shared_ptr<const ml::Reference>> Models::Impl::pin(const std::string& model, const std::string& name,
                                                               const Window& window, const ml::UploadOptions& options) {
  std::map<std::string, ml::FeatureBuilder, std::less<>> builders;
  std::vector<std::pair<const storage::Column*, ml::FeatureBuilder*>> bound;
  std::uint64_t rows = 0, values = 0;
  bool too_many = false;
  const std::string prefix(model::field::feature_prefix);
  const auto on_block = [&](const storage::RowBlock& block) {
    bound.clear();
    for (const storage::Column& column : block.columns) {
      if (!column.name.starts_with(prefix)) continue;
      const std::string feature = column.name.substr(prefix.size());
      if (!builders.contains(feature) && builders.size() >= ml::features_max) {
        too_many = true;
        continue;
      }
      bound.emplace_back(&column, &builders[feature]);
    }
  };
  const auto visit = [&](const storage::RowBlock&, std::size_t row) -> Status {
    ++rows;
    for (const auto& [column, builder] : bound) {
      const model::Value& value = column->values[row];
      Status added;
      if (const auto* number = std::get_if<double>(&value)) added = builder->add(*number);
      else if (const auto* integer = std::get_if<std::int64_t>(&value)) added = builder->add(static_cast<double>(*integer));
      else if (const auto text = ml::text_of(value)) added = builder->add(*text);
      else continue;
      if (!added) return fail(added.error().in("feature '" + column->name.substr(prefix.size()) + "'"));
      if (++values > ml::window_values_max)
        return fail(Code::over_limit, "the window holds more than " + std::to_string(ml::window_values_max) +
                                          " values (window_values_max); pin a shorter one");
    }
    return {};
  };
  PLUMBLINE_CHECK_OK(ml::scan_records(reader, {model, window, {prefix + "*"}}, on_block, visit));
  if (too_many) return fail(Code::too_large, "more than " + std::to_string(ml::features_max) + " features (features_max)");
  ml::Reference reference;
  for (auto& [feature, builder] : builders) {
    ml::FeatureReference summary = builder.finish(feature, rows, options.is_categorical(feature));
    if (summary.count() > 0) reference.features.push_back(std::move(summary));  // else lists only: nothing to compare
  }
  if (reference.features.empty())
    return fail(Code::not_found, "model " + json_quote(model) + " has no records with features in the window " +
                                     format_rfc3339_ns(window.start_ns) + " to " + format_rfc3339_ns(window.end_ns) +
                                     (window.where.empty() ? "" : " where " + window.where));
  reference.model = model;
  reference.name = name;
  reference.created_ns = clock.now_ns();
  reference.source = "window " + format_rfc3339_ns(window.start_ns) + " " + format_rfc3339_ns(window.end_ns) +
                     (window.where.empty() ? "" : " " + window.where);
  reference.rows = rows;
  return references.add(std::move(reference));
}

Models::Models(const storage::Reader& reader, storage::State& state, const Clock& clock)
    : impl_(std::make_unique<Impl>(reader, state, clock)) {}
Models::~Models() = default;

Result<DriftReport> Models::Impl::drift(const DriftRequest& request, std::stop_token stop) const {
  PLUMBLINE_TRY(const std::shared_ptr<const ml::Reference> reference, references.find(request.model, request.reference));
  return ml::compute_drift(StoppingReader(reader, std::move(stop)), *reference, request);
}

Result<PerformanceReport> Models::Impl::performance(const std::string& model, const Window& window,
                                                    const std::optional<std::string>& positive_class, std::stop_token stop) const {
  return ml::compute_performance(StoppingReader(reader, std::move(stop)), model, window, positive_class);
}

Result<DriftReport> Models::drift(const DriftRequest& request) const { return impl_->drift(request, {}); }

Result<PerformanceReport> Models::performance(const std::string& model, const Window& window,
                                              std::optional<std::string> positive_class) const {
  return impl_->performance(model, window, positive_class, {});
}

Result<std::string> Models::upload_reference(const std::string& model, const std::string& name,
                                             std::string_view content_type, std::string_view body) {
  PLUMBLINE_TRY(const auto stored, impl_->upload(model, name, content_type, body, {}));
  return stored->id();
}

Result<std::string> Models::pin_reference(const std::string& model, const std::string& name, const Window& window) {
  PLUMBLINE_TRY(const auto stored, impl_->pin(model, name, window, {}));
  return stored->id();
}

Result<Statistic> parse_statistic(std::string_view name) {
  if (name == "psi") return Statistic::psi;
  if (name == "ks") return Statistic::ks;
  if (name == "chi_square") return Statistic::chi_square;
  if (name == "missing_rate") return Statistic::missing_rate;
  return fail(Code::invalid_input, "unknown statistic " + json_quote(name) + ": psi, ks, chi_square or missing_rate");
}

std::string_view name_of(Statistic statistic) {
  switch (statistic) {
    case Statistic::psi: return "psi";
    case Statistic::ks: return "ks";
    case Statistic::chi_square: return "chi_square";
    case Statistic::missing_rate: return "missing_rate";
  }
  return "";
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::drifted: return "drifted";
    case Verdict::insufficient_data: return "insufficient data";
  }
  return "";
}

}  // namespace plumbline::query
