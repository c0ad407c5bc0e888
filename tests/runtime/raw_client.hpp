// A socket that says exactly what a test wants said, well-formed or not.
#pragma once

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/text.hpp"

namespace plumbline::test {

struct RawAnswer {
  int status = 0;
  std::string head;  // lower case
  std::string body;
  bool has(std::string_view lower) const { return head.find(lower) != std::string::npos; }
};

class RawClient {
 public:
  // `from`: the last number of the loopback address 127.0.0.x that it comes from.
  explicit RawClient(int port, std::uint8_t from = 1) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) | from);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) throw std::runtime_error("cannot bind");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
    // A hang is a failure, not a stuck test run.
    const timeval guard{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof guard);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient(RawClient&& other) noexcept : fd_(other.fd_), buffer_(std::move(other.buffer_)) { other.fd_ = -1; }

  // False when the peer has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Everything until the peer closes; nullopt when it does not.
  std::optional<std::string> read_to_end() {
    while (true) {
      const ssize_t n = more();
      if (n == 0) return std::move(buffer_);
      if (n < 0) return errno == ECONNRESET ? std::optional(std::move(buffer_)) : std::nullopt;
    }
  }
  bool closed_by_peer() { return read_to_end().has_value(); }
  // One answer; `head_only` for answers to HEAD.
  std::optional<RawAnswer> read_answer(bool head_only = false) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (more() <= 0) return std::nullopt;
    RawAnswer answer;
    answer.head = to_lower(std::string_view(buffer_).substr(0, end + 2));
    if (buffer_.size() < 12) return std::nullopt;
    answer.status = std::stoi(buffer_.substr(9, 3));
    buffer_.erase(0, end + 4);
    if (head_only || answer.status < 200) return answer;
    const std::size_t at = answer.head.find("content-length: ");
    const std::size_t length = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    while (buffer_.size() < length)
      if (more() <= 0) return std::nullopt;
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return answer;
  }

 private:
  ssize_t more() {
    char piece[16384];
    const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
    if (n > 0) buffer_.append(piece, static_cast<std::size_t>(n));
    return n;
  }
  int fd_;
  std::string buffer_;
};

}  // namespace plumbline::test
