#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/mutex.hpp"
#include "daemon/runtime/notify.hpp"
#include "daemon/runtime/signals.hpp"

using namespace plumbline;
using namespace plumbline::runtime;

TEST_CASE("systemd hears what it is told", "[runtime][notify]") {
  const std::string name = std::string(1, '\0') + "plumbline-test-" + std::to_string(::getpid());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  name.copy(at.sun_path, sizeof at.sun_path);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  const timeval guard{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
  ::setenv("NOTIFY_SOCKET", ("@" + name.substr(1)).c_str(), 1);
  const auto heard = [fd] {
    char buffer[1024];
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
  };
  notify_ready("serving\non 9470");
  CHECK(heard() == "READY=1\nSTATUS=serving on 9470");
  notify_reloading();
  CHECK(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  notify_stopping("draining");
  CHECK(heard() == "STOPPING=1\nSTATUS=draining");
  notify_status("replaying 43%");
  CHECK(heard() == "STATUS=replaying 43%");
  notify_extend_timeout(Millis(1500), "replaying");
  CHECK(heard() == "EXTEND_TIMEOUT_USEC=1500000\nSTATUS=replaying");
  notify_watchdog();
  CHECK(heard() == "WATCHDOG=1");
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready("nobody listens");
  ::close(fd);

  CHECK_FALSE(watchdog_interval());
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  CHECK(watchdog_interval() == Millis(15'000));
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}

TEST_CASE("signals arrive as calls", "[runtime][signals]") {
  Mutex mutex;
  Condition changed;
  std::vector<Signal> seen;
  auto signals = Signals::start([&](Signal signal) {
    Lock lock(mutex);
    seen.push_back(signal);
    changed.notify_all();
  });
  REQUIRE(signals);
  const auto wait_for = [&](std::size_t n) {
    Lock lock(mutex);
    while (seen.size() < n) changed.wait(mutex);
  };
  ::kill(::getpid(), SIGHUP);
  wait_for(1);
  ::kill(::getpid(), SIGHUP);
  wait_for(2);
  ::kill(::getpid(), SIGTERM);
  wait_for(3);
  CHECK(seen == std::vector<Signal>{Signal::reload, Signal::reload, Signal::terminate});
}

TEST_CASE("who is asked twice to end ends at once", "[runtime][signals]") {
  const pid_t child = ::fork();
  if (child == 0) {
    auto signals = Signals::start([](Signal) { ::kill(::getpid(), SIGTERM); });
    ::kill(::getpid(), SIGTERM);
    while (true) ::pause();
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
}
