// Alertmanager's route tree: which receivers hear of an alert, and how its notifications are grouped. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/alerting.hpp"
#include "storage/model/matcher.hpp"

namespace plumbline::alerting {

// `severity="page"`, `team=~"a|b"`, `{a="b",c!=d}`. Fails: invalid_input, naming what was expected.
Result<model::Matchers> parse_matchers(std::string_view text);

struct RouteNode {
  std::string receiver;
  model::Matchers matchers;
  bool group_by_all = false;
  std::set<std::string> group_by;
  Millis group_wait{30'000};
  Millis group_interval{300'000};
  Millis repeat_interval{14'400'000};
  bool continue_matching = false;
  std::string key;  // `{}/{severity="page"}`: the first half of a groupKey
  std::vector<std::size_t> children;
};

class RouteTree {
 public:
  RouteTree() = default;
  // Compiles; every error is added to `errors` with its place.
  static RouteTree make(const RouteSpec& root, std::vector<std::string>& errors);
  // Indices of the nodes that handle this alert, depth first; children before their parent, as in
  // Alertmanager.
  std::vector<std::size_t> match(const model::Labels& labels) const;
  const RouteNode& node(std::size_t index) const { return nodes_[index]; }
  bool empty() const { return nodes_.empty(); }

 private:
  std::size_t add(const RouteSpec& spec, const RouteNode* parent, int depth,
                  std::vector<std::string>& errors);
  bool match(std::size_t index, const model::Labels& labels, std::vector<std::size_t>& out) const;
  std::vector<RouteNode> nodes_;  // the root first
};

// The labels that make the alert's group at this node.
model::Labels group_labels(const RouteNode& node, const model::Labels& labels);
// `{}/{severity="page"}:{alertname="x"}`
std::string group_key(const RouteNode& node, const model::Labels& group);
// Alertmanager's: FNV-1a over the sorted labels, 16 hex digits.
std::string fingerprint(const model::Labels& labels);

}  // namespace plumbline::alerting
