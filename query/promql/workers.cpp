#include "query/promql/workers.hpp"

#include <algorithm>
#include <atomic>
#include <exception>

#include "query/query.hpp"

namespace plumbline::query {

std::shared_ptr<Workers> make_workers(std::size_t helpers) { return std::make_shared<Workers>(helpers); }

struct Workers::Job {
  const std::function<void(std::size_t)>* task;
  std::size_t count;
  std::atomic<std::size_t> next{0};
  Mutex mutex;
  Condition done;
  std::size_t ended PLUMBLINE_GUARDED_BY(mutex) = 0;
  std::exception_ptr thrown PLUMBLINE_GUARDED_BY(mutex);  // the first
};

Workers::Workers(std::size_t helpers) {
  for (std::size_t i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
}

Workers::~Workers() {
  {
    Lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& t : helpers_) t.join();
}

// A job's task may be gone when a helper comes late, but then there is no number left to call it with.
void Workers::work(Job& job) {
  std::size_t mine = 0;
  for (std::size_t i = job.next++; i < job.count; i = job.next++) {
    ++mine;
    // Out of memory is the caller's to answer: not the end of a helper, nor of the caller while helpers use what it holds.
    try {
      (*job.task)(i);
    } catch (...) {
      Lock lock(job.mutex);
      if (!job.thrown) job.thrown = std::current_exception();
    }
  }
  if (mine == 0) return;
  Lock lock(job.mutex);
  job.ended += mine;
  if (job.ended == job.count) job.done.notify_all();
}

void Workers::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  if (count <= 1 || helpers_.empty()) {
    for (std::size_t i = 0; i < count; ++i) task(i);
    return;
  }
  const auto job = std::make_shared<Job>();
  job->task = &task;
  job->count = count;
  {
    Lock lock(mutex_);
    jobs_.push_back(job);
  }
  for (std::size_t i = 0; i < std::min(count - 1, helpers_.size()); ++i) wake_.notify_one();
  work(*job);
  {
    Lock lock(mutex_);
    std::erase(jobs_, job);
  }
  Lock lock(job->mutex);
  while (job->ended < job->count) job->done.wait(job->mutex);
  if (job->thrown) std::rethrow_exception(job->thrown);
}

void Workers::help() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      Lock lock(mutex_);
      while (!stop_ && jobs_.empty()) wake_.wait(mutex_);
      if (stop_) return;
      // Oldest first, and to the back of the row, so that queries share the helpers.
      job = jobs_.front();
      jobs_.pop_front();
      if (job->next < job->count) jobs_.push_back(job);
    }
    work(*job);
  }
}

}  // namespace plumbline::query
