// The worker threads that run handlers: a bounded queue and a few threads per lane.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/bounded_queue.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/runtime/answer.hpp"
#include "daemon/runtime/http_server.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

// A finished answer on its way back to the loop.
struct Answer {
  int status = 200;
  bool keep_alive = true;
  std::string bytes;
};

struct Task {
  http::Request request;
  const http::Route* route = nullptr;
  AnswerStyle style;
  Steady began{};
  std::function<void(Answer)> done;  // called exactly once, on the worker
};

// Threads: submit() from any; handlers run on the lanes' own. Blocks: submit() never.
// Borrows: log, registry.
class Lanes {
 public:
  Lanes(const ServerOptions& options, Log& log, Registry& registry);
  ~Lanes();  // stop()
  // False when the lane's queue is full; the task is then untouched.
  bool submit(Task& task);
  // Answers from now on carry Connection: close.
  void say_goodbye() { goodbye_ = true; }
  // Tasks that have not started are answered 503 from now on.
  void abandon() { abandoned_ = true; }
  // Lets the threads finish what is queued, then joins them. Idempotent.
  void stop();

 private:
  void work(BoundedQueue<Task>& queue, Histogram& seconds);
  http::Response handle(Task& task);

  Log& log_;
  SystemClock clock_;
  std::atomic<bool> goodbye_{false};
  std::atomic<bool> abandoned_{false};
  std::array<std::unique_ptr<BoundedQueue<Task>>, 3> queues_;
  std::vector<std::thread> threads_;
};

}  // namespace plumbline::runtime
