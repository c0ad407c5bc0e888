// Scrape jobs and target groups out of their mappings.
#pragma once

#include "config/config.hpp"
#include "config/section.hpp"

namespace plumbline::config {

void read_scrape_configs(Reading& reading, Section& root, std::vector<ScrapeConfig>& out);
TargetGroup read_target_group(Reading& reading, Section& from);

}  // namespace plumbline::config
