// OTLP metrics -> series, as Prometheus' own OTLP receiver translates them by default.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "daemon/base/text.hpp"
#include "ingest/exemplar.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp_exponential.hpp"
#include "ingest/otlp.hpp"
#include "ingest/otlp_names.hpp"
#include "ingest/otlp_values.hpp"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h"

namespace plumbline::ingest {
namespace {

namespace pb = opentelemetry::proto::metrics::v1;
using LabelMap = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view service_name = "service.name";
constexpr std::string_view service_namespace = "service.namespace";
constexpr std::string_view service_instance = "service.instance.id";

// target_info is repeated inside a request's time span, so that an instant query anywhere in it finds one: half of
// PromQL's 5-minute lookback. At most 1,000 of them (42 hours), counted back from the newest.
constexpr std::int64_t target_info_step_ms = 150'000;
constexpr std::int64_t target_info_max = 1000;

std::int64_t ms_of(std::uint64_t unix_nano) { return time_of(unix_nano) / 1'000'000; }

// Attributes whose names become one after escaping are joined in the order of their original names.
LabelMap labels_of(const OtlpAttributes& attributes, bool skip_identifying) {
  std::vector<int> sorted;
  sorted.reserve(static_cast<std::size_t>(attributes.size()));
  for (int i = 0; i < attributes.size(); ++i) {
    const std::string& key = attributes[i].key();
    const bool identifying = key == service_name || key == service_namespace || key == service_instance;
    if (!skip_identifying || !identifying) sorted.push_back(i);
  }
  std::sort(sorted.begin(), sorted.end(), [&](int a, int b) {
    const int order = attributes[a].key().compare(attributes[b].key());
    return order != 0 ? order < 0 : a < b;
  });
  LabelMap out;
  for (const int i : sorted) {
    const auto [it, fresh] = out.try_emplace(label_name(attributes[i].key()), text_of(attributes[i].value()));
    if (!fresh) it->second += ";" + text_of(attributes[i].value());
  }
  return out;
}

// What a resource adds to each of its points.
struct ResourceLabels {
  LabelMap promoted;
  LabelMap identity;  // job, instance

  ResourceLabels(const OtlpAttributes& attributes, const OtlpOptions& options) {
    for (const std::string& key : options.promote_resource_attributes)
      if (const auto* value = find_attribute(attributes, key)) promoted.try_emplace(label_name(key), text_of(*value));
    if (const auto* name = find_attribute(attributes, service_name)) {
      const auto* space = find_attribute(attributes, service_namespace);
      identity["job"] = (space != nullptr ? text_of(*space) + "/" : "") + text_of(*name);
    }
    if (const auto* instance = find_attribute(attributes, service_instance)) identity["instance"] = text_of(*instance);
  }
  void add_to(LabelMap& labels) const {
    for (const auto& [name, value] : promoted) labels.try_emplace(name, value);
    for (const auto& [name, value] : identity) labels.insert_or_assign(name, value);
  }
};

class MetricsTranslator {
 public:
  explicit MetricsTranslator(const OtlpOptions& options) : options_(options) {}

  void resource(const pb::ResourceMetrics& resource, int index) {
    const ResourceLabels labels(resource.resource().attributes(), options_);
    resource_ = &labels;
    time_min_.reset();
    time_max_.reset();
    for (int s = 0; s < resource.scope_metrics_size(); ++s)
      for (int m = 0; m < resource.scope_metrics(s).metrics_size(); ++m) {
        at_ = {index, s, m, -1};
        metric(resource.scope_metrics(s).metrics(m));
      }
    target_info(resource.resource().attributes());
    resource_ = nullptr;
  }

  Decoded take() {
    return {std::move(batch_), refused_.take()};
  }

 private:
  struct At {
    int resource, scope, metric, point;
  };

  std::string place(std::string_view name) const {
    std::string text = "resourceMetrics[" + std::to_string(at_.resource) + "].scopeMetrics[" + std::to_string(at_.scope) +
                       "].metrics[" + std::to_string(at_.metric) + "]";
    if (!name.empty()) text += " " + printable(name);
    if (at_.point >= 0) text += " point " + std::to_string(at_.point);
    return text;
  }
  void refuse(std::string_view reason, std::string_view why, int points = 1) {
    refused_.add(reason, refused_.wants_message(reason) ? place(name_) + ": " + std::string(why) : std::string(),
                 static_cast<std::uint64_t>(std::max(points, 1)));
  }

