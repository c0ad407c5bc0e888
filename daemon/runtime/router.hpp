// Which route a request belongs to. Fixed after construction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

// Threads: any. Blocks: never. Owns: the routes.
class Router {
 public:
  // Fails: invalid_input (a pattern without leading slash, two routes for the same method and path).
  static Result<Router> make(http::Routes routes);

  struct Match {
    const http::Route* route = nullptr;  // null: see allowed
    http::Pairs path_values;
    std::string allowed;  // methods that this path knows, "GET, HEAD, OPTIONS"; empty: the path is unknown
    bool only_reads = false;  // every route of the path is in the query lane
  };
  // HEAD finds GET's route, OPTIONS none: the server answers it. Of several patterns the one with more literal segments wins.
  Match match(std::string_view method, const std::vector<std::string>& segments) const;

 private:
  struct Entry {
    std::vector<std::string> segments;  // "{name}" for a value
    http::Route route;
  };
  std::vector<Entry> entries_;
};

}  // namespace plumbline::runtime
