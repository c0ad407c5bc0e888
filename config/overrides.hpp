// `--set path=value`, applied to the tree before anything is typed.
#pragma once

#include "config/loader.hpp"
#include "config/yaml_tree.hpp"

namespace plumbline::config {

// Paths are as in reference.md, with numbers for list elements that exist: scrape_configs[0].job_name.
Problems apply_overrides(Node& root, const Overrides& overrides);

}  // namespace plumbline::config
