#include <algorithm>
#include <random>
#include <set>

#include <fmt/format.h>

#include "storage/model/wire_labels.hpp"
#include "tests/support/support.hpp"

namespace plumbline::test {

using model::EventKind;
using model::Labels;
using model::Matchers;
using model::TimeRange;

TempDir::TempDir() {
  std::random_device random;
  path_ = std::filesystem::temp_directory_path() / fmt::format("plumbline-test-{:08x}{:08x}", random(), random());
  std::filesystem::create_directories(path_);
}

TempDir::~TempDir() {
  std::error_code ignored;  // a file that is still open on its way out must not fail the test that used it
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::path(std::string_view below) const { return below.empty() ? path_.string() : (path_ / below).string(); }

Result<storage::WriteReceipt> MemoryStore::write(storage::WriteBatch batch) {
  Lock lock(mutex_);
  if (failure_) return fail(*failure_);
  storage::WriteReceipt receipt;
  for (const auto& s : batch.series)
    for (const auto& sample : s.samples) {
      series_[s.labels][sample.t] = sample.v;
      ++receipt.samples;
    }
  for (std::size_t i = 0; i < batch.wire.series.size(); ++i) {
    const auto& s = batch.wire.series[i];
    const auto labels = model::parse_wire_labels(s.labels);
    if (!labels) {
      receipt.refusals.push_back({labels.error().reason, "timeseries " + std::to_string(i) + ": " + labels.error().message, s.count});
      continue;
    }
    for (std::uint32_t k = 0; k < s.count; ++k) {
      const model::Sample& sample = batch.wire.samples[s.first + k];
      series_[*labels][sample.t] = sample.v;
      ++receipt.samples;
    }
  }
  for (auto& s : batch.histograms)
    for (auto& sample : s.samples) {
      series_[s.labels][sample.t] = std::move(sample.h);
      ++receipt.histograms;
    }
  for (const auto& m : batch.metadata) metadata_[m.metric] = m;
  for (auto& e : batch.events)
    for (auto& row : e.rows) {
      events_[{static_cast<int>(e.kind), e.stream}].emplace(row.time_ns, std::move(row));
      ++receipt.rows;
    }
  for (const auto& l : batch.labels) {
    labels_[{l.model, l.prediction_id}] = l;
    ++receipt.labels;
  }
  for (const auto& p : batch.state) {
    if (p.value) state_[p.key] = *p.value;
    else state_.erase(p.key);
  }
  return receipt;
}

Status MemoryStore::select(const storage::SeriesQuery& query, const storage::SeriesVisitor& visit) const {
  Lock lock(mutex_);
  std::uint64_t series = 0, total = 0;
  for (const auto& [labels, samples] : series_) {
    if (!model::matches_all(query.matchers, labels)) continue;
    std::vector<model::Sample> out;
    std::vector<model::HistogramSample> histograms;
    for (auto it = samples.lower_bound(query.range.min); it != samples.end() && it->first <= query.range.max; ++it)
      if (const double* v = std::get_if<double>(&it->second))
        out.push_back({it->first, *v});
      else
        histograms.push_back({it->first, std::get<model::Histogram>(it->second)});
    if (out.empty() && histograms.empty()) continue;
    total += out.size();
    for (const auto& s : histograms) total += model::samples_worth(s.h);
    if (++series > query.series_max || total > query.samples_max)
      return fail(Code::over_limit, "the query reads more series or samples than its limit");
    if (!visit(labels, {out, histograms})) break;
  }
  return {};
}

Result<bool> MemoryStore::windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                                  const storage::WindowVisitor& visit) const {
  if (windows.empty()) return true;
  storage::SeriesQuery whole = query;
  whole.range = {};
  bool floats_only = true;
  const Status read = select(whole, [&](const model::Labels& labels, const storage::SeriesPoints& points) {
    const TimeRange hull{windows.front().min, windows.back().max};
    for (const auto& s : points.histograms) floats_only = floats_only && !hull.contains(s.t);
    std::vector<model::WindowSummary> answers;
    bool any = false;
    for (const model::TimeRange& w : windows) {
      answers.push_back(model::summarize_window(points.samples, w));
      any |= answers.back().count > 0;
    }
    return floats_only && (!any || visit(labels, answers));
  });
  if (!read) return fail(read.error());
  return floats_only;
}

Result<std::vector<Labels>> MemoryStore::series(const std::vector<Matchers>& selectors, TimeRange range, std::size_t limit,
                                                const storage::GoOn& go_on) const {
  if (go_on) PLUMBLINE_CHECK_OK(go_on());
  Lock lock(mutex_);
  std::vector<Labels> out;
  for (const auto& [labels, samples] : series_) {
    const auto first = samples.lower_bound(range.min);
    if (first == samples.end() || first->first > range.max) continue;
    const bool wanted = selectors.empty() || std::any_of(selectors.begin(), selectors.end(), [&](const Matchers& m) {
                          return model::matches_all(m, labels);
                        });
    if (wanted) out.push_back(labels);
    if (limit != 0 && out.size() == limit) break;
  }
  return out;
}

Result<std::vector<std::string>> MemoryStore::label_names(const std::vector<Matchers>& selectors, TimeRange range,
                                                          const storage::GoOn& go_on) const {
  PLUMBLINE_TRY(const auto all, series(selectors, range, 0, go_on));
  std::set<std::string> names;
  for (const Labels& labels : all)
    for (const auto& l : labels) names.insert(l.name);
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<std::string>> MemoryStore::label_values(std::string_view name, const std::vector<Matchers>& selectors,
                                                           TimeRange range, const storage::GoOn& go_on) const {
  PLUMBLINE_TRY(const auto all, series(selectors, range, 0, go_on));
  std::set<std::string> values;
  for (const Labels& labels : all)
    if (labels.has(name)) values.emplace(labels.get(name));
  return std::vector<std::string>(values.begin(), values.end());
}

Result<std::vector<storage::MetricMetadata>> MemoryStore::metadata(std::string_view metric) const {
  Lock lock(mutex_);
  std::vector<storage::MetricMetadata> out;
  for (const auto& [name, m] : metadata_)
    if (metric.empty() || metric == name) out.push_back(m);
  return out;
}

Status MemoryStore::scan(const storage::EventQuery& query, const storage::BlockVisitor& visit) const {
  Lock lock(mutex_);
  const auto wanted_column = [&](std::string_view name) {
    if (query.columns.empty()) return true;
    return std::any_of(query.columns.begin(), query.columns.end(), [&](const std::string& c) {
      return c.ends_with('*') ? name.starts_with(std::string_view(c).substr(0, c.size() - 1)) : c == name;
    });
  };
  for (const auto& [key, rows] : events_) {
    if (key.first != static_cast<int>(query.kind) || !model::matches_all(query.stream, key.second)) continue;
    std::vector<std::int64_t> times;
    std::vector<storage::Column> columns;
    for (auto it = rows.lower_bound(query.range_ns.min); it != rows.end() && it->first <= query.range_ns.max; ++it) {
      if (query.id) {
        const model::Value* id = it->second.find(query.id->first);
        if (id == nullptr || *id != model::Value(query.id->second)) continue;
      }
      for (const auto& field : it->second.fields) {
        if (!wanted_column(field.name)) continue;
        auto column = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == field.name; });
        if (column == columns.end()) column = columns.insert(columns.end(), storage::Column{field.name, {}});
        column->values.resize(times.size());
        column->values.push_back(field.value);
      }
      times.push_back(it->first);
    }
    if (times.empty()) continue;
    for (auto& c : columns) c.values.resize(times.size());
    const storage::RowBlock block{query.kind, &key.second, times, columns};
    if (!visit(block)) break;
  }
  return {};
}

