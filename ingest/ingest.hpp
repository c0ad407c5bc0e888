// The ingest module's front door: every protocol decodes into one WriteBatch and hands it to one Sink.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "proto/http.hpp"
#include "storage/storage.hpp"

namespace plumbline::ingest {

// A row that a decoder refused while its batch went on.
struct Rejection {
  std::string reason;   // stable word for plumbline_ingest_refused_total{reason=}: missing_name, duplicate_label, wrong_type...
  std::string message;  // names the place: "row 3: feature 'age' is a number, got a string"
  std::uint64_t count = 1;
  std::uint64_t row = 0;  // in the request, from 1; 0: not known
};

// By group of a batch's events: which row of the request each of its rows was, from 1.
using RowNumbers = std::vector<std::vector<std::uint64_t>>;

// What a decoder makes of one request.
struct Decoded {
  storage::WriteBatch batch;
  std::vector<Rejection> rejections;
  RowNumbers row_numbers = {};  // for what the sink refuses; of the batch as it was decoded; may be shorter, or empty
};

// What became of one request: the stored part, and every refused row with its reason (from decoder, schema and store).
struct Receipt {
  std::uint64_t samples = 0, histograms = 0, rows = 0, labels = 0;
  std::vector<Rejection> rejections;
  std::uint64_t refused() const {
    std::uint64_t n = 0;
    for (const Rejection& r : rejections) n += r.count;
    return n;
  }
  // "2 rows refused: row 3: ...; row 9: ..." (at most 5 named), for answers; empty when nothing was refused.
  std::string summary() const;
};

// The one way into the store: checks inference rows against the model's known feature types, writes, counts.
//
// Threads: any. Blocks: on the journal.
// Borrows: writer, state, log, registry.
class Sink {
 public:
  Sink(storage::Writer& writer, storage::State& state, const Clock& clock, Log& log, Registry& registry);
  ~Sink();
  // Loads the feature types that were learned before; call once before the first accept.
  Status load();
  // `protocol` is the counter's label: remote_write, otlp, loki, text, scrape, inferences, grpc, self.
  // Fails (nothing stored): unavailable, over_limit. Refused rows alone are in the receipt.
  Result<Receipt> accept(std::string_view protocol, Decoded decoded);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Bounds on foreign bytes; see limits.hpp for the reasons.
struct Limits {
  std::size_t body_bytes_max = 32u << 20;      // as sent
  std::size_t inflated_bytes_max = 64u << 20;  // after Content-Encoding or snappy
};

// OTLP metrics as Prometheus translates them by default.
struct OtlpOptions {
  std::vector<std::string> promote_resource_attributes;
};

// POST /api/v1/write, /v1/{metrics,logs,traces}, /api/v1/otlp/v1/metrics, /otlp/v1/logs, /api/v1/import/prometheus,
// /loki/api/v1/push, /api/v1/inferences, /api/v1/inferences/labels.
http::Routes routes(Sink& sink, const Clock& clock, Limits limits, OtlpOptions otlp);

// --------------------------------------------------------------------------------------------------------------- gRPC

// The OTLP Export services and plumbline.v1.IngestService on one listener.
//
// Threads: one completion-queue thread, and workers that may wait for the journal.
// Owns: the server. Borrows: sink, clock, log.
class GrpcServer {
 public:
  // `listen` as "127.0.0.1:4317"; port 0 picks one. Fails: io (cannot bind).
  static Result<std::unique_ptr<GrpcServer>> start(const std::string& listen, Sink& sink, const Clock& clock, Log& log,
                                                   Registry& registry, Limits limits, OtlpOptions otlp);
  virtual ~GrpcServer() = default;
  virtual int port() const = 0;
  // Stops accepting, lets running calls finish for `grace`, then cancels them. Idempotent.
  virtual void stop(Millis grace) = 0;
};

// ------------------------------------------------------------------------------------------------------------- scraping

enum class RelabelAction { replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase };

struct RelabelRule {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::replace;
};
Result<RelabelAction> parse_relabel_action(std::string_view name);
// Prometheus' relabelling. nullopt: the target or sample is dropped. Fails at compile time of the rule only.
class Relabeller {
 public:
  static Result<Relabeller> make(std::vector<RelabelRule> rules);
  std::optional<model::Labels> apply(model::Labels labels) const;
  Relabeller();
  ~Relabeller();
  Relabeller(Relabeller&&) noexcept;
  Relabeller& operator=(Relabeller&&) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct TargetGroup {
  std::vector<std::string> targets;  // host:port
  std::vector<std::pair<std::string, std::string>> labels;
};

struct ScrapeJob {
  std::string job_name;
  Millis interval{15'000};
  Millis timeout{10'000};
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  http::Pairs params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  std::uint64_t sample_limit = 0;  // 0: none
  std::size_t body_bytes_max = 64u << 20;
  std::string basic_auth_user, basic_auth_password_file;
  std::string authorization_type = "Bearer", authorization_credentials_file;
  std::vector<TargetGroup> static_configs;
  std::vector<std::string> file_sd_files;  // globs of JSON or YAML target files
  Millis file_sd_refresh{30'000};
  std::vector<RelabelRule> relabel;
  std::vector<RelabelRule> metric_relabel;
};

struct TargetStatus {
  std::string job;
  std::string url;
  model::Labels labels;
  std::string health = "unknown";  // up, down, unknown
  std::string last_error;
  std::int64_t last_scrape_ms = 0;  // 0: never
  double last_duration_s = 0;
  model::Labels discovered;  // before relabelling, __address__ and the other internal labels included
  Millis interval{0};
  Millis timeout{0};
  // What its last good scrape said of its metrics, by name; null before the first.
  std::shared_ptr<const std::vector<storage::MetricMetadata>> metadata = {};
};

// A job, as /api/v1/targets counts it.
struct ScrapePool {
  std::string name;
  std::uint64_t dropped = 0;  // targets that relabelling dropped
};

// Reads a file_sd file (JSON or YAML); given by the application because YAML has its home in config/.
using TargetFileReader = std::function<Result<std::vector<TargetGroup>>(const std::string& path)>;

// Scrapes every target on its interval (offset by a hash, so that targets spread out), writes the samples, up,
// scrape_duration_seconds, scrape_samples_scraped, scrape_samples_post_metric_relabeling and scrape_series_added, and stale
// markers for what vanished.
//
// Threads: own scheduler and a few workers. Borrows: sink, client, clock, log, registry.
class Scraper {
 public:
  Scraper(Sink& sink, http::Client& client, const Clock& clock, Log& log, Registry& registry,
          std::vector<std::pair<std::string, std::string>> external_labels, TargetFileReader read_target_file);
  ~Scraper();  // stops
  // Replaces the jobs; targets that stay keep their state. Fails: invalid_input (bad relabel regex), nothing changed then.
  Status set_jobs(std::vector<ScrapeJob> jobs);
  void stop();
  std::vector<TargetStatus> targets() const;
  // Targets that relabelling dropped: only job and discovered are set. At most 1000 a job.
  std::vector<TargetStatus> dropped_targets() const;
  std::vector<ScrapePool> pools() const;  // in the order of set_jobs()

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads a selector such as {job="a"}; given by the application because PromQL has its home in query/.
using SelectorReader = std::function<Result<model::Matchers>(std::string_view)>;

// GET /api/v1/targets, /api/v1/targets/metadata, /api/v1/scrape_pools
http::Routes target_routes(const Scraper& scraper, SelectorReader read_selector);

}  // namespace plumbline::ingest
