// What one target's answers become: samples, the up and scrape_* series, and stale markers for what vanished.
// No I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ingest/ingest.hpp"
#include "ingest/limits.hpp"
#include "ingest/scrape/target.hpp"

namespace plumbline::ingest {

struct ExpositionLine;

// What came back from a target; body already decoded.
struct Scraped {
  std::string body;
  std::string content_type;
};

// A target's memory between scrapes: which series it had.
//
// Threads: one at a time.
class TargetSamples {
 public:
  struct Outcome {
    Decoded decoded;
    std::string error;  // empty: up
  };

  // Everything of one scrape at `time_ms`. A line that cannot be read, or a passed limit, fails the scrape as
  // a whole, as Prometheus does: none of its samples, up 0, and stale markers for what was there before.
  Outcome scraped(const Target& target, const Result<Scraped>& answer, std::int64_t time_ms,
                  double duration_s);
  // The target is gone: stale markers for its series and for up and scrape_*.
  Decoded gone(const Target& target, std::int64_t time_ms);
  // The sink did not store the last outcome: what it marked stale must be marked again.
  void not_stored();
  // HELP, TYPE and UNIT of the last good scrape, by metric; null before it. The same object while they stay the same.
  std::shared_ptr<const std::vector<storage::MetricMetadata>> metadata() const { return told_; }

 private:
  struct Series {
    std::uint64_t first = 0;  // number of the scrape that brought it
    std::uint64_t seen = 0;   // number of the scrape that had it last
    bool tracked = false;     // its samples have no timestamp of their own, so that its end gets a marker
    bool live = false;        // stored, and no marker since
    std::uint64_t exemplar = 0;  // hash of the last one that had no time of its own
  };
  struct Counts {
    std::uint64_t scraped = 0, kept = 0, added = 0;
  };
  std::string read(const Target& target, const Scraped& answer, std::int64_t time_ms, Decoded& out,
                   Counts& counts);
  std::string read_sample(const Target& target, ExpositionLine& line, std::int64_t time_ms, Decoded& out,
                          Counts& counts, Rejection& duplicates);
  void add_exemplar(const Target& target, ExpositionLine& line, const model::Labels& labels, Series& known,
                    std::int64_t sample_ms, Decoded& out);
  void forget_exemplars();
  void mark_stale(bool all, std::int64_t time_ms, storage::WriteBatch& batch);
  void add_metadata(std::vector<storage::MetricMetadata> metadata, storage::WriteBatch& batch);

  std::unordered_map<model::Labels, Series, model::LabelsHash> series_;
  std::unordered_map<std::string, std::uint64_t> metadata_;  // metric -> hash of what was sent last
  std::shared_ptr<const std::vector<storage::MetricMetadata>> told_;
  std::uint64_t told_hash_ = 0;
  std::vector<model::Labels> last_stale_;
  Rejections exemplars_refused_;  // of the scrape that is being read
  std::uint64_t scrape_ = 0;
  bool reported_ = false;
};

// A sample's labels together with its target's. With honor_labels the sample's win (an empty one removes the
// target's); otherwise the target's win and the sample's are kept as exported_<name>.
std::vector<model::Label> with_target_labels(std::vector<model::Label> exposed, const model::Labels& target,
                                             bool honor_labels);

}  // namespace plumbline::ingest
