#include "daemon/runtime/router.hpp"

#include <algorithm>
#include <set>

namespace plumbline::runtime {
namespace {

bool is_value(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

}  // namespace

Result<Router> Router::make(http::Routes routes) {
  Router router;
  std::set<std::pair<std::string, std::vector<std::string>>> seen;
  for (http::Route& route : routes) {
    if (!route.pattern.starts_with('/'))
      return fail(Code::invalid_input, "route '" + route.pattern + "' does not begin with '/'");
    Entry entry;
    std::string_view rest = route.pattern;
    while (!rest.empty()) {
      rest.remove_prefix(1);
      const std::size_t end = std::min(rest.find('/'), rest.size());
      if (end > 0) entry.segments.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
    std::vector<std::string> shape = entry.segments;
    for (std::string& segment : shape)
      if (is_value(segment)) segment = "{}";
    if (!seen.emplace(route.method, shape).second)
      return fail(Code::invalid_input, "two routes for " + route.method + " " + route.pattern);
    entry.route = std::move(route);
    router.entries_.push_back(std::move(entry));
  }
  return router;
}

Router::Match Router::match(std::string_view method, const std::vector<std::string>& segments) const {
  Match best;
  std::size_t best_literals = 0;
  std::set<std::string> allowed;
  for (const Entry& entry : entries_) {
    if (entry.segments.size() != segments.size()) continue;
    std::size_t literals = 0;
    http::Pairs values;
    bool fits = true;
    for (std::size_t i = 0; i < segments.size() && fits; ++i) {
      const std::string& pattern = entry.segments[i];
      if (is_value(pattern)) {
        values.emplace_back(pattern.substr(1, pattern.size() - 2), segments[i]);
      } else {
        fits = pattern == segments[i];
        ++literals;
      }
    }
    if (!fits) continue;
    best.only_reads = (allowed.empty() || best.only_reads) && entry.route.lane == http::Lane::query;
    allowed.insert({entry.route.method, "OPTIONS"});
    if (entry.route.method == "GET") allowed.insert("HEAD");
    const bool serves = entry.route.method == method || (method == "HEAD" && entry.route.method == "GET");
    if (!serves || (best.route != nullptr && literals <= best_literals)) continue;
    best.route = &entry.route;
    best.path_values = std::move(values);
    best_literals = literals;
  }
  for (const std::string& name : allowed) best.allowed += (best.allowed.empty() ? "" : ", ") + name;
  return best;
}

}  // namespace plumbline::runtime
