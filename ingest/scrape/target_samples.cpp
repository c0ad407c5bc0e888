#include "ingest/scrape/target_samples.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/base/bytes.hpp"
#include "ingest/exemplar.hpp"
#include "ingest/limits.hpp"
#include "ingest/text/exposition.hpp"
#include "ingest/text/metadata.hpp"

namespace plumbline::ingest {
namespace {

constexpr std::array<std::string_view, 5> report_names{
    "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
    "scrape_series_added"};

void report(const Target& target, const std::array<double, report_names.size()>& values, std::int64_t time_ms,
            storage::WriteBatch& batch) {
  for (std::size_t i = 0; i < report_names.size(); ++i)
    batch.series.push_back(
        {target.labels.with(model::metric_name_label, report_names[i]), {{time_ms, values[i]}}});
}

}  // namespace

std::vector<model::Label> with_target_labels(std::vector<model::Label> exposed, const model::Labels& target,
                                             bool honor_labels) {
  const auto find = [&](std::string_view name) {
    return std::find_if(exposed.begin(), exposed.end(),
                        [&](const model::Label& l) { return l.name == name; });
  };
  std::vector<model::Label> conflicting;
  for (const model::Label& t : target) {
    const auto same = find(t.name);
    if (same == exposed.end()) {
      exposed.push_back(t);
    } else if (!honor_labels) {
      if (!same->value.empty()) conflicting.push_back(*same);
      same->value = t.value;
    }
  }
  // Shorter names first, so that exported_x of the sample itself gives way to the exported_ of x.
  std::stable_sort(conflicting.begin(), conflicting.end(), [](const model::Label& a, const model::Label& b) {
    return a.name.size() < b.name.size();
  });
  for (model::Label& l : conflicting) {
    auto taken = exposed.end();
    do {
      l.name.insert(0, "exported_");
      taken = find(l.name);
    } while (taken != exposed.end() && !taken->value.empty());
    if (taken != exposed.end())
      taken->value = std::move(l.value);
    else
      exposed.push_back(std::move(l));
  }
  return exposed;
}

TargetSamples::Outcome TargetSamples::scraped(const Target& target, const Result<Scraped>& answer,
                                              std::int64_t time_ms, double duration_s) {
  Outcome out;
  Counts counts;
  ++scrape_;
  last_stale_.clear();
  if (answer) {
    out.error = read(target, *answer, time_ms, out.decoded, counts);
  } else {
    out.error = answer.error().message;
  }
  if (!out.error.empty()) {
    const auto rejections = std::move(out.decoded.rejections);
    out.decoded = {};
    out.decoded.rejections = std::move(rejections);
    if (counts.scraped != 0)
      out.decoded.rejections.push_back({"scrape_failed", target.url_text + ": " + out.error, counts.scraped});
    // Series that only the failed scrape named were never stored: no marker, and they are new when they come
    // again.
    std::erase_if(series_, [&](const auto& s) { return s.second.first == scrape_; });
    forget_exemplars();
    mark_stale(true, time_ms, out.decoded.batch);
  } else {
    mark_stale(false, time_ms, out.decoded.batch);
    // What an empty answer does not name may come back and is then not new; what a full one does not name is
    // forgotten.
    if (!answer->body.empty())
      std::erase_if(series_, [&](const auto& s) { return s.second.seen != scrape_; });
  }
  report(target,
         {out.error.empty() ? 1.0 : 0.0, duration_s, static_cast<double>(counts.scraped),
          static_cast<double>(counts.kept), static_cast<double>(counts.added)},
         time_ms, out.decoded.batch);
  reported_ = true;
  return out;
}

// The error that fails the scrape, or "".
std::string TargetSamples::read(const Target& target, const Scraped& answer, std::int64_t time_ms,
                                Decoded& out, Counts& counts) {
  ExpositionParser parser(answer.body, exposition_format(answer.content_type));
  ExpositionLine line;
  ExpositionMetadata metadata;
  Rejection duplicates{"duplicate_sample", "", 0};
  const std::uint64_t limit = target.rules->job.sample_limit;
  std::string error;
  for (bool more = true; more;) {
    switch (parser.next(line)) {
      case ExpositionParser::Item::end:
        more = false;
        break;
      case ExpositionParser::Item::metadata:
        metadata.add(line);
        break;
      case ExpositionParser::Item::error:
        if (error.empty()) error = line.message;
        more = false;
        break;
      case ExpositionParser::Item::sample:
        ++counts.scraped;
        if (error.empty()) error = read_sample(target, line, time_ms, out, counts, duplicates);
        // Past the limit the rest is only counted: scrape_samples_scraped then says how far off the limit is.
        if (error.empty() && limit != 0 && counts.kept > limit) error = "sample limit exceeded";
        break;
    }
  }
  if (duplicates.count != 0) out.rejections.push_back(std::move(duplicates));
  for (Rejection& r : exemplars_refused_.take()) out.rejections.push_back(std::move(r));
  if (error.empty()) add_metadata(metadata.take(), out.batch);
  return error;
}

std::string TargetSamples::read_sample(const Target& target, ExpositionLine& line, std::int64_t time_ms,
                                       Decoded& out, Counts& counts, Rejection& duplicates) {
  const ScrapeJob& job = target.rules->job;
  auto labels = series_labels(with_target_labels(std::move(line.labels), target.labels, job.honor_labels));
  line.labels.clear();
  if (!labels) return "line " + std::to_string(line.line) + ": " + labels.error().message;
  auto relabelled = target.rules->metric_relabel.apply(std::move(*labels));
  if (!relabelled) return "";
  if (relabelled->metric().empty())
    return "line " + std::to_string(line.line) + ": no metric name after relabelling";
  ++counts.kept;

  const bool own_time = line.timestamp_ms.has_value() && job.honor_timestamps;
  const auto [place, fresh] = series_.try_emplace(std::move(*relabelled));
  Series& known = place->second;
  if (fresh) {
    known.first = scrape_;
    ++counts.added;
  }
  if (!fresh && known.seen == scrape_ && !own_time) {
    if (duplicates.count++ == 0)
      duplicates.message = target.url_text + ": line " + std::to_string(line.line) + ": " +
                           place->first.str() + " appears twice";
    return "";
  }
  known.seen = scrape_;
  known.tracked = !own_time;
  if (line.exemplar) add_exemplar(target, line, place->first, known, own_time ? *line.timestamp_ms : time_ms, out);
  out.batch.series.push_back({place->first, {{own_time ? *line.timestamp_ms : time_ms, line.value}}});
  return "";
}

// A target repeats an exemplar until it has a new one. With a time of its own the store knows it again; one without would be
// new in each scrape.
void TargetSamples::add_exemplar(const Target& target, ExpositionLine& line, const model::Labels& labels, Series& known,
                                 std::int64_t sample_ms, Decoded& out) {
  ExpositionExemplar& given = *line.exemplar;
  const bool own_time = given.timestamp_ms.has_value() && target.rules->job.honor_timestamps;
  if (!own_time) {
    std::string text;
    for (const model::Label& l : given.labels) text.append(l.name).append(1, '\0').append(l.value).append(1, '\0');
    ByteWriter bytes;
    bytes.f64(given.value);
    const std::uint64_t hash = hash64(text + bytes.take());
    if (std::exchange(known.exemplar, hash) == hash) return;
  }
  std::vector<Exemplar> exemplar;
  exemplar.push_back({std::move(given.labels), given.value, own_time ? *given.timestamp_ms : sample_ms});
  Budget budget;  // of this one: the body's limit bounds all of them
  add_exemplars(labels, std::move(exemplar), target.url_text + ": line " + std::to_string(line.line), budget, out.batch,
                exemplars_refused_);
}

void TargetSamples::mark_stale(bool all, std::int64_t time_ms, storage::WriteBatch& batch) {
  for (auto& [labels, s] : series_) {
    if (!all && s.seen == scrape_) {
      s.live = true;
      continue;
    }
    if (!s.live || !s.tracked) continue;
    s.live = false;
    batch.series.push_back({labels, {{time_ms, model::stale_nan}}});
    last_stale_.push_back(labels);
  }
}

Decoded TargetSamples::gone(const Target& target, std::int64_t time_ms) {
  Decoded out;
  ++scrape_;
  last_stale_.clear();
  mark_stale(true, time_ms, out.batch);
  if (reported_) {
    std::array<double, report_names.size()> stale{};
    stale.fill(model::stale_nan);
    report(target, stale, time_ms, out.batch);
  }
  return out;
}

void TargetSamples::not_stored() {
  for (const model::Labels& labels : last_stale_) series_[labels] = {0, 0, true, true};
  last_stale_.clear();
  metadata_.clear();
  forget_exemplars();
}

// The last ones were not stored: when they come again they are new.
void TargetSamples::forget_exemplars() {
  for (auto& [labels, s] : series_) s.exemplar = 0;
}

// A journal record for texts that change once a release would double a small target's volume: only news are
// sent.
void TargetSamples::add_metadata(std::vector<storage::MetricMetadata> metadata, storage::WriteBatch& batch) {
  // A target that makes up names must not grow this for ever; past the bound everything is sent once more.
  constexpr std::size_t metrics_max = 50'000;
  if (metadata_.size() > metrics_max) metadata_.clear();
  if (metadata.size() > metrics_max) metadata.resize(metrics_max);
  std::uint64_t all = metadata.size();
  for (const storage::MetricMetadata& m : metadata) {
    const std::uint64_t hash = hash64(m.type + '\n' + m.unit + '\n' + m.help);
    // Their order counts: who sends the same metrics in another one is told of anew, which costs a copy.
    all = (all ^ hash64(m.metric)) * 0x9e3779b97f4a7c15 + hash;
    const auto [place, fresh] = metadata_.try_emplace(m.metric, hash);
    if (!fresh && place->second == hash) continue;
    place->second = hash;
    batch.metadata.push_back(m);
  }
  if (told_ && told_hash_ == all) return;
  std::ranges::sort(metadata, {}, &storage::MetricMetadata::metric);
  told_ = std::make_shared<const std::vector<storage::MetricMetadata>>(std::move(metadata));
  told_hash_ = all;
}

}  // namespace plumbline::ingest
