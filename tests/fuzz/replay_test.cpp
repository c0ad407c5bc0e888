// What the fuzzer once found stays found, without clang: every file of regressions/<target>/ and every seed, as it is and
// damaged a little, goes through its target under the sanitizers of the test build.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include <catch2/catch.hpp>

#include "tests/fuzz/fuzz.hpp"
#include "tests/ingest/mutation.hpp"

using namespace plumbline;

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("target names are unique, and each has seeds") {
  std::set<std::string_view> names;
  for (const fuzz::Target& target : fuzz::targets()) {
    CAPTURE(target.name);
    CHECK(names.insert(target.name).second);
    CHECK_FALSE(target.seeds().empty());
  }
}

TEST_CASE("inputs that were findings are answered") {
  const std::filesystem::path folder = std::string(PLUMBLINE_SOURCE_DIR) + "/tests/fuzz/regressions";
  if (!std::filesystem::exists(folder)) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    CAPTURE(entry.path().string());
    const std::string name = entry.path().parent_path().filename().string();
    const fuzz::Target* target = fuzz::find(name);
    REQUIRE(target != nullptr);
    target->run(read(entry.path()));
  }
}

TEST_CASE("seeds, whole and damaged, are answered") {
  test::Mutator damage(test::fuzz_seed());
  const char* only = std::getenv("PLUMBLINE_FUZZ_TARGET");
  for (const fuzz::Target& target : fuzz::targets()) {
    if (only != nullptr && target.name != only) continue;
    CAPTURE(target.name);
    std::cout << target.name << std::endl;  // flushed: a sanitizer ends the process before Catch2 could say where
    target.run({});
    for (const std::string& seed : target.seeds()) {
      target.run(seed);
      for (int i = 0; i < 20; ++i) target.run(damage(seed));
    }
  }
}
