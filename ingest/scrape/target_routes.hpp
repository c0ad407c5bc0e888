// The JSON of GET /api/v1/targets, apart from its route so that it can be read without a scraper.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// `state`: active, dropped or any; `pool`: only this job, "" for all.
std::string targets_json(const std::vector<TargetStatus>& active, const std::vector<TargetStatus>& dropped,
                         std::string_view state, std::string_view pool);

}  // namespace plumbline::ingest
