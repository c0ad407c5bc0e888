// SIGTERM, SIGINT and SIGHUP as calls on an ordinary thread, where locks and logs are allowed.
#pragma once

#include <functional>
#include <memory>

#include "daemon/base/error.hpp"

namespace plumbline::runtime {

enum class Signal { terminate, reload };

// Blocks the three signals for the calling thread and all that it starts later, and ignores SIGPIPE; so it must be made
// before any other thread. A second SIGTERM or SIGINT ends the process at once with status 1: the journal makes that safe,
// and an operator who asks twice means it.
//
// Threads: own thread, which runs `on_signal`; the callback for `terminate` only wakes whoever shuts down, because while it
// runs nobody hears the second SIGTERM. Blocks: the destructor, until a running callback returns.
class Signals {
 public:
  // Fails: io (the kernel gives no descriptor).
  static Result<std::unique_ptr<Signals>> start(std::function<void(Signal)> on_signal);
  ~Signals();  // restores the mask
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  explicit Signals(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::runtime
