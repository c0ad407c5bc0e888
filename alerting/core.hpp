// The alerting engine without its threads: every function takes the time from the injected clock and returns
// at once, so that a test drives it with a clock that stands still, and Service only adds threads and
// waiting.
//
//   take_due() -> run(job): evaluate, step the machine, ONE batch {series, ALERTS, state, history, groups} ->
//   write -> install flush():      groups whose time has come -> ONE batch {groups, outbox rows} -> write ->
//   install deliver_one(): the head of a line in the outbox -> HTTP -> {row deleted | retried | dead letter}
//
// What the store did not take has not happened: nothing is installed, nothing is notified, and the next slot
// tries again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alerting/evaluator.hpp"
#include "alerting/grouping.hpp"
#include "alerting/outbox.hpp"
#include "alerting/plan.hpp"
#include "alerting/records.hpp"
#include "alerting/schedule.hpp"
#include "daemon/base/mutex.hpp"

namespace plumbline::alerting {

enum class Health { unknown, ok, err };
std::string_view name_of(Health health);

struct RuleRuntime {
  Alerts alerts;
  Streaks streaks;                // of a drift rule
  std::set<Labels> previous;      // series of the last evaluation, for stale markers
  std::int64_t evaluated_ms = 0;  // the last slot that was stored
  bool restored = false;          // from the store, and not evaluated since
  bool stored = false;            // a state row exists
  Health health = Health::unknown;
  std::string last_error;
  std::string insufficient;  // why a drift rule can say nothing, though nothing failed
  std::int64_t insufficient_logged_ms = 0;
  std::int64_t last_ms = 0;  // the last evaluation, good or bad
  double seconds = 0;
};

struct UnitRuntime {
  Slots slots;
  bool running = false;
  std::vector<RuleRuntime> rules;
  Burns burns;  // of an SLO
  std::int64_t period_read_ms = 0;
  std::uint64_t missed = 0;
  std::int64_t last_ms = 0;
  double seconds = 0;
};

struct Job {
  std::size_t unit = 0;
  std::int64_t slot_ms = 0;
};

// What the HTTP routes show; a copy.
struct View {
  std::shared_ptr<const Plan> plan;
  std::vector<UnitRuntime> units;
  std::vector<Delivery> outbox;
  std::vector<DeadLetter> dead;
};

// Threads: any. Blocks: on the store, and in deliver_one() on the receiver; no lock is held while a query or
// a delivery runs. Borrows: everything in Needs.
class Core {
 public:
  struct Needs {
    Sources sources;
    ExpressionCheck check;
    storage::Writer& writer;
    storage::State& state;
    http::Client& client;
    const Clock& clock;
    Log& log;
    Registry& registry;
    RetryPolicy retry{};
    std::uint64_t seed = 1;  // of the jitter
  };
  explicit Core(Needs needs);

  // Restores alerts, groups and the outbox. Fails: invalid_input (every error of the rules, one per line),
  // io, unsupported (state written by a newer version).
  Status start(const RuleSet& rules);
  // Waits for running evaluations, then swaps. Fails: invalid_input; the old rules stay.
  Status reload(const RuleSet& rules);

  std::vector<Job> take_due();
  void run(const Job& job);
  void abandon(const Job& job);  // taken, and there was no room to run it
  // Evaluates a unit now, at a time that its slots do not know: for tests of rules. What failed, by rule.
  std::vector<std::pair<std::string, std::string>> run_at(const Job& job);
  void flush();
  bool deliver_one();  // false: nothing is due
  // Stops between rules; what is not evaluated is evaluated after the next start.
  void stop();

  std::int64_t next_evaluation_ms() const;  // or flush
  std::int64_t next_delivery_ms() const;
  View view() const;
  Result<std::vector<HistoryRow>> history(std::size_t rows_max) const;  // newest first

 private:
  static constexpr std::size_t dead_letters_max = 1'000;
  static constexpr std::uint64_t history_rows_max = 10'000;

  using Known = std::map<std::string, RuleRuntime>;  // by uid
  Result<std::shared_ptr<const Plan>> compile(const RuleSet& rules) const;
  void load(std::shared_ptr<const Plan> plan, Known known, const std::vector<AlertGroup>& groups)
      PLUMBLINE_REQUIRES(mutex_);
  void reconcile(storage::WriteBatch& batch) PLUMBLINE_REQUIRES(mutex_);
  RoutedAlert routed(const PlannedRule& rule, const Alert& alert, std::int64_t ends_at_ms) const
      PLUMBLINE_REQUIRES(mutex_);
  Status restore_rows(Known& known, std::vector<AlertGroup>& groups) PLUMBLINE_REQUIRES(mutex_);

  void run_rules(const Job& job, std::size_t first, std::size_t count);
  Status commit(std::size_t unit, std::size_t rule, Evaluated evaluated, std::int64_t ts_ms)
      PLUMBLINE_REQUIRES(mutex_);
  void note(std::size_t unit, std::size_t rule, const Status& status, double seconds)
      PLUMBLINE_REQUIRES(mutex_);
  Status write(storage::WriteBatch batch) PLUMBLINE_REQUIRES(mutex_);
  void put_groups(const GroupChanges& changes, storage::WriteBatch& batch) const PLUMBLINE_REQUIRES(mutex_);
  std::vector<Delivery> deliveries_of(const std::vector<Notification>& notifications, std::int64_t now_ms)
      PLUMBLINE_REQUIRES(mutex_);
  void bury(const Delivery& delivery, const std::string& reason, storage::WriteBatch& batch)
      PLUMBLINE_REQUIRES(mutex_);
  void finish_delivery(const Delivery& delivery, const Decision& decision) PLUMBLINE_REQUIRES(mutex_);
  void refresh_gauges() PLUMBLINE_REQUIRES(mutex_);
  double uniform() PLUMBLINE_REQUIRES(mutex_);

  // Fixed after construction.
  const Needs needs_;
  Counter& evaluations_;
  Counter& missed_;
  Counter& writes_failed_;
  Counter& not_routed_;
  Counter& dead_dropped_;
  Histogram& seconds_;
  Gauge& pending_;
  Gauge& firing_;
  Gauge& outbox_size_;
  Gauge& dead_size_;

  mutable Mutex mutex_;
  Condition idle_;
  std::shared_ptr<const Plan> plan_ PLUMBLINE_GUARDED_BY(mutex_);
  std::vector<UnitRuntime> units_ PLUMBLINE_GUARDED_BY(mutex_);
  Grouping grouping_ PLUMBLINE_GUARDED_BY(mutex_);
  Outbox outbox_ PLUMBLINE_GUARDED_BY(mutex_);
  std::map<std::uint64_t, DeadLetter> dead_ PLUMBLINE_GUARDED_BY(mutex_);
  // Deletions and retries of deliveries that the store did not take; they go out with the next batch. Losing
  // them in a crash means a repeated delivery with the same id, which "at least once" allows.
  std::vector<storage::StatePut> owed_ PLUMBLINE_GUARDED_BY(mutex_);
  std::size_t running_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  bool paused_ PLUMBLINE_GUARDED_BY(mutex_) = true;
  bool stopping_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  std::int64_t flush_not_before_ms_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  std::uint64_t next_seq_ PLUMBLINE_GUARDED_BY(mutex_) = 1;
  std::uint64_t history_first_ PLUMBLINE_GUARDED_BY(mutex_) = 1;
  std::uint64_t history_next_ PLUMBLINE_GUARDED_BY(mutex_) = 1;
  std::uint64_t random_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::alerting
