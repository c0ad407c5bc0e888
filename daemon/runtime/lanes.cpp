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

Counter& refused(Registry& registry, const char* lane, const char* reason) {
  return registry.counter("plumbline_http_lane_refused_total", "Requests that their lane did not handle, by reason",
                          {{"lane", lane}, {"reason", reason}});
}

}  // namespace

Lanes::Lane::Lane(const char* name, std::size_t queue_length, Registry& registry)
    : queue(queue_length),
      waiting(registry.gauge("plumbline_http_waiting", "Requests that wait for a worker", {{"lane", name}})),
      running(registry.gauge("plumbline_http_running", "Requests that a worker handles", {{"lane", name}})),
      seconds(registry.histogram("plumbline_http_request_seconds", "time from a request's head to its finished answer, by lane",
                                 {{"lane", name}})),
      refused_full(refused(registry, name, "queue_full")),
      refused_stopping(refused(registry, name, "stopping")),
      refused_gone(refused(registry, name, "client_gone")) {}

Lanes::Lanes(const ServerOptions& options, Log& log, Registry& registry)
    : log_(log),
      queue_full_(registry.counter("plumbline_http_refused_total", "connections and requests turned away before a handler saw them",
                                   {{"reason", "queue_full"}})) {
  const std::size_t counts[] = {options.ingest_threads, options.query_threads, options.admin_threads};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i] = std::make_unique<Lane>(lane_names[i], options.limits.queue_length, registry);
    for (std::size_t n = 0; n < std::max<std::size_t>(1, counts[i]); ++n) {
      threads_.emplace_back([this, i] { work(*lanes_[i]); });
      const std::string name = std::string("http-") + lane_names[i] + "-" + std::to_string(n);
      ::pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
    }
  }
}

Lanes::~Lanes() { stop(); }

void Lanes::submit(Task task) {
  Lane& lane = *lanes_[static_cast<std::size_t>(task.route->lane)];
  task.submitted = clock_.steady();
  const std::string client = task.client;
  lane.waiting.add(1);
  std::optional<Task> displaced = lane.queue.push(client, std::move(task));
  if (!displaced) return;
  lane.waiting.add(-1);
  lane.refused_full.add();
  queue_full_.add();
  answer(*displaced, refusal_response({503, "queue_full", "too many requests are waiting; try later"}));
}

void Lanes::stop() {
  for (auto& lane : lanes_) lane->queue.close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

http::Response Lanes::handle(Lane& lane, Task& task) {
  if (abandoned_) {
    lane.refused_stopping.add();
    return refusal_response({503, "stopping", "the daemon is stopping"});
  }
  const bool is_query = task.route->lane == http::Lane::query;
  if (is_query && task.request.gone.stop_requested()) {
    lane.refused_gone.add();
    return http::Response::error({Code::cancelled, "the client closed its connection before its turn came"});
  }
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

void Lanes::answer(Task& task, http::Response response) {
  if (goodbye_) task.style.keep_alive = false;
  Answer answer;
  answer.status = response.status;
  answer.keep_alive = task.style.keep_alive;
  answer.bytes = serialise(std::move(response), task.style, clock_.now_ns() / 1'000'000'000, &answer.rest);
  task.done(std::move(answer));
}

void Lanes::work(Lane& lane) {
  while (std::optional<Task> task = lane.queue.pop()) {
    lane.waiting.add(-1);
    lane.running.add(1);
    task->request.waited = std::chrono::duration_cast<Millis>(clock_.steady() - task->submitted);
    http::Response response = handle(lane, *task);
    // Before the answer: who has it may count on this one being over.
    lane.running.add(-1);
    const Steady began = task->began;
    answer(*task, std::move(response));
    lane.seconds.observe(std::chrono::duration<double>(clock_.steady() - began).count());
  }
}

}  // namespace plumbline::runtime
