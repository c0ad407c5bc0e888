// What a store does in its life, in a fixed order: writes, seals, retention, deletes, restarts, crashes.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include <catch2/catch.hpp>

#include "storage/kv/kill_point.hpp"
#include "torture.hpp"

namespace plumbline::test {

// Counts the passes of every kill point, and ends the process of a disk at one of them.
class Killer {
 public:
  Killer() {
    storage::kv::on_kill_point([this](std::string_view place) { pass(place); });
  }
  ~Killer() { storage::kv::on_kill_point(nullptr); }
  Killer(const Killer&) = delete;
  // At the n-th pass from now on, once.
  void aim(storage::kv::FaultDisk& disk, std::string_view place, std::uint64_t n, bool power = false) {
    targets_.push_back({&disk, std::string(place), n, power});
  }
  const std::map<std::string, std::uint64_t, std::less<>>& passes() const { return passes_; }

 private:
  void pass(std::string_view place) {
    const std::lock_guard lock(mutex_);  // a start has two threads
    ++passes_[std::string(place)];
    for (Target& t : targets_) {
      if (place != t.place || t.left == 0 || --t.left > 0) continue;
      if (t.power) t.disk->power_cut();
      else t.disk->kill();
    }
  }
  struct Target {
    storage::kv::FaultDisk* disk;
    std::string place;
    std::uint64_t left;
    bool power;
  };
  std::mutex mutex_;
  std::vector<Target> targets_;
  std::map<std::string, std::uint64_t, std::less<>> passes_;
};

// Opens the store if it is not open; the first tries may meet the fault.
inline void ensure_open(Torture& t) {
  for (int attempt = 0;; ++attempt) {
    if (t.is_open() && !t.ended()) return;
    const Status opened = t.open();
    if (opened && !t.ended()) {
      const std::string wrong = t.check(true);
      if (wrong.find("injected") != std::string::npos) {
        // The opening met the fault in a segment, whose day answers with it until the next opening; or our read did.
        t.leave();
        continue;
      }
      if (!wrong.empty()) FAIL(wrong);
      return;
    }
    if (attempt > 3) FAIL("it does not open: " << (opened ? std::string("its process ends") : opened.error().message));
  }
}

// `between` runs after every operation, whatever became of it, with the store open.
inline void live(Torture& t, const std::function<void()>& between) {
  const auto did = [&](bool) {
    if (t.ended() || !t.is_open()) ensure_open(t);
    between();
  };
  const auto write = [&](int n) {
    for (int i = 0; i < n; ++i) did(t.write());
  };
  ensure_open(t);
  write(6);
  did(t.seal());
  write(5);
  did(t.backup());
  did(t.upkeep(std::chrono::minutes(11)));
  did(t.upkeep(std::chrono::hours(3)));  // the head is old enough
  write(4);
  did(t.seal());
  did(t.erase({model::Matcher::equal("__name__", "m1")}, {t.clock().now_ms() - 86'400'000, t.clock().now_ms()}));
  write(3);
  did(t.close());
  write(2);
  did(t.upkeep(std::chrono::minutes(11)));
  did(t.upkeep(std::chrono::hours(30)));  // two segments of a day are merged
  did(t.upkeep(std::chrono::minutes(1)));
  write(4);
  did(t.seal());
  did(t.upkeep(std::chrono::hours(120)));  // all days go, and all series
  did(t.upkeep(std::chrono::minutes(11)));
  write(3);
  did(t.upkeep(std::chrono::hours(3)));
  write(2);
}

}  // namespace plumbline::test
