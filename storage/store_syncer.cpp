#include "storage/store_syncer.hpp"

namespace plumbline::storage {

Syncer::Syncer(journal::Journal& journal, Millis interval, Log& log, Registry& registry)
    : journal_(journal),
      interval_(interval),
      log_(log),
      failures_(registry.counter("plumbline_store_sync_failures_total", "Times the journal could not be synced.")),
      thread_([this] { run(); }) {}

Syncer::~Syncer() {
  {
    Lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Syncer::run() {
  for (;;) {
    {
      Lock lock(mutex_);
      // A wait on the machine's own steady clock: how long a disk may hold data back is real time, in tests as well.
      const auto until = std::chrono::steady_clock::now() + interval_;
      while (!stop_ && wake_.wait_until(mutex_, until) != std::cv_status::timeout) {
      }
      if (stop_) return;
    }
    if (!dirty_.exchange(false, std::memory_order_acquire)) continue;
    if (auto status = journal_.sync(); !status) {
      dirty_ = true;  // still owed
      failures_.add();
      log_.error("the journal could not be synced", {{"error", status.error().message}});
    }
  }
}

}  // namespace plumbline::storage
