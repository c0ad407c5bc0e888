#include "daemon/runtime/signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace plumbline::runtime {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

::sigset_t ours() {
  ::sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

struct Signals::Impl {
  Impl(std::function<void(Signal)> on_signal_in, const ::sigset_t& set)
      : on_signal(std::move(on_signal_in)),
        signals(::signalfd(-1, &set, SFD_CLOEXEC)),
        stop(::eventfd(0, EFD_CLOEXEC)) {}

  void wait() {
    ::pthread_setname_np(::pthread_self(), "signals");
    bool asked_to_end = false;
    while (true) {
      ::pollfd waiting[] = {{signals.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
      if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
      if (waiting[0].revents != 0) {
        ::signalfd_siginfo info{};
        if (::read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
          if (info.ssi_signo == SIGHUP) {
            on_signal(Signal::reload);
          } else if (std::exchange(asked_to_end, true)) {
            ::_exit(1);
          } else {
            on_signal(Signal::terminate);
          }
        }
      }
      if (waiting[1].revents != 0) return;
    }
  }

  const std::function<void(Signal)> on_signal;
  const Descriptor signals, stop;
  ::sigset_t mask_before{};
  std::thread thread;
};

Signals::Signals(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Signals>> Signals::start(std::function<void(Signal)> on_signal) {
  const ::sigset_t set = ours();
  ::sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  std::signal(SIGPIPE, SIG_IGN);
  auto impl = std::make_unique<Impl>(std::move(on_signal), set);
  impl->mask_before = before;
  if (impl->signals.get() < 0 || impl->stop.get() < 0) {
    const std::string why = std::strerror(errno);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return fail(Code::io, "cannot wait for signals: " + why);
  }
  impl->thread = std::thread([raw = impl.get()] { raw->wait(); });
  return std::unique_ptr<Signals>(new Signals(std::move(impl)));
}

Signals::~Signals() {
  const std::uint64_t one = 1;
  // An eventfd that holds less than 2^64 - 2 always takes it.
  [[maybe_unused]] const auto written = ::write(impl_->stop.get(), &one, sizeof one);
  impl_->thread.join();
  ::pthread_sigmask(SIG_SETMASK, &impl_->mask_before, nullptr);
}

}  // namespace plumbline::runtime
