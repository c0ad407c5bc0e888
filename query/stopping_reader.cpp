#include "query/stopping_reader.hpp"

namespace plumbline::query {

Status go_on(const std::stop_token& stop) {
  if (stop.stop_requested()) return fail(Code::cancelled, "query was canceled in query execution");
  return {};
}

Status go_on(const std::stop_token& stop, const Clock& clock, Steady deadline) {
  PLUMBLINE_CHECK_OK(go_on(stop));
  if (clock.steady() > deadline) return fail(Code::timeout, "query timed out in query execution");
  return {};
}

// A visit that was refused because of the stop ends the read below without an error: it is told here. A stop
// that comes after the last visit may leave the read complete, and cancels all the same: nobody waits for it.

Status StoppingReader::select(const storage::SeriesQuery& query, const storage::SeriesVisitor& visit) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  PLUMBLINE_CHECK_OK(
      reader_.select(query, [&](const model::Labels& labels, const storage::SeriesPoints& points) {
        return !stop_.stop_requested() && visit(labels, points);
      }));
  return go_on(stop_);
}

Status StoppingReader::select_parts(const storage::SeriesQuery& query, const storage::Runner& run,
                                    const storage::PartVisitor& visit) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  PLUMBLINE_CHECK_OK(reader_.select_parts(
      query, run, [&](std::size_t part, model::Labels&& labels, const storage::SeriesPoints& points) {
        return !stop_.stop_requested() && visit(part, std::move(labels), points);
      }));
  return go_on(stop_);
}

Result<bool> StoppingReader::windows(const storage::SeriesQuery& query,
                                     std::span<const model::TimeRange> windows,
                                     const storage::WindowVisitor& visit) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  PLUMBLINE_TRY(
      const bool exact,
      reader_.windows(query, windows,
                      [&](const model::Labels& labels, std::span<const model::WindowSummary> summaries) {
                        return !stop_.stop_requested() && visit(labels, summaries);
                      }));
  PLUMBLINE_CHECK_OK(go_on(stop_));
  return exact;
}

storage::GoOn StoppingReader::unless_stopped(const storage::GoOn& go_on) const {
  return [this, &go_on]() -> Status {
    PLUMBLINE_CHECK_OK(query::go_on(stop_));
    return go_on ? go_on() : Status();
  };
}

Result<std::vector<model::Labels>> StoppingReader::series(const std::vector<model::Matchers>& selectors,
                                                          model::TimeRange range, std::size_t limit,
                                                          const storage::GoOn& go_on) const {
  PLUMBLINE_CHECK_OK(query::go_on(stop_));
  return reader_.series(selectors, range, limit, unless_stopped(go_on));
}

Result<std::vector<std::string>> StoppingReader::label_names(const std::vector<model::Matchers>& selectors,
                                                             model::TimeRange range,
                                                             const storage::GoOn& go_on) const {
  PLUMBLINE_CHECK_OK(query::go_on(stop_));
  return reader_.label_names(selectors, range, unless_stopped(go_on));
}

Result<std::vector<std::string>> StoppingReader::label_values(std::string_view name,
                                                              const std::vector<model::Matchers>& selectors,
                                                              model::TimeRange range,
                                                              const storage::GoOn& go_on) const {
  PLUMBLINE_CHECK_OK(query::go_on(stop_));
  return reader_.label_values(name, selectors, range, unless_stopped(go_on));
}

Result<std::vector<storage::MetricMetadata>> StoppingReader::metadata(std::string_view metric) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  return reader_.metadata(metric);
}

Status StoppingReader::scan(const storage::EventQuery& query, const storage::BlockVisitor& visit) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  PLUMBLINE_CHECK_OK(reader_.scan(
      query, [&](const storage::RowBlock& block) { return !stop_.stop_requested() && visit(block); }));
  return go_on(stop_);
}

Result<std::vector<model::Labels>> StoppingReader::streams(model::EventKind kind,
                                                           const model::Matchers& matchers,
                                                           model::TimeRange range_ns) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  return reader_.streams(kind, matchers, range_ns);
}

Result<std::vector<std::optional<model::LateLabel>>> StoppingReader::late_labels(
    std::string_view model, std::span<const std::string> prediction_ids) const {
  PLUMBLINE_CHECK_OK(go_on(stop_));
  return reader_.late_labels(model, prediction_ids);
}

}  // namespace plumbline::query
