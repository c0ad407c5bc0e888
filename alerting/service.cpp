// The threads around Core: one scheduler, two evaluators, two for delivery. All they add is waiting.
#include <algorithm>
#include <atomic>
#include <thread>

#include "alerting/alerting.hpp"
#include "alerting/core.hpp"
#include "alerting/routes.hpp"
#include "daemon/base/bounded_queue.hpp"

namespace plumbline::alerting {
namespace {

// Two evaluators: a slow 30-day query of one group must not hold up every other alert. Two for delivery: a
// receiver that hangs until its timeout costs the others half the pace, not all of it.
constexpr int evaluators = 2;
constexpr int deliverers = 2;
// Jobs that wait for an evaluator; a unit is in it at most once, so this only bounds a config of thousands of
// groups.
constexpr std::size_t jobs_max = 4'096;
// The longest nap: what a wall clock that jumped or a reload changed is noticed within it.
constexpr Millis nap_max{500};

}  // namespace

struct Service::Impl {
  explicit Impl(Needs n)
      : needs(n),
        core({make_sources(n.engine, n.models),
              query::check_promql,
              n.writer,
              n.state,
              n.client,
              n.clock,
              n.log,
              n.registry,
              {},
              static_cast<std::uint64_t>(n.clock.now_ns())}),
        jobs(jobs_max) {}

  // Until `next_ms` on the wall clock, woken by wake(), at most nap_max. False: stop.
  bool nap(std::int64_t next_ms) {
    const std::int64_t now_ms = needs.clock.now_ms();
    const Millis wait(std::clamp<std::int64_t>(next_ms <= now_ms ? 0 : next_ms - now_ms, 1, nap_max.count()));
    Lock lock(mutex);
    if (stopping) return false;
    woken.wait_until(mutex, needs.clock.steady() + wait);
    return !stopping;
  }
  void wake() {
    Lock lock(mutex);
    woken.notify_all();
  }

  // What a library throws (memory that is not there) ends one pass, not the daemon: the next pass starts from stored state.
  template <class Pass>
  void guarded(const char* what, Pass pass) {
    try {
      pass();
    } catch (const std::exception& e) {
      needs.registry.counter("plumbline_alerting_exceptions_total", "Passes that ended in an exception.", {{"pass", what}}).add();
      needs.log.error("alerting pass failed", {{"pass", what}, {"error", e.what()}});
    }
  }

  void schedule() {
    do {
      guarded("schedule", [this] {
        for (Job& job : core.take_due())
          if (!jobs.try_push(job)) core.abandon(job);
        core.flush();
        if (core.next_delivery_ms() <= needs.clock.now_ms()) wake();
      });
    } while (nap(core.next_evaluation_ms()));
  }
  void evaluate() {
    while (auto job = jobs.pop()) {
      guarded("evaluate", [&] { core.run(*job); });
      wake();  // its unit's next slot, and the groups it changed
    }
  }
  void deliver() {
    do {
      guarded("deliver", [this] {
        while (core.deliver_one()) {
        }
      });
    } while (nap(core.next_delivery_ms()));
  }

  void stop() {
    if (!started) return;
    started = false;
    {
      Lock lock(mutex);
      stopping = true;
      woken.notify_all();
    }
    // The order: no new jobs, then the evaluators finish what they run and store it, then delivery ends after
    // the request that is under way; what waits in the outbox is stored already.
    threads[0].join();
    jobs.close();
    for (int i = 1; i <= evaluators; ++i) threads[static_cast<std::size_t>(i)].join();
    core.stop();
    for (std::size_t i = 1 + evaluators; i < threads.size(); ++i) threads[i].join();
    threads.clear();
  }

  const Needs needs;
  Core core;
  BoundedQueue<Job> jobs;
  std::vector<std::thread> threads;
  bool started = false;
  Mutex mutex;
  Condition woken;
  bool stopping PLUMBLINE_GUARDED_BY(mutex) = false;
};

Service::Service(Needs needs) : impl_(std::make_unique<Impl>(needs)) {}
Service::~Service() {
  stop();
}

Status Service::start(RuleSet rules) {
  PLUMBLINE_CHECK_OK(impl_->core.start(rules));
  impl_->started = true;
  Impl* impl = impl_.get();
  impl->threads.emplace_back([impl] { impl->schedule(); });
  for (int i = 0; i < evaluators; ++i) impl->threads.emplace_back([impl] { impl->evaluate(); });
  for (int i = 0; i < deliverers; ++i) impl->threads.emplace_back([impl] { impl->deliver(); });
  return {};
}

Status Service::reload(RuleSet rules) {
  PLUMBLINE_CHECK_OK(impl_->core.reload(rules));
  impl_->wake();
  return {};
}

void Service::stop() {
  impl_->stop();
}

http::Routes Service::routes() {
  return make_routes(impl_->core);
}

}  // namespace plumbline::alerting
