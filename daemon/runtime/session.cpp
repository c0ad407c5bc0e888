#include "daemon/runtime/session.hpp"

#include <poll.h>

#include <memory>
#include <tuple>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/base/text.hpp"
#include "daemon/runtime/as_result.hpp"
#include "daemon/runtime/chunks.hpp"

namespace plumbline::runtime {
namespace asio = boost::asio;
namespace {

// Bodies of refused requests that are read away so that the connection can go on; longer ones cost the connection.
constexpr std::uint64_t discard_bytes_max = 64u << 10;
// "127.0.0.1:1234"; asked once, because it is a system call.
std::string remote_of(const asio::ip::tcp::socket& socket, const asio::ip::address& peer) {
  boost::system::error_code ignored;
  const auto endpoint = socket.remote_endpoint(ignored);
  return (peer.is_v6() ? "[" + peer.to_string() + "]" : peer.to_string()) + ":" + std::to_string(endpoint.port());
}

// Whether the client has closed its side. One that only said that it sends no more looks the same and counts as gone, as it
// does for Go's servers: what looks at it is given up, and answered all the same.
bool client_left(asio::ip::tcp::socket& socket) {
  if (!socket.is_open()) return true;
  ::pollfd look{socket.native_handle(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// After a refusal the client may still be sending: closing at once would reset the connection and take our answer with it.
constexpr Millis linger_max{1000};
constexpr std::size_t linger_bytes_max = 1u << 20;
// Read without going back to the loop; then other sessions have their turn. A body of 32 MiB at memory speed takes 10 ms.
constexpr std::size_t unwaited_bytes_max = 1u << 20;

}  // namespace

Session::Session(Core& core, asio::ip::tcp::socket socket, asio::ip::address peer)
    : core_(core), socket_(std::move(socket)), peer_(std::move(peer)), remote_(remote_of(socket_, peer_)), client_(peer_.to_string()) {
  boost::system::error_code ignored;  // of a socket that is gone already: the first read says so
  socket_.non_blocking(true, ignored);
  enter(State::idle, core_.clock.steady() + core_.options.limits.header_timeout);
}

void Session::enter(State state, Steady deadline) {
  state_ = state;
  since_ = core_.clock.steady();
  deadline_ = deadline;
}

// Slow is fine, stalled is not: every body_rate_min bytes that move buy one more second.
void Session::extend(std::size_t bytes_moved) {
  const ServerLimits& limits = core_.options.limits;
  deadline_ = since_ + limits.body_timeout +
              Millis(static_cast<std::int64_t>(bytes_moved * 1000 / std::max<std::size_t>(1, limits.body_rate_min)));
}

void Session::check_deadline(Steady now) {
  if (state_ == State::working && !working_.stop_requested() && client_left(socket_)) working_.request_stop();
  if (state_ == State::working || now < deadline_) return;
  timed_out_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Session::cut() {
  last_ = true;
  working_.request_stop();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Session::finish() {
  last_ = true;
  if (state_ == State::idle) cut();
}

Session::Step Session::stop_with(Refusal refusal) {
  refusal_ = std::move(refusal);
  return Step::refused;
}

asio::awaitable<Session::Moved> Session::read_some(asio::mutable_buffer space) {
  if (unwaited_bytes_ < unwaited_bytes_max) {
    boost::system::error_code error;
    const std::size_t n = socket_.read_some(space, error);
    if (error != asio::error::would_block) {
      unwaited_bytes_ += n;
      co_return Moved{error, n};
    }
  }
  unwaited_bytes_ = 0;
  const auto [error, n] = co_await socket_.async_read_some(space, as_result);
  co_return Moved{error, n};
}

asio::awaitable<bool> Session::receive() {
  // A page for a head; more at a time once a body flows.
  const std::size_t piece = state_ == State::body ? 64u << 10 : 4u << 10;
  const std::size_t old = buffer_.size();
  buffer_.resize(old + piece);
  const auto space = asio::buffer(buffer_.data() + old, piece);
  // The head of the next request is hardly ever there yet: trying first would only cost a system call more.
  if (state_ == State::idle) unwaited_bytes_ = unwaited_bytes_max;
  const auto [error, n] = co_await read_some(space);
  buffer_.resize(old + n);
  co_return !error && n > 0 && !timed_out_;
}

// Straight into the body, which grows by what came so far: a declared length alone gets no memory.
asio::awaitable<bool> Session::receive_body(std::size_t rest) {
  const std::size_t old = body_.size();
  const std::size_t piece = std::min(rest, std::max<std::size_t>(64u << 10, old));
  // Grown without zeroes: they would be overwritten at once, and a body is read at gigabytes a second.
  body_.resize_and_overwrite(old + piece, [](char*, std::size_t n) { return n; });
  const auto space = asio::buffer(body_.data() + old, piece);
  const auto [error, n] = co_await read_some(space);
  body_.resize(old + n);
  co_return !error && n > 0 && !timed_out_;
}

asio::awaitable<bool> Session::send(std::string bytes) {
  enter(State::writing, Steady::max());
  extend(0);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const auto rest = asio::buffer(bytes.data() + sent, bytes.size() - sent);
    // Most answers fit into the socket's buffer at once. Of a long one whose reader is fast the others get their turn.
    boost::system::error_code error = asio::error::would_block;
    std::size_t n = 0;
    if (sent < unwaited_bytes_max) n = socket_.write_some(rest, error);
    if (error == asio::error::would_block) std::tie(error, n) = co_await socket_.async_write_some(rest, as_result);
    if (error || timed_out_) {
      if (timed_out_) core_.count_refusal("write_timeout");
      co_return false;
    }
    sent += n;
    extend(sent);
  }
  co_return true;
}

void Session::release_body() {
  core_.bodies_bytes -= body_counted_;
  body_counted_ = 0;
  std::string().swap(body_);
}

asio::awaitable<void> Session::refuse() {
  release_body();
  core_.count_refusal(refusal_.reason);
  core_.count_request("refused", refusal_.status);
  timed_out_ = false;
  AnswerStyle style;
  style.keep_alive = false;
  std::string bytes = serialise(refusal_response(refusal_), style, core_.clock.now_ns() / 1'000'000'000);
  const bool sent = co_await send(std::move(bytes));
  if (!sent) co_return;
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  enter(State::writing, core_.clock.steady() + linger_max);
  std::size_t drained = 0;
  buffer_.clear();
  while (drained < linger_bytes_max && !last_) {
    const bool more = co_await receive();
    if (!more) break;
    drained += buffer_.size();
    buffer_.clear();
  }
}

asio::awaitable<Session::Step> Session::read_head() {
  const ServerLimits& limits = core_.options.limits;
  std::size_t searched = 0;
  while (true) {
    // RFC 9112 2.2: one empty line before a request is forgiven; old clients end their bodies with it.
    if (searched == 0 && buffer_.starts_with("\r\n")) buffer_.erase(0, 2);
    const auto end = find_head_end(buffer_, searched);
    if (!end) co_return stop_with(end.error());
    if (*end != std::string::npos) {
      if (*end > limits.head_bytes_max)
        co_return stop_with({431, "head_too_large", "the headers are larger than " + std::to_string(limits.head_bytes_max) + " bytes"});
      auto head = parse_head(std::string_view(buffer_).substr(0, *end), limits.headers_max);
      if (!head) co_return stop_with(std::move(head.error()));
      head_ = std::move(*head);
      buffer_.erase(0, *end);
      co_return Step::go_on;
    }
    if (buffer_.size() > limits.head_bytes_max)
      co_return stop_with({431, "head_too_large", "the headers are larger than " + std::to_string(limits.head_bytes_max) + " bytes"});
    searched = buffer_.size();
    if (buffer_.empty()) {
      std::string().swap(buffer_);  // an idle connection holds no more than its page
    } else if (state_ == State::idle) {
      enter(State::head, core_.clock.steady() + limits.header_timeout);
    }
    const bool more = co_await receive();
    if (more) continue;
    if (timed_out_ && state_ == State::head)
      co_return stop_with({408, "header_timeout", "the headers did not come in time"});
    if (timed_out_) core_.count_refusal("idle_timeout");
    co_return Step::closed;
  }
}

asio::awaitable<Session::Step> Session::read_body(std::size_t body_max) {
  body_.clear();
  if (!head_.chunked && head_.content_length.value_or(0) == 0) co_return Step::go_on;
  const std::uint64_t length = head_.content_length.value_or(0);
  const std::string too_large = "the body is larger than " + std::to_string(body_max) + " bytes";
  if (length > body_max) co_return stop_with({413, "body_too_large", too_large});
  if (head_.expects_continue && buffer_.empty()) {
    const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Step::closed;
  }
  enter(State::body, Steady::max());
  ChunkDecoder chunks(body_max);
  std::size_t taken = 0;  // on the wire
  while (true) {
    if (head_.chunked) {
      const auto used = chunks.feed(buffer_, body_);
      if (!used) co_return stop_with(used.error());
      buffer_.erase(0, *used);
      taken += *used;
    } else {
      const std::size_t n = std::min<std::size_t>(buffer_.size(), length - body_.size());
      body_.append(buffer_, 0, n);
      buffer_.erase(0, n);
      taken = body_.size();
    }
    core_.bodies_bytes += body_.size() - body_counted_;
    body_counted_ = body_.size();
    if (core_.bodies_bytes > core_.options.limits.bodies_bytes_max)
      co_return stop_with({503, "bodies_bytes", "too many bodies at a time; try later"});
    if (head_.chunked ? chunks.done() : body_.size() == length) co_return Step::go_on;
    extend(taken);
    const std::size_t rest = head_.chunked ? 0 : length - body_.size();
    const bool more = rest > 0 ? co_await receive_body(rest) : co_await receive();
    if (more) continue;
    if (timed_out_) co_return stop_with({408, "body_timeout", "the body did not come in time"});
    core_.count_refusal("body_cut");
    co_return Step::closed;
  }
}

CrossOrigin Session::cross_origin(bool only_reads, const http::Pairs& headers) const {
  CrossOrigin out;
  if (!only_reads || !core_.options.allows_origin) return out;
  for (const auto& [name, value] : headers)
    if (name == "origin") out.origin = value;
  out.allowed = !out.origin.empty() && core_.options.allows_origin(out.origin);
  return out;
}

// Paths and methods that no route has; OPTIONS among them.
asio::awaitable<bool> Session::answer_unrouted(std::string allowed, CrossOrigin origin) {
  const bool unknown = allowed.empty();
  const bool asks = !unknown && head_.method == "OPTIONS";
  refusal_ = unknown ? Refusal{404, "unknown_path",
                               "there is nothing at " + json_quote(head_.target.substr(0, 100)) + "; GET / lists the paths"}
                     : Refusal{405, "wrong_method", head_.method + " is not for this path; it takes " + allowed};
  const bool short_body = !head_.chunked && !head_.expects_continue && head_.content_length.value_or(0) <= discard_bytes_max;
  const Refusal shown = refusal_;
  AnswerStyle style;
  style.keep_alive = head_.keep_alive && short_body && !last_;
  style.head_only = head_.method == "HEAD";
  style.cross_origin = std::move(origin);
  if (short_body) {
    const Step step = co_await read_body(discard_bytes_max);
    if (step == Step::refused) co_await refuse();
    if (step != Step::go_on) co_return false;
  }
  http::Response response = asks ? http::Response::empty(204) : refusal_response(shown);
  core_.count_request(asks ? "options" : "unmatched", response.status);
  if (!unknown) response.with("Allow", allowed);
  std::string bytes = serialise(std::move(response), style, core_.clock.now_ns() / 1'000'000'000);
  const bool sent = co_await send(std::move(bytes));
  co_return sent && style.keep_alive;
}

// The coroutine goes on right where the worker's answer reaches the loop: a timer or a flag in between would cost one more
// round of the loop, and each has a system call.
asio::awaitable<Answer> Session::work(Task task) {
  const auto start = [this](auto handler, Task started) {
    auto resume = std::make_shared<decltype(handler)>(std::move(handler));
    const auto resume_on_loop = [&io = core_.io, resume](Answer answer) {
      asio::post(io, [resume, answer = std::move(answer)]() mutable { std::move (*resume)(std::move(answer)); });
    };
    started.done = resume_on_loop;
    core_.lanes.submit(std::move(started));
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Answer)>(start, asio::use_awaitable, std::move(task));
}

asio::awaitable<bool> Session::answer_by(const http::Route* route, http::Request request) {
  Task task;
  task.style.keep_alive = head_.keep_alive && !last_;
  task.style.head_only = request.method == "HEAD";
  task.style.coding = preferred_coding(request.header("accept-encoding"));
  task.style.cross_origin = cross_origin(route->lane == http::Lane::query, request.headers);
  working_ = std::stop_source();
  request.gone = working_.get_token();
  task.request = std::move(request);
  task.route = route;
  task.client = client_;
  task.began = since_;
  enter(State::working, Steady::max());
  Answer answer = co_await work(std::move(task));
  core_.count_request(route->pattern, answer.status);
  const bool keep_alive = answer.keep_alive && !last_;
  bool sent = co_await send(std::move(answer.bytes));
  if (sent && !answer.rest.empty()) sent = co_await send(std::move(answer.rest));
  co_return sent && keep_alive;
}

asio::awaitable<bool> Session::serve_one() {
  Step step = co_await read_head();
  if (step == Step::refused) co_await refuse();
  if (step != Step::go_on) co_return false;
  const Steady began = core_.clock.steady();
  auto target = parse_target(head_.target);
  if (!target) {
    refusal_ = std::move(target.error());
    co_await refuse();
    co_return false;
  }
  Router::Match match = core_.router.match(head_.method, target->segments);
  if (match.route == nullptr) {
    std::string allowed = std::move(match.allowed);
    CrossOrigin origin = cross_origin(match.only_reads, head_.headers);
    const bool go_on = co_await answer_unrouted(std::move(allowed), std::move(origin));
    co_return go_on;
  }
  step = co_await read_body(match.route->body_bytes_max);
  if (step == Step::refused) co_await refuse();
  if (step != Step::go_on) co_return false;

  http::Request request;
  request.method = std::move(head_.method);
  request.path = target->path();
  request.query = std::move(target->query);
  request.headers = std::move(head_.headers);
  request.body = std::move(body_);
  request.path_values = std::move(match.path_values);
  request.remote = remote_;
  since_ = began;
  const bool go_on = co_await answer_by(match.route, std::move(request));
  co_return go_on;
}

asio::awaitable<void> Session::run() {
  bool go_on = true;
  while (go_on) {
    go_on = co_await serve_one();
    release_body();
    if (last_) break;
    enter(State::idle, core_.clock.steady() + core_.options.limits.idle_timeout);
  }
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace plumbline::runtime
