#include "config/globs.hpp"

#include <glob.h>

namespace plumbline::config {

std::vector<std::string> expand_glob(const std::string& pattern) {
  std::vector<std::string> paths;
  ::glob_t found{};
  if (::glob(pattern.c_str(), GLOB_BRACE, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return paths;
}

}  // namespace plumbline::config
