// peers_load make WORKLOAD OUT END_MS SEED SCALE [RECORDING]   writes the encoded requests; prints what a store must answer
// peers_load send FILE PORT PATH LEAD_MS [go-on]               sends them; see sender.hpp
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

#include "tests/bench/peers/sender.hpp"
#include "tests/bench/peers/traffic.hpp"

using namespace plumbline::bench;

namespace {

int usage() {
  std::fputs("peers_load make WORKLOAD OUT END_MS SEED SCALE [RECORDING] | send FILE PORT PATH LEAD_MS [go-on]\n", stderr);
  return 2;
}

int make(int argc, char** argv) {
  const std::string name = argv[2];
  const std::int64_t end_ms = std::strtoll(argv[4], nullptr, 10);
  const std::uint64_t seed = std::strtoull(argv[5], nullptr, 10);
  const double scale = std::strtod(argv[6], nullptr);
  RequestWriter writer(argv[3]);
  Ledger ledger;
  Workload workload;
  if (name == "real") {
    if (argc < 8) return usage();
    if (!emit_recording(argv[7], end_ms, writer, ledger)) {
      std::fprintf(stderr, "peers_load: %s is no recording\n", argv[7]);
      return 1;
    }
  } else if (name == "fleet") {
    workload = make_fleet(seed, scale, 6);
    emit_in_order(workload, seed, end_ms, writer, ledger);
  } else if (name == "node") {
    workload = make_node(seed, scale);
    emit_in_order(workload, seed, end_ms, writer, ledger);
  } else if (name == "explosion") {
    workload = make_explosion(seed, scale);
    emit_in_order(workload, seed, end_ms, writer, ledger);
  } else if (name == "disorder") {
    workload = make_fleet(seed, scale, 6);
    emit_disorder(workload, seed, end_ms, writer, ledger);
  } else if (name == "history") {
    workload = make_history(seed, scale, 30);
    emit_blocks(workload, seed, end_ms, writer, ledger);
  } else {
    return usage();
  }
  if (!writer.finish()) {
    std::fprintf(stderr, "peers_load: cannot write %s\n", argv[3]);
    return 1;
  }
  std::puts(ledger.json(end_ms, writer).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "make" && argc >= 7) return make(argc, argv);
  if (what == "send" && argc >= 6) {
    SendOptions options;
    options.file = argv[2];
    options.port = static_cast<std::uint16_t>(std::atoi(argv[3]));
    options.path = argv[4];
    options.lead_ms = std::strtoll(argv[5], nullptr, 10);
    options.go_on_refused = argc > 6 && std::string(argv[6]) == "go-on";
    return send_requests(options);
  }
  return usage();
}
