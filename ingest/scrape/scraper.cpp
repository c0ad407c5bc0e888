// The threads around ScrapeLoop: one that schedules, a few that scrape.
#include <algorithm>
#include <atomic>
#include <thread>

#include "daemon/base/bounded_queue.hpp"
#include "ingest/scrape/scrape_loop.hpp"

namespace plumbline::ingest {
namespace {

// A worker waits for its target most of the time. Four keep 400 targets that answer in 100 ms on a 15 s
// interval with a tenth of their time; targets that hang hold one each for their timeout.
constexpr int workers = 4;
// Due targets that wait for a worker. Beyond it scrapes are left out and counted rather than late.
constexpr std::size_t queue_max = 1024;

}  // namespace

struct Scraper::Impl {
  Impl(Sink& sink, http::Client& client, const Clock& clock_in, Log& log, Registry& registry,
       TargetFileReader read)
      : clock(clock_in), log_(log), loop(sink, client, clock_in, log, registry, std::move(read)), queue(queue_max) {
    scheduler = std::thread([this] { schedule(); });
    for (int i = 0; i < workers; ++i)
      pool.emplace_back([this] {
        // What still waits at stop is dropped: it was not started, and its target will be scraped after the
        // restart.
        while (std::optional<ScrapeTask> task = queue.pop())
          if (!stopped.load()) guarded([&] { loop.run(std::move(*task)); });
      });
  }

  // What a library throws (memory that is not there) ends one scrape, not the daemon.
  template <class Pass>
  void guarded(Pass pass) {
    try {
      pass();
    } catch (const std::exception& e) {
      log_.error("scrape failed", {{"error", e.what()}});
    }
  }

  void schedule() {
    while (!stopped.load()) {
      const std::int64_t now_ms = clock.now_ms();
      std::int64_t next_ms = now_ms + 1000;
      guarded([&] { next_ms = loop.step(now_ms, [this](ScrapeTask& task) { return queue.try_push(task); }); });
      const Steady deadline = clock.steady() + Millis(std::max<std::int64_t>(1, next_ms - now_ms));
      Lock lock(mutex);
      while (!woken && !stopped.load())
        if (wake.wait_until(mutex, deadline) == std::cv_status::timeout) break;
      woken = false;
    }
  }
  void nudge() {
    Lock lock(mutex);
    woken = true;
    wake.notify_all();
  }
  void stop() {
    if (stopped.exchange(true)) return;
    nudge();
    // The scheduler first: it is the one that fills the queue.
    scheduler.join();
    queue.close();
    for (std::thread& worker : pool) worker.join();
  }

  const Clock& clock;
  Log& log_;
  ScrapeLoop loop;
  BoundedQueue<ScrapeTask> queue;
  std::atomic<bool> stopped{false};
  Mutex mutex;
  Condition wake;
  bool woken PLUMBLINE_GUARDED_BY(mutex) = false;
  std::thread scheduler;
  std::vector<std::thread> pool;
};

// External labels belong to what leaves this daemon (remote write, alerts); stored series do not carry them.
Scraper::Scraper(Sink& sink, http::Client& client, const Clock& clock, Log& log, Registry& registry,
                 std::vector<std::pair<std::string, std::string>>, TargetFileReader read_target_file)
    : impl_(std::make_unique<Impl>(sink, client, clock, log, registry, std::move(read_target_file))) {}
Scraper::~Scraper() {
  stop();
}

Status Scraper::set_jobs(std::vector<ScrapeJob> jobs) {
  PLUMBLINE_CHECK_OK(impl_->loop.set_jobs(std::move(jobs)));
  impl_->nudge();
  return {};
}
void Scraper::stop() {
  impl_->stop();
}
std::vector<TargetStatus> Scraper::targets() const {
  return impl_->loop.targets();
}
std::vector<TargetStatus> Scraper::dropped_targets() const {
  return impl_->loop.dropped_targets();
}
std::vector<ScrapePool> Scraper::pools() const {
  return impl_->loop.pools();
}

}  // namespace plumbline::ingest
