#include "config/overrides.hpp"

#include <optional>

#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

struct Step {
  std::string name;
  std::optional<std::size_t> index;
};

std::optional<std::vector<Step>> steps_of(std::string_view path) {
  std::vector<Step> steps;
  while (true) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    std::string_view part = path.substr(0, dot);
    Step step;
    if (part.ends_with(']')) {
      const std::size_t bracket = part.find('[');
      if (bracket == std::string_view::npos) return std::nullopt;
      const std::optional<std::int64_t> index = parse_int(part.substr(bracket + 1, part.size() - bracket - 2));
      if (!index || *index < 0) return std::nullopt;
      step.index = static_cast<std::size_t>(*index);
      part = part.substr(0, bracket);
    }
    if (part.empty()) return std::nullopt;
    step.name = part;
    steps.push_back(std::move(step));
    if (dot == path.size()) return steps;
    path.remove_prefix(dot + 1);
  }
}

// The value below `node` at `step`, made when it is missing; null when the file has something else there.
Node* descend(Node& node, const Step& step, const Place& place) {
  if (node.kind == Node::Kind::null) {
    node.kind = Node::Kind::mapping;
    if (node.place.file.empty()) node.place = place;
  }
  if (node.kind != Node::Kind::mapping) return nullptr;
  Node* below = nullptr;
  for (auto& [key, value] : node.entries)
    if (key.text == step.name) below = &value;
  if (below == nullptr) {
    Node key;
    key.kind = Node::Kind::scalar;
    key.text = step.name;
    key.place = key.text_place = place;
    Node value;
    value.place = value.text_place = place;
    node.entries.push_back({std::move(key), std::move(value)});
    below = &node.entries.back().value;
  }
  if (!step.index) return below;
  if (below->kind != Node::Kind::sequence || *step.index >= below->items.size()) return nullptr;
  return &below->items[*step.index];
}

void place_all(Node& node, const Place& place) {
  node.place = node.text_place = place;
  for (Node& item : node.items) place_all(item, place);
  for (auto& [key, value] : node.entries) {
    place_all(key, place);
    place_all(value, place);
  }
}

}  // namespace

Result<std::pair<std::string, std::string>> parse_override(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(Code::invalid_input, "--set " + std::string(text) + ": write path=value, such as storage.retention=90d");
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Problems apply_overrides(Node& root, const Overrides& overrides) {
  Problems problems;
  for (const auto& [path, value] : overrides) {
    const Place place{"--set " + path, 0, 0};
    const std::optional<std::vector<Step>> steps = steps_of(path);
    Node* at = steps ? &root : nullptr;
    if (steps)
      for (const Step& step : *steps)
        if (at != nullptr) at = descend(*at, step, place);
    if (at == nullptr) {
      problems.push_back({place, "there is nothing at this path; write one such as storage.retention"});
      continue;
    }
    Node node;
    if (value.starts_with('[') || value.starts_with('{')) {
      Outcome<Node> parsed = parse_yaml(value, place.file);
      if (!parsed) {
        problems.push_back({place, parsed.error().front().message});
        continue;
      }
      node = std::move(*parsed);
    } else {
      node.kind = Node::Kind::scalar;
      node.text = value;
    }
    place_all(node, place);
    *at = std::move(node);
  }
  return problems;
}

}  // namespace plumbline::config
