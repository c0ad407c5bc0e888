// The JSON of the target routes, apart from the routes so that it can be read without a scraper.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// GET /api/v1/targets. `state`: active, dropped, any or "" (any), in any case; what it does not ask for is empty. `pool`: only
// this job, "" for all; the counts are of all, as upstream's.
std::string targets_json(const std::vector<TargetStatus>& active, const std::vector<TargetStatus>& dropped,
                         const std::vector<ScrapePool>& pools, std::string_view state, std::string_view pool);

struct TargetMetadataQuery {
  model::Matchers target;     // conditions on the target's labels; none: every target
  std::string metric;         // "": every metric, each with its name
  std::int64_t limit = -1;    // of targets with something to tell before the next one is begun; negative: none
};
// GET /api/v1/targets/metadata. Fails: not_found, when nothing is known of what was asked for.
Result<std::string> target_metadata_json(const std::vector<TargetStatus>& active, const TargetMetadataQuery& query);

// GET /api/v1/scrape_pools
std::string scrape_pools_json(const std::vector<ScrapePool>& pools);

}  // namespace plumbline::ingest
