// plumbline_fuzz --target=NAME [libFuzzer's options] [corpus folders]
// plumbline_fuzz --list
// plumbline_fuzz --target=NAME --seeds=FOLDER      writes the target's seeds there
//
// libFuzzer gives the program its arguments once and then calls it back; it passes over those that begin with two dashes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/fuzz/fuzz.hpp"

namespace {

const plumbline::fuzz::Target* chosen = nullptr;

[[noreturn]] void stop(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::exit(2);
}

void write_seeds(const std::string& folder) {
  int number = 0;
  for (const std::string& seed : chosen->seeds()) {
    const std::string path = folder + "/seed-" + std::to_string(number++);
    if (!(std::ofstream(path, std::ios::binary) << seed)) stop(("cannot write " + path).c_str());
  }
}

}  // namespace

// The names are libFuzzer's.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  std::string name;
  std::string seeds;
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (argument == "--list") {
      for (const auto& target : plumbline::fuzz::targets()) std::printf("%s\n", std::string(target.name).c_str());
      std::exit(0);
    }
    if (argument.starts_with("--target=")) name = argument.substr(9);
    if (argument.starts_with("--seeds=")) seeds = argument.substr(8);
  }
  chosen = plumbline::fuzz::find(name);
  if (chosen == nullptr) stop("--target=NAME must name a target; --list prints them");
  if (!seeds.empty()) {
    write_seeds(seeds);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
