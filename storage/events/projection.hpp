// Which columns a query wants: exact names and "feature.*" for a prefix; nothing said means all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plumbline::storage::events {

class Projection {
 public:
  Projection() = default;
  explicit Projection(const std::vector<std::string>& columns) {
    for (const std::string& c : columns) {
      if (c.ends_with(".*") || c == "*")
        prefixes_.push_back(c.substr(0, c.size() - 1));
      else
        names_.push_back(c);
    }
  }
  bool wants(std::string_view name) const {
    if (names_.empty() && prefixes_.empty()) return true;
    for (const std::string& n : names_)
      if (n == name) return true;
    for (const std::string& p : prefixes_)
      if (name.starts_with(p)) return true;
    return false;
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::string> prefixes_;
};

}  // namespace plumbline::storage::events
