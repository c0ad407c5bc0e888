// Threads that help the queries of a process: reading and evaluating series in parallel.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "daemon/base/mutex.hpp"

namespace plumbline::query {

// Threads: run() from any, at the same time. The caller works, too, and never waits for a helper that is busy elsewhere: with
// all of them taken a query runs as it would alone.
class Workers {
 public:
  explicit Workers(std::size_t helpers);  // 0: the caller alone
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Calls task(0), ..., task(count - 1), each once, in no order. Returns when all have ended, and then throws what the
  // first of them has thrown. Blocks: as the tasks do.
  void run(std::size_t count, const std::function<void(std::size_t)>& task);

 private:
  struct Job;
  void help();
  static void work(Job& job);

  Mutex mutex_;
  Condition wake_;
  std::deque<std::shared_ptr<Job>> jobs_ PLUMBLINE_GUARDED_BY(mutex_);  // with tasks that nobody has begun
  bool stop_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> helpers_;
};

}  // namespace plumbline::query