  void metric(const pb::Metric& metric) {
    name_ = metric.name();
    switch (metric.data_case()) {
      case pb::Metric::kGauge:
        return family(metric, metric.gauge(), OtlpKind::gauge, "gauge", &MetricsTranslator::number);
      case pb::Metric::kSum: {
        if (!cumulative(metric.sum())) return;
        const bool counter = metric.sum().is_monotonic();
        return family(metric, metric.sum(), counter ? OtlpKind::counter : OtlpKind::other, counter ? "counter" : "gauge",
                      &MetricsTranslator::number);
      }
      case pb::Metric::kHistogram:
        if (!cumulative(metric.histogram())) return;
        return family(metric, metric.histogram(), OtlpKind::other, "histogram", &MetricsTranslator::histogram);
      case pb::Metric::kSummary:
        return family(metric, metric.summary(), OtlpKind::other, "summary", &MetricsTranslator::summary);
      case pb::Metric::kExponentialHistogram:
        if (!cumulative(metric.exponential_histogram())) return;
        return family(metric, metric.exponential_histogram(), OtlpKind::other, "histogram", &MetricsTranslator::exponential);
      case pb::Metric::DATA_NOT_SET: return refuse("missing_data", "it has no data");
    }
  }

  template <class Data>
  bool cumulative(const Data& data) {
    if (data.aggregation_temporality() == pb::AGGREGATION_TEMPORALITY_CUMULATIVE) return true;
    if (data.aggregation_temporality() == pb::AGGREGATION_TEMPORALITY_DELTA)
      refuse("unsupported_delta",
             "delta temporality is not supported yet; export cumulative "
             "(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)",
             data.data_points_size());
    else
      refuse("missing_temporality", "its aggregation temporality is not set", data.data_points_size());
    return false;
  }

  template <class Data, class Point>
  void family(const pb::Metric& metric, const Data& data, OtlpKind kind, std::string_view type,
              void (MetricsTranslator::*translate)(const Point&)) {
    if (!valid_utf8(metric.name()) || !valid_utf8(metric.description()) || !valid_utf8(metric.unit()))
      return refuse("invalid_utf8", "its name, description or unit is not valid UTF-8", data.data_points_size());
    name_ = metric_name(metric.name(), metric.unit(), kind);
    if (name_.empty()) {
      name_ = metric.name();
      return refuse("missing_name", "no Prometheus name can be made of its name", data.data_points_size());
    }
    const auto* original = find_attribute(metric.metadata(), "prometheus.type");
    if (original != nullptr && text_of(*original) == "unknown") type = "unknown";
    batch_.metadata.push_back({name_, std::string(type), metric.description(), unit_name(metric.unit())});
    for (int i = 0; i < data.data_points_size(); ++i) {
      at_.point = i;
      const Point& point = data.data_points(i);
      if (point.time_unix_nano() == 0) {
        refuse("missing_time", "its time is not set");
        continue;
      }
      (this->*translate)(point);
    }
    at_.point = -1;
  }

  // ------------------------------------------------------------------------------------------------- points

  void number(const pb::NumberDataPoint& point) {
    double value = model::stale_nan;
    if ((point.flags() & no_recorded_value) == 0) {
      if (point.value_case() == pb::NumberDataPoint::VALUE_NOT_SET) return refuse("missing_value", "it has no value");
      value = point.value_case() == pb::NumberDataPoint::kAsInt ? static_cast<double>(point.as_int()) : point.as_double();
    }
    const LabelMap base = base_labels(point.attributes());
    const model::Labels* series = emit(base, "", {}, ms_of(point.time_unix_nano()), value);
    if (series != nullptr && point.exemplars_size() > 0)
      add_exemplars(*series, exemplars_of(point.exemplars()), place(name_), budget_, batch_, refused_);
  }

