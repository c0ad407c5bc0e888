// Rule groups out of a mapping that holds `groups:`; used for the config itself and for rule files.
#pragma once

#include "config/config.hpp"
#include "config/section.hpp"

namespace plumbline::config {

void read_groups(Reading& reading, Section& root, const std::string& file, std::vector<RuleGroup>& out);

}  // namespace plumbline::config
