#include "tests/bench/peers/sender.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <thread>
#include <vector>

#include "tests/bench/peers/traffic.hpp"

namespace plumbline::bench {
namespace {

struct Request {
  std::int64_t time_ms;
  std::uint32_t samples;
  std::uint32_t bytes;
  const char* body;
};

struct Totals {
  std::uint64_t samples = 0, refused = 0, requests = 0, retries = 0;
  std::string error;        // ended the connection's run
  std::string first_refusal;
};

class Connection {
 public:
  explicit Connection(std::uint16_t port) : port_(port) {}
  ~Connection() { drop(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The status of the answer, its body in `answer`; 0: the connection broke.
  int exchange(const std::string& head, const char* body, std::size_t size, std::string& answer) {
    if (fd_ < 0 && !connect_now()) return 0;
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body), size}};
    int at = 0;
    while (at < 2) {
      const ssize_t n = ::writev(fd_, parts + at, 2 - at);
      if (n <= 0) return drop();
      auto left = static_cast<std::size_t>(n);
      while (at < 2 && left >= parts[at].iov_len) left -= parts[at++].iov_len;
      if (at < 2) {
        parts[at].iov_base = static_cast<char*>(parts[at].iov_base) + left;
        parts[at].iov_len -= left;
      }
    }
    return read_answer(answer);
  }

 private:
  bool connect_now() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    timeval limit{120, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return true;
    drop();
    return false;
  }

  int drop() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    return 0;
  }

  int read_answer(std::string& answer) {
    std::string text;
    char buffer[4096];
    std::size_t header_end = std::string::npos;
    std::size_t length = 0;
    while (header_end == std::string::npos || text.size() < header_end + length) {
      const ssize_t n = ::read(fd_, buffer, sizeof buffer);
      if (n <= 0) return drop();
      text.append(buffer, static_cast<std::size_t>(n));
      if (header_end != std::string::npos) continue;
      header_end = text.find("\r\n\r\n");
      if (header_end == std::string::npos) continue;
      header_end += 4;
      for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      const std::size_t field = text.find("\r\ncontent-length:");
      if (field < header_end) length = std::strtoul(text.c_str() + field + 17, nullptr, 10);
    }
    answer = text.substr(header_end);
    const bool closes = text.find("\r\nconnection: close") < header_end;
    const int status = std::atoi(text.c_str() + 9);
    if (closes) drop();
    return status;
  }

  std::uint16_t port_;
  int fd_ = -1;
};

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void run_connection(const SendOptions& options, std::uint32_t me, const std::vector<Request>& requests,
                    std::atomic<std::int64_t>* at, Totals& totals) {
  constexpr int attempts_max = 60;
  Connection connection(options.port);
  std::string head;
  std::string answer;
  for (const Request& request : requests) {
    at[me] = request.time_ms;
    while (std::any_of(at, at + connections, [&](const auto& other) { return other + options.lead_ms < request.time_ms; }))
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    head = "POST " + options.path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n" +
           "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: " +
           std::to_string(request.bytes) + "\r\n\r\n";
    int status = 0;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      status = connection.exchange(head, request.body, request.bytes, answer);
      if (status != 0 && status != 429 && status < 500) break;
      ++totals.retries;
      std::this_thread::sleep_for(std::chrono::milliseconds(50 * std::min(attempt + 1, 20)));
    }
    ++totals.requests;
    if (status >= 200 && status < 300) {
      totals.samples += request.samples;
      continue;
    }
    if (status / 100 == 4 && status != 429 && options.go_on_refused) {
      totals.refused += request.samples;
      if (totals.first_refusal.empty()) totals.first_refusal = std::to_string(status) + " " + answer.substr(0, 150);
      continue;
    }
    totals.error = "status " + std::to_string(status) + ": " + answer.substr(0, 300);
    break;
  }
  at[me] = std::numeric_limits<std::int64_t>::max() / 2;
}

std::string plain(std::string text) {
  for (char& c : text)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '\'';
  return text;
}

}  // namespace

int send_requests(const SendOptions& options) {
  const int fd = ::open(options.file.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0 || info.st_size == 0) {
    std::fprintf(stderr, "peers_load: cannot read %s\n", options.file.c_str());
    return 1;
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (mapped == MAP_FAILED) return 1;
  const char* data = static_cast<const char*>(mapped);
  std::vector<Request> requests[connections];
  for (std::size_t at = 0; at + sizeof(RequestHeader) <= size;) {
    RequestHeader h;
    std::memcpy(&h, data + at, sizeof h);
    at += sizeof h;
    if (h.connection >= connections || at + h.bytes > size) {
      std::fprintf(stderr, "peers_load: %s is damaged\n", options.file.c_str());
      return 1;
    }
    requests[h.connection].push_back({h.time_ms, h.samples, h.bytes, data + at});
    at += h.bytes;
  }
  std::puts("ready");
  std::fflush(stdout);
  while (true) {
    const int c = std::getchar();
    if (c == '\n') break;
    if (c == EOF) return 1;
  }
  std::atomic<std::int64_t> at[connections];
  for (std::uint32_t c = 0; c < connections; ++c) at[c] = requests[c].empty() ? 0 : requests[c].front().time_ms;
  Totals totals[connections];
  const double wall = seconds_of(CLOCK_MONOTONIC);
  const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t c = 0; c < connections; ++c)
      threads.emplace_back([&, c] { run_connection(options, c, requests[c], at, totals[c]); });
  }
  Totals all;
  for (const Totals& t : totals) {
    all.samples += t.samples;
    all.refused += t.refused;
    all.requests += t.requests;
    all.retries += t.retries;
    if (all.error.empty()) all.error = t.error;
    if (all.first_refusal.empty()) all.first_refusal = t.first_refusal;
  }
  std::printf("{\"samples\":%llu,\"refused\":%llu,\"requests\":%llu,\"retries\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f,"
              "\"first_refusal\":\"%s\",\"error\":\"%s\"}\n",
              static_cast<unsigned long long>(all.samples), static_cast<unsigned long long>(all.refused),
              static_cast<unsigned long long>(all.requests), static_cast<unsigned long long>(all.retries),
              seconds_of(CLOCK_MONOTONIC) - wall, seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu, plain(all.first_refusal).c_str(),
              plain(all.error).c_str());
  return all.error.empty() ? 0 : 1;
}

}  // namespace plumbline::bench