  void histogram(const pb::HistogramDataPoint& point) {
    const int bounds = point.explicit_bounds_size();
    if (point.bucket_counts_size() != bounds + 1 && !(point.bucket_counts_size() == 0 && bounds == 0))
      return refuse("bad_histogram", "it has " + std::to_string(point.bucket_counts_size()) + " bucket counts for " +
                                         std::to_string(bounds) + " bounds");
    for (int i = 1; i < bounds; ++i)
      if (!(point.explicit_bounds(i - 1) < point.explicit_bounds(i)))
        return refuse("bad_histogram", "its bounds do not increase at " + std::to_string(i));
    const bool stale = (point.flags() & no_recorded_value) != 0;
    const std::int64_t t = ms_of(point.time_unix_nano());
    const LabelMap base = base_labels(point.attributes());
    const auto value = [&](double v) { return stale ? model::stale_nan : v; };
    // One point is one refusal, whichever of its series is the first to be refused.
    if (!emit(base, "_count", {}, t, value(static_cast<double>(point.count())))) return;
    if (point.has_sum() && !emit(base, "_sum", {}, t, value(point.sum()))) return;
    std::vector<Exemplar> exemplars = exemplars_of(point.exemplars());
    auto next = exemplars.begin();  // of those that no bucket has taken
    std::uint64_t below = 0;
    for (int i = 0; i < bounds; ++i) {
      below += point.bucket_counts(i);
      const double bound = point.explicit_bounds(i);
      const model::Labels* bucket = emit(base, "_bucket", {{"le", bound_text(bound)}}, t, value(static_cast<double>(below)));
      if (bucket == nullptr) return;
      const auto end = std::find_if(next, exemplars.end(), [&](const Exemplar& e) { return !(e.value <= bound); });
      bucket_exemplars(*bucket, std::exchange(next, end), end);
    }
    const model::Labels* last = emit(base, "_bucket", {{"le", "+Inf"}}, t, value(static_cast<double>(point.count())));
    if (last != nullptr) bucket_exemplars(*last, next, exemplars.end());
  }

  using Exemplars = std::vector<Exemplar>::iterator;
  void bucket_exemplars(const model::Labels& series, Exemplars first, Exemplars last) {
    if (first == last) return;
    add_exemplars(series, {std::make_move_iterator(first), std::make_move_iterator(last)}, place(name_), budget_, batch_, refused_);
  }

  // Sorted by value, NaN last. Attributes go when they would not fit beside the ids: what an SDK filters out of a span's may be long.
  static std::vector<Exemplar> exemplars_of(const google::protobuf::RepeatedPtrField<pb::Exemplar>& given) {
    std::vector<Exemplar> out;
    for (const pb::Exemplar& e : given) {
      Exemplar& made = out.emplace_back();
      made.value = e.value_case() == pb::Exemplar::kAsInt ? static_cast<double>(e.as_int()) : e.as_double();
      made.time_ms = ms_of(e.time_unix_nano());
      // An id of another length is none.
      if (const auto id = id_hex(e.trace_id(), 16); id && !id->empty()) made.labels.push_back({std::string(model::field::trace_id), *id});
      if (const auto id = id_hex(e.span_id(), 8); id && !id->empty()) made.labels.push_back({std::string(model::field::span_id), *id});
      const std::size_t ids = made.labels.size();
      for (auto& [name, value] : labels_of(e.filtered_attributes(), false)) made.labels.push_back({name, value});
      if (exemplar_runes(made.labels) > exemplar_label_runes_max) made.labels.resize(ids);
    }
    std::ranges::sort(out, [](const Exemplar& a, const Exemplar& b) {
      return std::isnan(a.value) != std::isnan(b.value) ? std::isnan(b.value) : a.value < b.value;
    });
    return out;
  }

  void exponential(const pb::ExponentialHistogramDataPoint& point) {
    auto histogram = native_histogram(point);
    if (!histogram) return refuse(histogram.error().reason, histogram.error().message);
    auto labels = labels_for(base_labels(point.attributes()), "", {}, model::samples_worth(*histogram) * sizeof(model::Sample));
    if (!labels) return;
    const std::int64_t t = ms_of(point.time_unix_nano());
    batch_.histograms.push_back({std::move(*labels), {{t, std::move(*histogram)}}});
    stored_at(t);
    if (point.exemplars_size() > 0)
      add_exemplars(batch_.histograms.back().labels, exemplars_of(point.exemplars()), place(name_), budget_, batch_, refused_);
  }

  void summary(const pb::SummaryDataPoint& point) {
    const bool stale = (point.flags() & no_recorded_value) != 0;
    const std::int64_t t = ms_of(point.time_unix_nano());
    const LabelMap base = base_labels(point.attributes());
    const auto value = [&](double v) { return stale ? model::stale_nan : v; };
    if (!emit(base, "_count", {}, t, value(static_cast<double>(point.count())))) return;
    if (!emit(base, "_sum", {}, t, value(point.sum()))) return;
    for (const auto& q : point.quantile_values())
      if (!emit(base, "", {{"quantile", bound_text(q.quantile())}}, t, value(q.value()))) return;
  }

