// What stands between a query and its store in tests: a reader that remembers what was read, a clock that runs when looked at.
#pragma once

#include <vector>

#include "daemon/base/clock.hpp"
#include "storage/storage.hpp"

namespace plumbline::test {

// Counts selects and remembers their ranges.
class CountingReader : public storage::Reader {
 public:
  explicit CountingReader(const storage::Reader& inner) : inner_(inner) {}
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                 const storage::WindowVisitor& visit) const override {
    return inner_.windows(query, windows, visit);
  }
  Status select(const storage::SeriesQuery& q, const storage::SeriesVisitor& visit) const override {
    ranges.push_back(q.range);
    return inner_.select(q, visit);
  }
  Result<std::vector<model::Labels>> series(const std::vector<model::Matchers>& s, model::TimeRange r, std::size_t n,
                                            const storage::GoOn& g) const override { return inner_.series(s, r, n, g); }
  Result<std::vector<std::string>> label_names(const std::vector<model::Matchers>& s, model::TimeRange r,
                                               const storage::GoOn& g) const override {
    return inner_.label_names(s, r, g);
  }
  Result<std::vector<std::string>> label_values(std::string_view n, const std::vector<model::Matchers>& s, model::TimeRange r,
                                                const storage::GoOn& g) const override { return inner_.label_values(n, s, r, g); }
  Result<std::vector<storage::MetricMetadata>> metadata(std::string_view m) const override { return inner_.metadata(m); }
  Status scan(const storage::EventQuery& q, const storage::BlockVisitor& v) const override { return inner_.scan(q, v); }
  Result<std::vector<model::Labels>> streams(model::EventKind k, const model::Matchers& m, model::TimeRange r) const override {
    return inner_.streams(k, m, r);
  }
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(std::string_view m,
                                                                   std::span<const std::string> ids) const override {
    return inner_.late_labels(m, ids);
  }
  mutable std::vector<model::TimeRange> ranges;

 private:
  const storage::Reader& inner_;
};

// Moves on by a second each time it is asked.
class HastyClock final : public Clock {
 public:
  std::int64_t now_ns() const override { return 0; }
  Steady steady() const override { return Steady(std::chrono::seconds(++asked_)); }

 private:
  mutable int asked_ = 0;
};

}  // namespace plumbline::test
