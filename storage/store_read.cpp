// The read side: every call holds the store open and asks one engine.
#include "storage/store_impl.hpp"
#include "storage/store_keys.hpp"

namespace plumbline::storage {

Status KvStore::select(const SeriesQuery& query, const SeriesVisitor& visit) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->select(query, visit);
}

Status KvStore::select_parts(const SeriesQuery& query, const Runner& run, const PartVisitor& visit) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->select_parts(query, run, visit);
}

Result<bool> KvStore::windows(const SeriesQuery& query, std::span<const TimeRange> windows,
                              const WindowVisitor& visit) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->windows(query, windows, visit);
}

Result<std::vector<Labels>> KvStore::series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit,
                                            const GoOn& go_on) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->series(selectors, range, limit, go_on);
}

Result<std::vector<std::string>> KvStore::label_names(const std::vector<Matchers>& selectors, TimeRange range,
                                                      const GoOn& go_on) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->label_names(selectors, range, go_on);
}

Result<std::vector<std::string>> KvStore::label_values(std::string_view name, const std::vector<Matchers>& selectors,
                                                       TimeRange range, const GoOn& go_on) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->label_values(name, selectors, range, go_on);
}

Result<std::vector<MetricMetadata>> KvStore::metadata(std::string_view metric) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  ReadLock lock(metadata_mutex_);
  std::vector<MetricMetadata> out;
  if (metric.empty()) {
    for (const auto& [name, m] : metadata_) out.push_back(m);
  } else if (const auto it = metadata_.find(metric); it != metadata_.end()) {
    out.push_back(it->second);
  }
  return out;
}

Result<model::Cardinality> KvStore::cardinality(std::size_t n) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return series_->index().cardinality(n);
}

Status KvStore::scan(const EventQuery& query, const BlockVisitor& visit) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return events_->scan(query, visit);
}

Result<std::vector<Labels>> KvStore::streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return events_->streams(kind, matchers, range_ns);
}

Result<std::vector<std::optional<model::LateLabel>>> KvStore::late_labels(
    std::string_view model, std::span<const std::string> prediction_ids) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return events_->late_labels(model, prediction_ids);
}

Result<std::optional<std::string>> KvStore::get(std::string_view key) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return kv_->get(kv::Family::state, key);
}

Status KvStore::list(std::string_view prefix,
                     const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  return kv_->scan(kv::Family::state, prefix, after_prefix(prefix), visit);
}

}  // namespace plumbline::storage