Result<std::vector<Labels>> MemoryStore::streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const {
  Lock lock(mutex_);
  std::vector<Labels> out;
  for (const auto& [key, rows] : events_) {
    const auto first = rows.lower_bound(range_ns.min);
    if (key.first == static_cast<int>(kind) && model::matches_all(matchers, key.second) && first != rows.end() &&
        first->first <= range_ns.max)
      out.push_back(key.second);
  }
  return out;
}

Result<std::vector<std::optional<model::LateLabel>>> MemoryStore::late_labels(
    std::string_view model_name, std::span<const std::string> prediction_ids) const {
  Lock lock(mutex_);
  std::vector<std::optional<model::LateLabel>> out;
  for (const std::string& id : prediction_ids) {
    const auto it = labels_.find({std::string(model_name), id});
    out.push_back(it == labels_.end() ? std::nullopt : std::optional(it->second));
  }
  return out;
}

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) const {
  Lock lock(mutex_);
  const auto it = state_.find(key);
  return it == state_.end() ? std::nullopt : std::optional(it->second);
}

Status MemoryStore::put(std::vector<storage::StatePut> puts) {
  storage::WriteBatch batch;
  batch.state = std::move(puts);
  const auto receipt = write(std::move(batch));
  if (!receipt) return fail(receipt.error());
  return {};
}

Status MemoryStore::list(std::string_view prefix,
                         const std::function<bool(std::string_view, std::string_view)>& visit) const {
  std::vector<std::pair<std::string, std::string>> found;
  {
    Lock lock(mutex_);
    for (auto it = state_.lower_bound(prefix); it != state_.end() && it->first.starts_with(prefix); ++it)
      found.emplace_back(it->first, it->second);
  }
  for (const auto& [key, value] : found)
    if (!visit(key, value)) break;
  return {};
}

void MemoryStore::fail_writes(std::optional<Error> error) {
  Lock lock(mutex_);
  failure_ = std::move(error);
}

}  // namespace plumbline::test
