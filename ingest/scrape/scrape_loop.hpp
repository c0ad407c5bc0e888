// The scraper without its threads: which target is due when, one scrape from request to sink, and what is
// known of targets. step() and run() may be driven by hand, with a clock that stands still.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "ingest/scrape/discovery.hpp"
#include "ingest/scrape/target_samples.hpp"

namespace plumbline::ingest {

// One target over its life. What is not const is guarded by the loop's mutex, but for `samples`, which
// belongs to whoever runs the task in flight: there is one at most.
struct ScrapedTarget {
  std::shared_ptr<const Target> target;
  TargetStatus status;
  std::int64_t due_ms = 0;
  bool in_flight = false;
  bool gone = false;
  TargetSamples samples;
};

struct ScrapeTask {
  std::shared_ptr<ScrapedTarget> state;
  std::shared_ptr<const Target> target;  // as it was when the task was made
  std::int64_t due_ms = 0;
  bool last = false;  // no scrape: only the stale markers of a target that is gone
};

// Threads: any. Blocks: step() on target files, run() on the target and the journal.
// Borrows: sink, client, clock, log, registry.
class ScrapeLoop {
 public:
  ScrapeLoop(Sink& sink, http::Client& client, const Clock& clock, Log& log, Registry& registry,
             TargetFileReader read);

  Status set_jobs(std::vector<ScrapeJob> jobs);

  // Takes a task unless its queue is full. A scrape that finds it full is left out and counted; it is never
  // late.
  using Dispatch = std::function<bool(ScrapeTask&)>;
  // Reads target files that are due, hands out the targets that are due. Answers when to come again (Unix
  // ms).
  std::int64_t step(std::int64_t now_ms, const Dispatch& dispatch);
  void run(ScrapeTask task);

  std::vector<TargetStatus> targets() const;
  std::vector<TargetStatus> dropped_targets() const;
  std::vector<ScrapePool> pools() const;

 private:
  using Targets = std::map<std::string, std::shared_ptr<ScrapedTarget>>;

  void place_targets(std::int64_t now_ms) PLUMBLINE_REQUIRES(mutex_);
  void scrape(const ScrapeTask& task);
  void finish(const ScrapeTask& task);
  bool store(const ScrapeTask& task, Decoded decoded);

  Sink& sink_;
  http::Client& client_;
  const Clock& clock_;
  Log& log_;
  const TargetFileReader read_;
  Counter& scrapes_ok_;
  Counter& scrapes_failed_;
  Counter& skipped_busy_;
  Counter& skipped_running_;
  Counter& not_stored_;
  Counter& file_failures_;

  mutable Mutex mutex_;
  std::vector<JobDiscovery> jobs_ PLUMBLINE_GUARDED_BY(mutex_);
  Targets targets_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<ScrapedTarget>> leaving_
      PLUMBLINE_GUARDED_BY(mutex_);  // gone, markers not yet handed out
  std::vector<TargetStatus> dropped_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<ScrapePool> pools_ PLUMBLINE_GUARDED_BY(mutex_);
};

// The time of a scrape's samples: its due time when it began within 2 ms (or 1% of a short interval) of it,
// as in Prometheus. Timestamps on a grid compress to almost nothing.
std::int64_t sample_time_ms(std::int64_t due_ms, std::int64_t start_ms, Millis interval);

}  // namespace plumbline::ingest
