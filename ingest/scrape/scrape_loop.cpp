#include "ingest/scrape/scrape_loop.hpp"

#include <algorithm>

#include "ingest/scrape/scrape_request.hpp"

namespace plumbline::ingest {
namespace {

// The scheduler looks again at least this often, which also bounds how long a clock that jumps can mislead
// it.
constexpr std::int64_t look_again_ms = 1000;

}  // namespace

std::int64_t sample_time_ms(std::int64_t due_ms, std::int64_t start_ms, Millis interval) {
  const std::int64_t tolerance = std::min<std::int64_t>(2, interval.count() / 100);
  return start_ms >= due_ms && start_ms - due_ms <= tolerance ? due_ms : start_ms;
}

ScrapeLoop::ScrapeLoop(Sink& sink, http::Client& client, const Clock& clock, Log& log, Registry& registry,
                       TargetFileReader read)
    : sink_(sink),
      client_(client),
      clock_(clock),
      log_(log),
      read_(std::move(read)),
      scrapes_ok_(registry.counter("plumbline_scrapes_total", "Scrapes by result.", {{"result", "ok"}})),
      scrapes_failed_(
          registry.counter("plumbline_scrapes_total", "Scrapes by result.", {{"result", "failed"}})),
      skipped_busy_(registry.counter("plumbline_scrapes_skipped_total", "Scrapes that were due and left out.",
                                     {{"reason", "workers_busy"}})),
      skipped_running_(registry.counter("plumbline_scrapes_skipped_total",
                                        "Scrapes that were due and left out.",
                                        {{"reason", "still_running"}})),
      not_stored_(registry.counter("plumbline_scrapes_not_stored_total",
                                   "Scrapes whose samples the store did not take.")),
      file_failures_(registry.counter("plumbline_scrape_target_file_failures_total",
                                      "Target files that could not be read.")) {}

Status ScrapeLoop::set_jobs(std::vector<ScrapeJob> jobs) {
  std::vector<JobDiscovery> fresh;
  std::vector<std::string> names;
  for (ScrapeJob& job : jobs) {
    if (std::find(names.begin(), names.end(), job.job_name) != names.end())
      return fail(Code::invalid_input, "two scrape jobs are called '" + job.job_name + "'");
    names.push_back(job.job_name);
    PLUMBLINE_TRY(auto rules, ScrapeJobRules::make(std::move(job)));
    fresh.emplace_back(std::move(rules));
  }
  const std::int64_t now_ms = clock_.now_ms();
  for (JobDiscovery& job : fresh)
    if (job.refresh_due(now_ms)) job.refresh(now_ms, read_, log_, file_failures_);
  Lock lock(mutex_);
  jobs_ = std::move(fresh);
  place_targets(now_ms);
  return {};
}

// Makes the targets what the jobs say now; a target that stays keeps its memory and its pace.
void ScrapeLoop::place_targets(std::int64_t now_ms) {
  Targets old = std::move(targets_);
  targets_.clear();
  dropped_.clear();
  pools_.clear();
  for (const JobDiscovery& job : jobs_) {
    DiscoveredTargets found = job.targets(log_);
    pools_.push_back({job.rules()->job.job_name, found.dropped_count});
    dropped_.insert(dropped_.end(), std::make_move_iterator(found.dropped.begin()),
                    std::make_move_iterator(found.dropped.end()));
    for (Target& target : found.targets) {
      const std::string key = target.key;
      std::shared_ptr<ScrapedTarget>& state = targets_[key];
      if (const auto known = old.find(key); known != old.end()) {
        state = std::move(known->second);
        old.erase(known);
      }
      const bool same_pace = state && state->target->interval == target.interval;
      if (!state) state = std::make_shared<ScrapedTarget>();
      state->status.job = target.rules->job.job_name;
      state->status.url = target.url_text;
      state->status.labels = target.labels;
      state->status.discovered = target.discovered;
      state->status.interval = target.interval;
      state->status.timeout = target.timeout;
      if (!same_pace) state->due_ms = next_scrape_ms(target.hash, target.interval, now_ms);
      state->target = std::make_shared<const Target>(std::move(target));
    }
  }
  for (auto& [key, state] : old) {
    state->gone = true;
    // A scrape in flight writes the markers itself when it is done.
    if (!state->in_flight) leaving_.push_back(std::move(state));
  }
}

std::int64_t ScrapeLoop::step(std::int64_t now_ms, const Dispatch& dispatch) {
  Lock lock(mutex_);
  bool changed = false;
  for (JobDiscovery& job : jobs_)
    if (job.refresh_due(now_ms)) changed = job.refresh(now_ms, read_, log_, file_failures_) || changed;
  if (changed) place_targets(now_ms);

  while (!leaving_.empty()) {
    ScrapeTask task{leaving_.back(), leaving_.back()->target, now_ms, true};
    leaving_.back()->in_flight = true;
    if (!dispatch(task)) {
      leaving_.back()->in_flight = false;
      break;  // markers are not left out: the next step tries again
    }
    leaving_.pop_back();
  }

  std::int64_t next_ms = now_ms + look_again_ms;
  for (auto& [key, state] : targets_) {
    const Target& target = *state->target;
    // Further away than one interval: the clock was set back.
    if (state->due_ms > now_ms + target.interval.count())
      state->due_ms = next_scrape_ms(target.hash, target.interval, now_ms);
    if (state->due_ms <= now_ms) {
      if (state->in_flight) {
        skipped_running_.add();
      } else {
        ScrapeTask task{state, state->target, state->due_ms, false};
        state->in_flight = true;
        if (!dispatch(task)) {
          state->in_flight = false;
          skipped_busy_.add();
        }
      }
      state->due_ms = next_scrape_ms(target.hash, target.interval, now_ms + 1);
    }
    next_ms = std::min(next_ms, state->due_ms);
  }
  return next_ms;
}

void ScrapeLoop::run(ScrapeTask task) {
  if (!task.last) scrape(task);
  finish(task);
}

bool ScrapeLoop::store(const ScrapeTask& task, Decoded decoded) {
  if (decoded.batch.empty() && decoded.rejections.empty()) return true;
  const auto receipt = sink_.accept("scrape", std::move(decoded));
  if (receipt) return true;
  not_stored_.add();
  task.state->samples.not_stored();
  log_.warn("scrape not stored", {{"target", task.target->url_text}, {"error", receipt.error().message}});
  return false;
}

void ScrapeLoop::scrape(const ScrapeTask& task) {
  const Target& target = *task.target;
  const std::int64_t start_ms = clock_.now_ms();
  const Steady start = clock_.steady();
  const std::int64_t time_ms = sample_time_ms(task.due_ms, start_ms, target.interval);
  Result<Scraped> answer = fail(Code::io, "not scraped");
  if (auto request = scrape_request(target))
    answer = read_answer(target, client_.send(*request));
  else
    answer = fail(request.error());
  const double duration_s = std::chrono::duration<double>(clock_.steady() - start).count();

  TargetSamples::Outcome outcome = task.state->samples.scraped(target, answer, time_ms, duration_s);
  (outcome.error.empty() ? scrapes_ok_ : scrapes_failed_).add();
  if (!store(task, std::move(outcome.decoded)) && outcome.error.empty())
    outcome.error = "the samples were not stored";

  Lock lock(mutex_);
  TargetStatus& status = task.state->status;
  // Said once per change, not once per scrape.
  if (!outcome.error.empty() && outcome.error != status.last_error)
    log_.warn("scrape failed", {{"job", status.job}, {"target", status.url}, {"error", outcome.error}});
  status.health = outcome.error.empty() ? "up" : "down";
  status.last_error = std::move(outcome.error);
  status.last_scrape_ms = start_ms;
  status.last_duration_s = duration_s;
  status.metadata = task.state->samples.metadata();
}

void ScrapeLoop::finish(const ScrapeTask& task) {
  bool gone = task.last;
  if (!gone) {
    Lock lock(mutex_);
    gone = task.state->gone;
    if (!gone) task.state->in_flight = false;
  }
  // in_flight stays set: nobody else will touch a target that is gone.
  if (gone) store(task, task.state->samples.gone(*task.target, clock_.now_ms()));
}

std::vector<TargetStatus> ScrapeLoop::targets() const {
  Lock lock(mutex_);
  std::vector<TargetStatus> out;
  out.reserve(targets_.size());
  for (const auto& [key, state] : targets_) out.push_back(state->status);
  return out;
}

std::vector<TargetStatus> ScrapeLoop::dropped_targets() const {
  Lock lock(mutex_);
  return dropped_;
}

std::vector<ScrapePool> ScrapeLoop::pools() const {
  Lock lock(mutex_);
  return pools_;
}

}  // namespace plumbline::ingest
