#pragma once

#include <cstdint>
#include <string>

namespace plumbline::bench {

struct SendOptions {
  std::string file;
  std::uint16_t port = 0;
  std::string path = "/api/v1/write";
  std::int64_t lead_ms = 600'000;  // how far one connection may run ahead of the other, in time of the samples
  bool go_on_refused = false;      // 4xx answers are counted instead of ending the run
};

// Maps the file, prints "ready", waits for a line on standard input and sends it all over one connection per column.
// Prints one line of JSON: samples, refused, requests, retries, seconds, cpu_seconds. Returns the exit code.
int send_requests(const SendOptions& options);

}  // namespace plumbline::bench
