// Makes the journal durable every interval (JournalSync::interval): one fsync for whatever was written meanwhile.
#pragma once

#include <atomic>
#include <thread>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"
#include "storage/journal/journal.hpp"

namespace plumbline::storage {

// Threads: one of its own. wrote() from any. Borrows: journal, log, registry.
class Syncer {
 public:
  Syncer(journal::Journal& journal, Millis interval, Log& log, Registry& registry);
  ~Syncer();  // stops; the caller syncs or closes the journal after it
  void wrote() { dirty_.store(true, std::memory_order_release); }

 private:
  void run();
  journal::Journal& journal_;
  const Millis interval_;
  Log& log_;
  Counter& failures_;
  std::atomic<bool> dirty_{false};
  Mutex mutex_;
  Condition wake_;
  bool stop_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace plumbline::storage
