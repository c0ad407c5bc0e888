// Every decoder of bytes from disk or network under a name, with small seeds that the program makes itself. libFuzzer
// (plumbline_fuzz), and the replay test, which needs no clang, run the same targets.
//
// A target may refuse its bytes. It must not crash, hang, allocate without bound, or accept what it cannot give back: where
// the codec has an encoder, what was decoded is encoded and decoded again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "daemon/base/error.hpp"

namespace plumbline::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view bytes);
  std::vector<std::string> (*seeds)();
};
using Targets = std::vector<Target>;

// The network's first, then files of users, then the disk's.
Targets http_targets();
Targets ingest_targets();
Targets otlp_targets();
Targets query_targets();
Targets config_targets();
Targets alerting_targets();
Targets codec_targets();
Targets event_targets();
Targets series_targets();
Targets store_targets();

const Targets& targets();                   // all of them
const Target* find(std::string_view name);  // null: no such target

// Numbers and pieces out of the input, for targets that need more than one string. Past the end: zeros and nothing.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  std::uint8_t byte() {
    const std::string_view b = take(1);
    return b.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(b[0]);
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : (byte() | static_cast<std::size_t>(byte()) << 8) % n; }
  std::string_view take(std::size_t n) {
    const std::string_view out = bytes_.substr(0, n);
    bytes_.remove_prefix(out.size());
    return out;
  }
  // Two bytes of length, then the piece.
  std::string_view piece() { return take(below(0xffff)); }
  std::string_view rest() { return take(bytes_.size()); }
  bool done() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};
// What piece() reads.
inline std::string piece(std::string_view bytes) {
  std::string out{static_cast<char>(bytes.size() & 0xff), static_cast<char>(bytes.size() >> 8)};
  return out += bytes;
}

}  // namespace plumbline::fuzz
