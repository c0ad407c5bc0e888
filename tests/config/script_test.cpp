// The folder tests/scripts/config is the test table: good files load, bad files give exactly the lines beside them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "config/loader.hpp"

using namespace plumbline;
using namespace plumbline::config;

namespace {

const std::filesystem::path scripts = std::filesystem::path(PLUMBLINE_SOURCE_DIR) / "tests/scripts/config";

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::filesystem::path> files(const std::string& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(scripts / folder))
    if (entry.path().extension() == ".yaml") found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

}  // namespace

TEST_CASE("good files load", "[config][scripts]") {
  REQUIRE(files("good").size() >= 5);
  for (const auto& path : files("good")) {
    const auto config = load_file(path);
    INFO(path.filename());
    INFO((config ? std::string() : text_of(config.error())));
    CHECK(config.has_value());
  }
}

TEST_CASE("bad files give every error with its place", "[config][scripts]") {
  REQUIRE(files("bad").size() >= 10);
  for (const auto& path : files("bad")) {
    INFO(path.filename());
    const auto config = load_text(slurp(path), "f");
    REQUIRE_FALSE(config);
    std::string got;
    for (const Problem& problem : config.error()) got += problem.str().substr(2) + "\n";
    CHECK(got == slurp(std::filesystem::path(path).replace_extension(".expected")));
  }
}

// Whatever stands in a file, loading it ends with a value or errors that have a place.
TEST_CASE("mutated files load or are refused", "[config][fuzz]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::vector<std::string> texts;
  for (const char* folder : {"good", "bad"})
    for (const auto& path : files(folder)) texts.push_back(slurp(path));
  const std::string spice = "{}[]:,&*!|>'\"-#%@ \n\t?~0a";
  for (int round = 0; round < 1500; ++round) {
    std::string text = texts[random() % texts.size()];
    for (unsigned edits = 1 + random() % 5; edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = spice[random() % spice.size()]; break;
        case 1: text.insert(at, 1, spice[random() % spice.size()]); break;
        case 2: text.erase(at, 1 + random() % 8); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
      }
    }
    const auto config = load_text(text, "f");
    if (config) continue;
    REQUIRE_FALSE(config.error().empty());
    REQUIRE(config.error().size() <= 50);
    for (const Problem& problem : config.error()) REQUIRE_FALSE(problem.message.empty());
  }
}