  // ------------------------------------------------------------------------------------------------- series

  LabelMap base_labels(const OtlpAttributes& attributes) const {
    LabelMap labels = labels_of(attributes, false);
    resource_->add_to(labels);
    return labels;
  }

  using Extra = std::initializer_list<std::pair<std::string_view, std::string>>;

  // The series' labels, valid until the next one; nullptr when it was refused.
  const model::Labels* emit(const LabelMap& base, std::string_view suffix, Extra extra, std::int64_t t, double v) {
    auto labels = labels_for(base, suffix, extra, 0);
    if (!labels) return nullptr;
    batch_.series.push_back({std::move(*labels), {{t, v}}});
    stored_at(t);
    return &batch_.series.back().labels;
  }

  void stored_at(std::int64_t t) {
    time_min_ = std::min(time_min_.value_or(t), t);
    time_max_ = std::max(time_max_.value_or(t), t);
  }

  // Nothing when the series is refused, which is then in the list. `bytes`: what comes beside the labels.
  std::optional<model::Labels> labels_for(const LabelMap& base, std::string_view suffix, Extra extra, std::size_t bytes) {
    std::vector<model::Label> labels;
    labels.reserve(base.size() + extra.size() + 1);
    const auto overwritten = [&](std::string_view name) {
      if (name == model::metric_name_label) return true;
      return std::any_of(extra.begin(), extra.end(), [&](const auto& e) { return e.first == name; });
    };
    for (const auto& [name, value] : base)
      if (!overwritten(name)) labels.push_back({name, value});
    for (const auto& [name, value] : extra) labels.push_back({std::string(name), value});
    labels.push_back({std::string(model::metric_name_label), name_ + std::string(suffix)});
    auto checked = series_labels(std::move(labels));
    if (!checked) {
      refuse(checked.error().reason, checked.error().message);
      return std::nullopt;
    }
    if (!budget_.take(*checked) || !budget_.take(bytes)) {
      refuse("batch_too_large", over_budget().message);
      return std::nullopt;
    }
    return std::move(*checked);
  }

  // A gauge of 1 that carries the resource's other attributes, joined by job and instance.
  void target_info(const OtlpAttributes& attributes) {
    if (!time_max_ || resource_->identity.empty()) return;
    LabelMap labels = labels_of(attributes, true);
    if (labels.empty()) return;
    resource_->add_to(labels);
    const std::int64_t from = std::max(*time_min_, *time_max_ - target_info_step_ms * target_info_max);
    // Up to a thousand samples for two points on the wire: they count too.
    if (!budget_.take(static_cast<std::size_t>((*time_max_ - from) / target_info_step_ms + 2) * sizeof(model::Sample))) {
      name_ = "target_info";
      at_.point = -1;
      return refuse("batch_too_large", over_budget().message);
    }
    std::vector<model::Sample> samples;
    for (std::int64_t t = from; t < *time_max_; t += target_info_step_ms) samples.push_back({t, 1});
    samples.push_back({*time_max_, 1});
    name_ = "target_info";
    at_.point = -1;
    if (!emit(labels, "", {}, *time_max_, 1)) return;
    batch_.series.back().samples = std::move(samples);
    if (!info_described_) batch_.metadata.push_back({"target_info", "gauge", "Target metadata", ""});
    info_described_ = true;
  }

  const OtlpOptions& options_;
  storage::WriteBatch batch_;
  Rejections refused_;
  Budget budget_;
  const ResourceLabels* resource_ = nullptr;
  At at_{0, 0, 0, -1};
  std::string name_;
  std::optional<std::int64_t> time_min_, time_max_;  // of the resource's stored points
  bool info_described_ = false;
};

}  // namespace

Decoded translate_metrics(const otlp_collector::metrics::v1::ExportMetricsServiceRequest& request,
                          const OtlpOptions& options) {
  MetricsTranslator translator(options);
  for (int i = 0; i < request.resource_metrics_size(); ++i) translator.resource(request.resource_metrics(i), i);
  return translator.take();
}

}  // namespace plumbline::ingest
