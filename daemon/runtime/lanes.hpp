// The worker threads that run handlers: a bounded, fair queue and some threads per lane.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/runtime/answer.hpp"
#include "daemon/runtime/fair_queue.hpp"
#include "daemon/runtime/http_server.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

// A finished answer on its way back to the loop.
struct Answer {
  int status = 200;
  bool keep_alive = true;
  std::string bytes;
  std::string rest;  // of a large answer, after them
};

struct Task {
  http::Request request;
  const http::Route* route = nullptr;
  AnswerStyle style;
  std::string client;  // whose turn it takes
  Steady began{};
  std::function<void(Answer)> done;  // called exactly once: on the worker, or by submit() of whoever found the queue full
  Steady submitted{};                // set by submit()
};

// Threads: submit() from any; handlers run on the lanes' own. Blocks: submit() never.
// Borrows: log, registry.
class Lanes {
 public:
  Lanes(const ServerOptions& options, Log& log, Registry& registry);
  ~Lanes();  // stop()
  // What finds no place in the lane's queue (this task or, so that clients get equal shares of it, another) is answered 503.
  void submit(Task task);
  // Answers from now on carry Connection: close.
  void say_goodbye() { goodbye_ = true; }
  // Tasks that have not started are answered 503 from now on.
  void abandon() { abandoned_ = true; }
  // Lets the threads finish what is queued, then joins them. Idempotent.
  void stop();

 private:
  struct Lane {
    Lane(const char* name, std::size_t queue_length, Registry& registry);
    FairQueue<Task> queue;
    Gauge& waiting;
    Gauge& running;
    Histogram& seconds;
    Counter& refused_full;
    Counter& refused_stopping;
    Counter& refused_gone;
  };
  void work(Lane& lane);
  http::Response handle(Lane& lane, Task& task);
  void answer(Task& task, http::Response response);

  Log& log_;
  Counter& queue_full_;  // of all lanes
  SystemClock clock_;
  std::atomic<bool> goodbye_{false};
  std::atomic<bool> abandoned_{false};
  std::array<std::unique_ptr<Lane>, 3> lanes_;
  std::vector<std::thread> threads_;
};

}  // namespace plumbline::runtime
