// Two stages of one job beside each other: the caller makes items, a thread of its own takes them in.
#pragma once

#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "daemon/base/error.hpp"
#include "daemon/base/mutex.hpp"

namespace plumbline {

// Items are taken one at a time in the order of put(). One is taken while the next one waits and the one behind it is made: at most three are
// in memory, which go round, and each should be worth the 5 us and more that waking a thread costs.
// Threads: put() and finish() from one; `take` runs on the thread of the handoff, and must not throw. Blocks: put() while an item waits.
template <class T>
class Handoff {
 public:
  using Take = std::function<Status(T&)>;

  explicit Handoff(Take take) : take_(std::move(take)), thread_([this] { run(); }) {}
  // An item that waits is dropped.
  ~Handoff() {
    {
      Lock lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;

  // An item that was taken before, as `take` has left it, for the memory it has; when there is none, T{}.
  // Fails: what `take` failed with for an earlier item; no other is taken behind that.
  Result<T> put(T item) PLUMBLINE_EXCLUDES(mutex_) {
    Lock lock(mutex_);
    while (waiting_ && status_) changed_.wait(mutex_);
    if (!status_) return fail(status_.error());
    waiting_ = std::move(item);
    changed_.notify_all();
    return taken_ ? *std::exchange(taken_, std::nullopt) : T{};
  }
  // Waits until all are taken. Fails: as put().
  Status finish() PLUMBLINE_EXCLUDES(mutex_) {
    Lock lock(mutex_);
    while ((waiting_ || busy_) && status_) changed_.wait(mutex_);
    return status_;
  }

 private:
  void run() PLUMBLINE_EXCLUDES(mutex_) {
    while (std::optional<T> item = next()) {
      Status status = take_(*item);
      Lock lock(mutex_);
      taken_.swap(item);
      busy_ = false;
      status_ = std::move(status);
      changed_.notify_all();
      if (!status_) return;
    }
  }
  std::optional<T> next() PLUMBLINE_EXCLUDES(mutex_) {
    Lock lock(mutex_);
    while (!waiting_ && !ending_) changed_.wait(mutex_);
    if (ending_) return std::nullopt;
    busy_ = true;
    changed_.notify_all();
    return std::exchange(waiting_, std::nullopt);
  }

  const Take take_;
  Mutex mutex_;
  Condition changed_;
  std::optional<T> waiting_ PLUMBLINE_GUARDED_BY(mutex_);
  std::optional<T> taken_ PLUMBLINE_GUARDED_BY(mutex_);
  bool busy_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  bool ending_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  Status status_ PLUMBLINE_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it starts with the others made
};

}  // namespace plumbline
