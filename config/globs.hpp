// File names by pattern.
#pragma once

#include <string>
#include <vector>

namespace plumbline::config {

// The paths a glob names, sorted; none when there are none. Braces are alternatives: {a,b}.yaml.
std::vector<std::string> expand_glob(const std::string& pattern);

}  // namespace plumbline::config
