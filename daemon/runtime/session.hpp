// One connection from its first byte to its last, as a coroutine on the loop.
#pragma once

#include <stop_token>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "daemon/runtime/answer.hpp"
#include "daemon/runtime/core.hpp"
#include "daemon/runtime/head.hpp"
#include "daemon/runtime/target.hpp"

namespace plumbline::runtime {

// Threads: the loop's only.
// Owns: the socket. Borrows: core.
// Lives in core.sessions until run() has ended; run() does not end while a worker still holds its request.
class Session {
 public:
  enum class State { idle, head, body, working, writing };

  Session(Core& core, boost::asio::ip::tcp::socket socket, boost::asio::ip::address peer);
  boost::asio::awaitable<void> run();

  State state() const { return state_; }
  Steady since() const { return since_; }  // the state's begin
  const boost::asio::ip::address& peer() const { return peer_; }
  // Ends what waits on the socket when its time is over; while a worker has the request, looks whether the client has gone.
  void check_deadline(Steady now);
  // Ends the connection, whatever it does.
  void cut();
  bool is_cut() const { return !socket_.is_open(); }
  // Gives the body's bytes back to the server's budget.
  void release_body();
  // Ends it now when idle, else after the answer that is under way.
  void finish();

 private:
  enum class Step { go_on, refused, closed };

  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<Step> read_head();
  boost::asio::awaitable<Step> read_body(std::size_t body_max);
  boost::asio::awaitable<bool> answer_unrouted(std::string allowed, CrossOrigin origin);
  boost::asio::awaitable<bool> answer_by(const http::Route* route, http::Request request);
  // The lane's answer.
  boost::asio::awaitable<Answer> work(Task task);
  struct Moved {
    boost::system::error_code error;
    std::size_t bytes = 0;
  };
  boost::asio::awaitable<Moved> read_some(boost::asio::mutable_buffer space);
  boost::asio::awaitable<bool> receive();
  boost::asio::awaitable<bool> receive_body(std::size_t rest);
  boost::asio::awaitable<bool> send(std::string bytes);
  // Sends the refusal and closes so that the client can still read it.
  boost::asio::awaitable<void> refuse();
  void enter(State state, Steady deadline);
  void extend(std::size_t bytes_moved);
  Step stop_with(Refusal refusal);
  // What the headers say of their origin, on a path that only reads; of others nothing is said.
  CrossOrigin cross_origin(bool only_reads, const http::Pairs& headers) const;

  Core& core_;
  boost::asio::ip::tcp::socket socket_;
  const boost::asio::ip::address peer_;
  const std::string remote_;  // peer_ and its port
  const std::string client_;  // peer_, whose turns its requests take
  State state_ = State::idle;
  Steady since_, deadline_;
  bool timed_out_ = false, last_ = false;
  std::stop_source working_{std::nostopstate};  // of the request that a worker has
  std::string buffer_;  // received and not used yet
  Head head_;
  std::string body_;
  std::size_t body_counted_ = 0;  // of it, in core_.bodies_bytes
  std::size_t unwaited_bytes_ = 0;  // received since the last wait
  Refusal refusal_;
};

}  // namespace plumbline::runtime
