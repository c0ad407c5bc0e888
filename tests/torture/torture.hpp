// A random workload on a disk that misbehaves, against a naive model of what was acknowledged. One thread, a manual clock.
//
// The model keeps for every key (a sample's series and time, a line, a state key) the values that may be read: one when the
// last write of it was acknowledged, more when a later one failed or the process ended under it. Reads must find one of them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "storage/kv/fault_file_system.hpp"
#include "storage/storage.hpp"
#include "tests/support/support.hpp"

namespace plumbline::test {

// How often a test does what it does: `few` in every run, `many` with PLUMBLINE_LONG=1 in the environment, and a part of it with 0.1 or the like.
std::uint64_t how_often(std::uint64_t few, std::uint64_t many);
// PLUMBLINE_SEED, or one of its own.
std::uint64_t seed_of_test();

class Torture {
 public:
  explicit Torture(std::uint64_t seed);
  ~Torture();

  storage::kv::FaultDisk& disk() { return *disk_; }
  // Goes on with another disk, as the next process.
  void use(std::unique_ptr<storage::kv::FaultDisk> disk);
  storage::Store& store() { return *store_; }
  ManualClock& clock() { return clock_; }
  storage::Options& options() { return options_; }
  std::string log_text() const;
  void forget_log();

  // What the current process is told when it opens the store.
  Status open();
  bool is_open() const { return store_ != nullptr; }
  void leave();  // destroys the store, as the end of its process
  bool ended() const { return disk_->ended() != ended_; }  // since open() began

  // One operation. False: it failed, or the process ended in it.
  bool write();
  bool seal();
  bool upkeep(Millis later);
  bool erase();  // some samples of one metric
  bool erase(model::Matchers matchers, model::TimeRange range);
  bool explode();  // more new series than a seal takes into one batch; once
  bool backup();  // under a new name
  bool close();
  // One of them, by chance; a failed erase is asked for again until it is done.
  bool step();

  // Compares everything that can be read; an empty string when it is right. With `settled` (the store was opened after the end
  // of a process) what was uncertain is what was found, from now on.
  std::string check(bool settled);
  // The same, but a part that answers with an error may be missing; at least one must, or everything is right.
  std::string check_damaged(std::vector<std::string>* errors);
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  template <class T>
  using Candidates = std::vector<std::optional<T>>;
  struct SampleKey {
    int series;
    std::int64_t t;
    auto operator<=>(const SampleKey&) const = default;
  };
  // A batch that failed: all of it is there, or nothing.
  struct Uncertain {
    std::int64_t marker;
    std::vector<std::string> lines;
  };
  struct Line {
    std::int64_t t_ns;
    bool certain;
  };
  struct Found;
  Found read_all(bool tolerate);
  std::string compare(const Found& found, bool tolerate) const;
  void settle(const Found& found);
  bool done(bool success, bool mutation);
  std::int64_t cutoff_ms() const;  // what is older may be gone
  bool label_may_be_gone(const std::string& id, std::int64_t cutoff) const;
  model::Labels labels_of(int series) const;

  std::mt19937_64 random_;
  std::unique_ptr<storage::kv::FaultDisk> disk_;
  ManualClock clock_;
  class Lines;
  std::unique_ptr<Lines> log_;
  Registry registry_;
  storage::Options options_;
  std::unique_ptr<storage::Store> store_;
  std::uint64_t ended_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t backups_ = 0;

  std::map<SampleKey, Candidates<std::uint64_t>> samples_;
  std::map<std::string, Line> lines_;
  std::map<std::string, Candidates<double>> labels_;
  std::map<double, std::int64_t> label_times_;  // of every value of a label
  std::map<std::string, Candidates<std::string>> state_;
  std::map<std::string, Candidates<std::string>> metadata_;
  std::vector<Uncertain> uncertain_;
  std::int64_t exploded_ms_ = 0;
  bool explosion_certain_ = false;
  struct Erase {
    model::Matchers matchers;
    model::TimeRange range;
  };
  std::optional<Erase> unfinished_;
};

}  // namespace plumbline::test
