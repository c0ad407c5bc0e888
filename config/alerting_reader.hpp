// SLOs, drift rules, receivers and the routing tree out of their mappings.
#pragma once

#include "config/config.hpp"
#include "config/section.hpp"

namespace plumbline::config {

void read_slos(Reading& reading, Section& root, std::vector<Slo>& out);
void read_drift(Reading& reading, Section& root, std::vector<Drift>& out);
// Checks that every route's receiver exists.
void read_notifications(Reading& reading, Section& root, Config& out);

}  // namespace plumbline::config
