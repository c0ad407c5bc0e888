// The targets of one job: static_configs, and file_sd files that are read again on their interval.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/log.hpp"
#include "ingest/scrape/target.hpp"

namespace plumbline::ingest {

// Paths that a glob names now, sorted; the pattern may have * ? [..] in its last part, as in Prometheus.
std::vector<std::string> glob_files(const std::string& pattern);

struct DiscoveredTargets {
  std::vector<Target> targets;
  std::vector<TargetStatus> dropped;  // by relabelling; at most dropped_max
  std::uint64_t dropped_count = 0;    // all of them
};

// Threads: one at a time.
class JobDiscovery {
 public:
  explicit JobDiscovery(std::shared_ptr<const ScrapeJobRules> rules) : rules_(std::move(rules)) {}

  const std::shared_ptr<const ScrapeJobRules>& rules() const { return rules_; }
  bool refresh_due(std::int64_t now_ms) const;
  // Reads the files. A file that cannot be read keeps what it said before, and is logged; a file that is gone
  // takes its targets along. True when anything changed.
  bool refresh(std::int64_t now_ms, const TargetFileReader& read, Log& log, Counter& failures);
  DiscoveredTargets targets(Log& log) const;

 private:
  std::shared_ptr<const ScrapeJobRules> rules_;
  std::map<std::string, std::vector<TargetGroup>> files_;
  std::int64_t refreshed_ms_ = 0;
  bool ever_refreshed_ = false;
};

inline constexpr std::size_t dropped_max = 1000;  // shown by /api/v1/targets
inline constexpr std::size_t targets_of_job_max =
    20'000;  // a job beyond it would need more than this machine anyway

}  // namespace plumbline::ingest
