// A reader that ends what it is asked once nobody waits for the answer any more: how the routes that run no
// PromQL end when their client has gone. Between two series or two blocks of rows (at most 8,192 of them),
// in a look-up of series or labels wherever the reader below asks, and before every other call.
#pragma once

#include <stop_token>

#include "daemon/base/clock.hpp"
#include "storage/storage.hpp"

namespace plumbline::query {

// For loops that read nothing. Fails: cancelled, when stop is requested.
Status go_on(const std::stop_token& stop);
// For what has a time limit besides. Fails: cancelled as above, timeout behind the deadline.
Status go_on(const std::stop_token& stop, const Clock& clock, Steady deadline);

// Threads: any. Blocks: as the reader below.
// Borrows: reader. Fails: cancelled when `stop` is requested; else what the reader below says.
class StoppingReader final : public storage::Reader {
 public:
  StoppingReader(const storage::Reader& reader, std::stop_token stop)
      : reader_(reader), stop_(std::move(stop)) {}
  StoppingReader(const StoppingReader&) = delete;

  const std::stop_token& stop() const { return stop_; }

  Status select(const storage::SeriesQuery& query, const storage::SeriesVisitor& visit) const override;
  Status select_parts(const storage::SeriesQuery& query, const storage::Runner& run,
                      const storage::PartVisitor& visit) const override;
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                       const storage::WindowVisitor& visit) const override;
  Result<std::vector<model::Labels>> series(const std::vector<model::Matchers>& selectors,
                                            model::TimeRange range, std::size_t limit,
                                            const storage::GoOn& go_on = {}) const override;
  Result<std::vector<std::string>> label_names(const std::vector<model::Matchers>& selectors,
                                               model::TimeRange range,
                                               const storage::GoOn& go_on = {}) const override;
  Result<std::vector<std::string>> label_values(std::string_view name,
                                                const std::vector<model::Matchers>& selectors,
                                                model::TimeRange range,
                                                const storage::GoOn& go_on = {}) const override;
  Result<std::vector<storage::MetricMetadata>> metadata(std::string_view metric) const override;
  Status scan(const storage::EventQuery& query, const storage::BlockVisitor& visit) const override;
  Result<std::vector<model::Labels>> streams(model::EventKind kind, const model::Matchers& matchers,
                                             model::TimeRange range_ns) const override;
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(
      std::string_view model, std::span<const std::string> prediction_ids) const override;

 private:
  // What the caller asks for besides.
  storage::GoOn unless_stopped(const storage::GoOn& go_on) const;

  const storage::Reader& reader_;
  const std::stop_token stop_;
};

}  // namespace plumbline::query
