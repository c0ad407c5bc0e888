// A configuration as it is shown to people: /api/v1/status/config and /api/v1/status/flags. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "config/config.hpp"
#include "config/yaml_tree.hpp"

namespace plumbline::config {

inline constexpr std::string_view secret_shown = "<secret>";

// The tree as YAML that reads back to the same tree, but for what the table calls secret and the passwords in URLs.
std::string shown_yaml(const Node& tree);
// Options by their paths, lists and mappings of text as one text ("a,b", "a=b,c=d"). `resolved` is Reading's.
StringPairs shown_options(const std::map<std::string, Node, std::less<>>& resolved);

}  // namespace plumbline::config
