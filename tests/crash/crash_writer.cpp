// crash_writer DIRECTORY SEED BASE_MS FIRST always|never: writes batches FIRST, FIRST+1, ... and prints the number of each on
// a line of its own once it is acknowledged. It goes on until it is killed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "crash_data.hpp"

using namespace plumbline;

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: crash_writer DIRECTORY SEED BASE_MS FIRST always|never\n");
    return 2;
  }
  SystemClock clock;
  const auto log = make_stderr_log(LogLevel::error);
  Registry registry;
  storage::Options options;
  options.path = argv[1];
  options.head_bytes_max = 100 << 10;  // a seal every few dozen batches: kills must hit seals too
  options.journal_sync.policy =
      std::string(argv[5]) == "always" ? storage::SyncPolicy::always : storage::SyncPolicy::never;
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  const std::int64_t base_ms = std::strtoll(argv[3], nullptr, 10);
  const std::int64_t first = std::strtoll(argv[4], nullptr, 10);
  auto store = storage::Store::open(options, clock, *log, registry);
  if (!store) {
    std::fprintf(stderr, "open: %s\n", store.error().message.c_str());
    return 1;
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < test::crash_threads; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t n = first + t;; n += test::crash_threads) {
        const auto receipt = (*store)->write(test::crash_batch(seed, base_ms, n));
        if (!receipt || !receipt->refusals.empty()) {
          std::fprintf(stderr, "write: %s\n",
                       receipt ? receipt->refusals[0].example.c_str() : receipt.error().message.c_str());
          std::_Exit(1);
        }
        // One write(2) of a short line to a pipe is atomic: the reader never sees half of it.
        const std::string line = std::to_string(n) + "\n";
        if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::_Exit(1);
      }
    });
  for (;;) {
    if (auto status = (*store)->maintain(); !status) {
      std::fprintf(stderr, "maintain: %s\n", status.error().message.c_str());
      std::_Exit(1);
    }
    std::this_thread::yield();
  }
}
