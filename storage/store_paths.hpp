// Names of files as a list in a data directory has them: foreign until they were looked at.
#pragma once

#include <string_view>

namespace plumbline::storage {

// A relative path that leads nowhere but below where it begins.
inline bool stays_below(std::string_view path) {
  return !path.empty() && path.front() != '/' && path.find("..") == std::string_view::npos && path.find('\0') == std::string_view::npos;
}

}  // namespace plumbline::storage
