// What every test may use: a clock that stands still until told, a quiet log, a temporary directory, a store in memory.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <variant>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/mutex.hpp"
#include "storage/storage.hpp"

namespace plumbline::test {

class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t start_ms = 1'700'000'000'000) : ns_(start_ms * 1'000'000) {}
  std::int64_t now_ns() const override { return ns_; }
  Steady steady() const override { return Steady(std::chrono::nanoseconds(steady_ns_)); }
  void advance(Millis by) {
    ns_ += by.count() * 1'000'000;
    steady_ns_ += by.count() * 1'000'000;
  }
  void jump(Millis by) { ns_ += by.count() * 1'000'000; }  // the wall clock only

 private:
  std::atomic<std::int64_t> ns_;
  std::atomic<std::int64_t> steady_ns_{1'000'000'000};
};

// Removed with everything in it when it goes out of scope.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  std::string path(std::string_view below = "") const;

 private:
  std::filesystem::path path_;
};

// A Writer, Reader and State that keeps everything in maps: what query, ingest and alerting tests stand on.
class MemoryStore final : public storage::Writer, public storage::Reader, public storage::State {
 public:
  Result<storage::WriteReceipt> write(storage::WriteBatch batch) override;
  Status select(const storage::SeriesQuery& query, const storage::SeriesVisitor& visit) const override;
  Result<bool> windows(const storage::SeriesQuery& query, std::span<const model::TimeRange> windows,
                       const storage::WindowVisitor& visit) const override;
  Result<std::vector<model::Labels>> series(const std::vector<model::Matchers>& selectors, model::TimeRange range,
                                            std::size_t limit, const storage::GoOn& go_on = {}) const override;
  Result<std::vector<std::string>> label_names(const std::vector<model::Matchers>& selectors, model::TimeRange range,
                                               const storage::GoOn& go_on = {}) const override;
  Result<std::vector<std::string>> label_values(std::string_view name, const std::vector<model::Matchers>& selectors,
                                                model::TimeRange range, const storage::GoOn& go_on = {}) const override;
  Result<std::vector<storage::MetricMetadata>> metadata(std::string_view metric) const override;
  Status scan(const storage::EventQuery& query, const storage::BlockVisitor& visit) const override;
  Result<std::vector<model::Labels>> streams(model::EventKind kind, const model::Matchers& matchers,
                                             model::TimeRange range_ns) const override;
  Result<std::vector<std::optional<model::LateLabel>>> late_labels(
      std::string_view model, std::span<const std::string> prediction_ids) const override;
  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status put(std::vector<storage::StatePut> puts) override;
  Status list(std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override;

  // The next writes fail with this error until it is cleared.
  void fail_writes(std::optional<Error> error);

 private:
  mutable Mutex mutex_;
  using Point = std::variant<double, model::Histogram>;
  std::map<model::Labels, std::map<std::int64_t, Point>> series_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::string, storage::MetricMetadata, std::less<>> metadata_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::pair<int, model::Labels>, std::multimap<std::int64_t, model::Row>> events_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, model::LateLabel> labels_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::string, std::string, std::less<>> state_ PLUMBLINE_GUARDED_BY(mutex_);
  std::optional<Error> failure_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::test
