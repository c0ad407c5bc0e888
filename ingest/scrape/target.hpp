// From a job's configuration and a discovered address to a target: its URL, its labels, its pace.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// A job with its rules compiled. Immutable, shared by its targets.
struct ScrapeJobRules {
  ScrapeJob job;
  Relabeller relabel, metric_relabel;

  // Fails: invalid_input naming the job and the rule.
  static Result<std::shared_ptr<const ScrapeJobRules>> make(ScrapeJob job);
};

struct Target {
  std::shared_ptr<const ScrapeJobRules> rules;
  model::Labels discovered;  // as it was found
  model::Labels labels;      // what its samples get: no label that starts with __
  std::string url_text;
  http::Url url;
  Millis interval{0}, timeout{0};
  std::string key;         // job, URL and labels: two targets of one key are the same target
  std::uint64_t hash = 0;  // spreads targets over the interval
};

// As Prometheus populates labels: job, __address__, __scheme__, __metrics_path__, __scrape_interval__,
// __scrape_timeout__ and
// __param_* are there before relabelling; __meta_* are gone after it; instance defaults to the address.
// nullopt: relabelling dropped it. Fails: invalid_input for an address, scheme or duration that is none.
Result<std::optional<Target>> make_target(
    std::shared_ptr<const ScrapeJobRules> rules, const std::string& address,
    const std::vector<std::pair<std::string, std::string>>& group_labels);
// The labels that relabelling would see.
model::Labels discovered_labels(const ScrapeJob& job, const std::string& address,
                                const std::vector<std::pair<std::string, std::string>>& group_labels);

// The first scrape of a target at or after `not_before_ms`: each target has its own fixed offset in the
// interval, so that targets spread out and keep their phase over restarts.
std::int64_t next_scrape_ms(std::uint64_t hash, Millis interval, std::int64_t not_before_ms);

}  // namespace plumbline::ingest
