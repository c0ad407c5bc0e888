// Calls a route of a table as the server would: exact method, {name} matches one segment.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "proto/http.hpp"

namespace plumbline::test {

inline bool match_path(std::string_view pattern, std::string_view path, http::Pairs& values) {
  while (!pattern.empty() && !path.empty()) {
    const auto part = [](std::string_view& text) {
      text.remove_prefix(1);  // '/'
      const std::size_t end = std::min(text.find('/'), text.size());
      const std::string_view word = text.substr(0, end);
      text.remove_prefix(end);
      return word;
    };
    const std::string_view want = part(pattern), have = part(path);
    if (want.starts_with('{')) values.emplace_back(std::string(want.substr(1, want.size() - 2)), std::string(have));
    else if (want != have) return false;
  }
  return pattern.empty() && path.empty();
}

inline http::Response call(const http::Routes& routes, const std::string& method, const std::string& path,
                           http::Pairs query = {}, std::string body = "", const std::string& content_type = "",
                           http::Pairs headers = {}) {
  http::Request request{method, path, std::move(query), std::move(headers), std::move(body), {}, "127.0.0.1:1"};
  if (!content_type.empty()) request.headers.emplace_back("content-type", content_type);
  for (const http::Route& route : routes) {
    request.path_values.clear();
    if (route.method == method && match_path(route.pattern, path, request.path_values)) return route.handler(request);
  }
  return http::Response::empty(404);
}

}  // namespace plumbline::test
