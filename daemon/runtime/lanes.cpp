#include "daemon/runtime/lanes.hpp"

#include <pthread.h>

#include "daemon/runtime/target.hpp"

namespace plumbline::runtime {
namespace {

// Of a compressed form; forms carry queries, and 4 MiB is far beyond any.
constexpr std::size_t form_bytes_max = 4u << 20;

constexpr const char* lane_names[] = {"ingest", "query", "admin"};

// Form parameters join the query's: Grafana sends long queries as a form.
std::optional<Refusal> add_form(http::Request& request) {
  if (request.method != "POST" || request.content_type() != "application/x-www-form-urlencoded") return std::nullopt;
  if (request.header("content-encoding").empty()) return parse_form(request.body, request.query);
  const Result<std::string> form = request.decoded_body(form_bytes_max);
  if (!form) return Refusal{http_status(form.error().code), "form_encoding", form.error().message};
  return parse_form(*form, request.query);
}

}  // namespace

Lanes::Lanes(const ServerOptions& options, Log& log, Registry& registry) : log_(log) {
  const std::size_t counts[] = {options.ingest_threads, options.query_threads, options.admin_threads};
  for (std::size_t lane = 0; lane < queues_.size(); ++lane) {
    queues_[lane] = std::make_unique<BoundedQueue<Task>>(options.limits.queue_length);
    Histogram& seconds = registry.histogram("plumbline_http_request_seconds",
                                            "time from a request's head to its finished answer, by lane",
                                            {{"lane", lane_names[lane]}});
    for (std::size_t i = 0; i < std::max<std::size_t>(1, counts[lane]); ++i) {
      threads_.emplace_back([this, lane, &seconds] { work(*queues_[lane], seconds); });
      const std::string name = std::string("http-") + lane_names[lane] + "-" + std::to_string(i);
      ::pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
    }
  }
}

Lanes::~Lanes() { stop(); }

bool Lanes::submit(Task& task) { return queues_[static_cast<std::size_t>(task.route->lane)]->try_push(task); }

void Lanes::stop() {
  for (auto& queue : queues_) queue->close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

http::Response Lanes::handle(Task& task) {
  if (abandoned_) return refusal_response({503, "stopping", "the daemon is stopping"});
  try {
    // Ingest bodies are data whatever curl calls them (`-d` says form): only queries take parameters from a body.
    if (task.route->lane != http::Lane::ingest)
      if (const std::optional<Refusal> refusal = add_form(task.request)) return refusal_response(*refusal);
    return task.route->handler(task.request);
  } catch (const std::exception& e) {
    // By contract handlers do not throw: whatever comes here (memory, mostly) costs one answer, not the daemon. 503, because
    // senders drop their data on 500.
    log_.error("handler failed", {{"route", task.route->pattern}, {"error", e.what()}});
    return refusal_response({503, "handler", "internal error; the daemon's log says more"});
  }
}

void Lanes::work(BoundedQueue<Task>& queue, Histogram& seconds) {
  while (std::optional<Task> task = queue.pop()) {
    http::Response response = handle(*task);
    if (goodbye_) task->style.keep_alive = false;
    Answer answer;
    answer.status = response.status;
    answer.keep_alive = task->style.keep_alive;
    answer.bytes = serialise(std::move(response), task->style, clock_.now_ns() / 1'000'000'000);
    seconds.observe(std::chrono::duration<double>(clock_.steady() - task->began).count());
    task->done(std::move(answer));
  }
}

}  // namespace plumbline::runtime
