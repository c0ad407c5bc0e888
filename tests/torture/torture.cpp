#include "torture.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <set>

#include <fmt/format.h>

namespace plumbline::test {

using model::Labels;
using model::Matcher;
using model::Sample;

namespace {

constexpr int series_count = 12;
constexpr int marker_series = series_count;  // its sample's time names a batch
constexpr std::size_t explosion = 10'001;
constexpr std::int64_t day_ms = 86'400'000;
const std::string model_name = "m";

std::uint64_t bits(double v) { return std::bit_cast<std::uint64_t>(v); }

template <class T>
void put(std::vector<std::optional<T>>& candidates, std::optional<T> value, bool certain) {
  if (certain) candidates.clear();
  else if (candidates.empty()) candidates.push_back(std::nullopt);
  candidates.push_back(std::move(value));
}
template <class T>
bool among(const std::vector<std::optional<T>>& candidates, const std::optional<T>& value) {
  return std::find(candidates.begin(), candidates.end(), value) != candidates.end();
}

}  // namespace

std::uint64_t how_often(std::uint64_t few, std::uint64_t many) {
  const char* text = std::getenv("PLUMBLINE_LONG");
  const double part = text != nullptr ? std::strtod(text, nullptr) : 0;
  return part > 0 && part <= 1 ? static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(many))) : few;
}
std::uint64_t seed_of_test() {
  if (const char* text = std::getenv("PLUMBLINE_SEED")) return std::strtoull(text, nullptr, 10);
  // The short form is the same every time, so that a change is judged by what it changed; the long one draws.
  return how_often(0, 1) == 0 ? 11 : std::random_device{}();
}

struct Torture::Found {
  std::map<SampleKey, std::uint64_t> samples;
  std::size_t exploded = 0;
  std::map<std::string, std::int64_t> lines;
  std::map<std::string, double> labels;
  std::map<std::string, std::string> state;
  std::map<std::string, std::string> metadata;
  bool samples_read = true;
  bool lines_read = true;
  bool labels_read = true;
  bool state_read = true;
  std::vector<std::string> errors;
  std::string wrong;
};

// Lines of the log as text.
class Torture::Lines final : public Log {
 public:
  void write(LogLevel level, std::string_view message, LogFields fields) override {
    if (level < LogLevel::info) return;
    Lock lock(mutex_);
    text_ += message;
    for (const LogField& f : fields) text_ += " " + std::string(f.key) + "=" + f.value;
    text_ += "\n";
  }
  std::string text() const {
    Lock lock(mutex_);
    return text_;
  }
  void clear() {
    Lock lock(mutex_);
    text_.clear();
  }

 private:
  mutable Mutex mutex_;
  std::string text_;
};
std::string Torture::log_text() const { return log_->text(); }
void Torture::forget_log() { log_->clear(); }

Torture::Torture(std::uint64_t seed)
    : random_(seed), disk_(std::make_unique<storage::kv::FaultDisk>(random_())), log_(std::make_unique<Lines>()) {
  options_.path = std::string(storage::kv::FaultDisk::root) + "/data";
  options_.journal_sync.policy = storage::SyncPolicy::always;
  options_.retry_pause = Millis(0);
  options_.retention_series = options_.retention_events = std::chrono::hours(72);
  options_.block_cache_bytes = 1 << 20;
}
Torture::~Torture() { leave(); }

void Torture::use(std::unique_ptr<storage::kv::FaultDisk> disk) {
  leave();
  disk_ = std::move(disk);
}

Status Torture::open() {
  leave();
  options_.file_system = disk_->file_system();
  ended_ = disk_->ended();
  auto opened = storage::Store::open(options_, clock_, *log_, registry_);
  if (!opened) return fail(opened.error());
  store_ = std::move(*opened);
  return {};
}
void Torture::leave() { store_.reset(); }

Labels Torture::labels_of(int series) const {
  if (series == marker_series) return Labels::of({{"__name__", "marker"}});
  return Labels::of({{"__name__", "m" + std::to_string(series % 3)}, {"i", std::to_string(series)}});
}

std::int64_t Torture::cutoff_ms() const {
  const std::int64_t cutoff = clock_.now_ms() - options_.retention_series.count();
  return (cutoff / day_ms + 1) * day_ms;  // the day in which it lies may go any moment
}

// Any of the values that it may have: when a power cut took the newer one, the older one's day is what counts.
bool Torture::label_may_be_gone(const std::string& id, std::int64_t cutoff) const {
  return std::ranges::any_of(labels_.at(id), [&](const std::optional<double>& value) { return value && label_times_.at(*value) < cutoff; });
}

bool Torture::write() {
  clock_.advance(Millis(1));
  const std::int64_t now = clock_.now_ms();
  const std::int64_t number = static_cast<std::int64_t>(++batches_);
  storage::WriteBatch batch;
  std::vector<std::pair<SampleKey, double>> samples;
  for (std::size_t i = 0, n = 1 + random_() % 4; i < n; ++i) {
    const int series = static_cast<int>(random_() % series_count);
    std::vector<Sample> run;
    for (std::size_t k = 0, m = 1 + random_() % 5; k < m; ++k) {
      // Now, some minutes ago, or days; the times collide.
      const std::int64_t t = random_() % 3 != 0 ? now / 1000 * 1000 - static_cast<std::int64_t>(random_() % 20) * 1000
                                                : now / day_ms * day_ms - static_cast<std::int64_t>(random_() % 40) * 3'600'000;
      const double v = random_() % 4 == 0 ? std::bit_cast<double>(random_()) : static_cast<double>(number);
      run.push_back({t, v});
      samples.push_back({{series, t}, v});
    }
    batch.series.push_back({labels_of(series), run});
  }
  samples.push_back({{marker_series, now}, static_cast<double>(number)});
  batch.series.push_back({labels_of(marker_series), {{now, static_cast<double>(number)}}});
  Uncertain fate{now, {}};
  if (random_() % 2 == 0) {
    model::StreamRows& rows = batch.events.emplace_back();
    rows.kind = model::EventKind::log;
    rows.stream = Labels::of({{"job", std::to_string(random_() % 3)}});
    for (std::size_t k = 0, m = 1 + random_() % 3; k < m; ++k) {
      fate.lines.push_back(fmt::format("{}/{}", number, k));
      rows.rows.push_back({(now - static_cast<std::int64_t>(random_() % 100'000'000)) * 1'000'000, {{"line", fate.lines.back()}}});
    }
  }
  std::optional<std::string> label;
  if (random_() % 3 == 0) {
    label = fmt::format("p{}", random_() % 8 == 0 ? 0 : number);
    batch.labels.push_back({model_name, *label, static_cast<double>(number), now * 1'000'000});
  }
  if (random_() % 3 == 0) {
    const std::string key = "t/" + std::to_string(random_() % 5);
    batch.state.push_back({key, random_() % 3 == 0 ? std::nullopt : std::optional(std::to_string(number))});
  }
  if (random_() % 4 == 0)
    batch.metadata.push_back({"m" + std::to_string(random_() % 3), "gauge", std::to_string(number), ""});
  const std::vector<model::StreamRows> events = batch.events;
  const std::vector<storage::StatePut> state = batch.state;
  const std::vector<storage::MetricMetadata> metadata = batch.metadata;

  const auto receipt = store_->write(std::move(batch));
  const bool certain = receipt.has_value() && receipt->refusals.empty() && !ended();
  for (const auto& [key, v] : samples) {
    auto& candidates = samples_[key];
    // A batch names a key twice at times: the last value counts.
    put(candidates, std::optional(bits(v)), certain);
  }
  for (const model::StreamRows& rows : events)
    for (const model::Row& row : rows.rows)
      lines_[std::get<std::string>(row.fields[0].value)] = {row.time_ns, certain};
  if (label) {
    put(labels_[*label], std::optional(static_cast<double>(number)), certain);
    label_times_[static_cast<double>(number)] = now;
  }
  for (const storage::StatePut& s : state) put(state_[s.key], s.value, certain);
  for (const storage::MetricMetadata& m : metadata) put(metadata_[m.metric], std::optional(m.help), certain);
  if (certain) ++acknowledged_;
  else uncertain_.push_back(std::move(fate));
  return certain;
}

bool Torture::seal() {
  const Status status = store_->seal();
  return status.has_value() && !ended();
}
bool Torture::backup() {
  const auto made = store_->backup("b" + std::to_string(++backups_));
  return made.has_value() && !ended();
}
bool Torture::upkeep(Millis later) {
  clock_.advance(later);
  const Status status = store_->maintain();
  return status.has_value() && !ended();
}
bool Torture::close() {
  const Status status = store_->close();
  const bool out = status.has_value() && !ended();
  leave();
  return out;
}

bool Torture::explode() {
  clock_.advance(Millis(1));
  exploded_ms_ = clock_.now_ms();
  storage::WriteBatch batch;
  for (std::size_t i = 0; i < explosion; ++i)
    batch.series.push_back({Labels::of({{"__name__", "x"}, {"i", std::to_string(i)}}), {{exploded_ms_, 1}}});
  const auto receipt = store_->write(std::move(batch));
  explosion_certain_ = receipt.has_value() && !ended();
  return explosion_certain_;
}

bool Torture::erase(model::Matchers matchers, model::TimeRange range) {
  unfinished_ = {std::move(matchers), range};
  return erase();
}
bool Torture::erase() {
  if (!unfinished_) {
    const std::int64_t from = clock_.now_ms() - static_cast<std::int64_t>(random_() % (3 * 86'400'000));
    Erase fresh;
    fresh.matchers = {Matcher::equal("__name__", "m" + std::to_string(random_() % 3))};
    fresh.range = {from, from + static_cast<std::int64_t>(random_() % 40'000'000)};
    unfinished_ = fresh;
  }
  const Status status = store_->erase({unfinished_->matchers}, unfinished_->range);
  const bool certain = status.has_value() && !ended();
  for (auto& [key, candidates] : samples_)
    if (unfinished_->range.contains(key.t) && model::matches_all(unfinished_->matchers, labels_of(key.series)))
      put(candidates, std::optional<std::uint64_t>(), certain);
  if (certain) unfinished_.reset();
  return certain;
}

bool Torture::step() {
  if (unfinished_) return erase();
  const auto what = random_() % 100;
  if (what < 72) return write();
  if (what < 82) return seal();
  if (what < 90) return upkeep(std::chrono::minutes(1 + random_() % 15));
  if (what < 92) return upkeep(std::chrono::hours(1 + random_() % 30));
  if (what < 96) return erase();
  if (!close()) return false;
  return open().has_value() && !ended();
}

Torture::Found Torture::read_all(bool tolerate) {
  Found out;
  const auto note = [&](const Error& error, bool& part) {
    part = false;
    out.errors.push_back(error.message);
    if (!tolerate) out.wrong = "a read failed: " + error.message;
  };
  std::map<Labels, int> known;
  for (int i = 0; i <= marker_series; ++i) known[labels_of(i)] = i;
  std::set<int> seen;
  auto status = store_->select({}, [&](const Labels& labels, std::span<const Sample> samples) {
    if (labels.metric() == "x") {
      ++out.exploded;
      return true;
    }
    const auto series = known.find(labels);
    if (series == known.end()) {
      out.wrong = "a series that was never written: " + labels.str();
      return false;
    }
    if (!seen.insert(series->second).second) out.wrong = "a series is there twice: " + labels.str();
    for (const Sample& s : samples)
      if (!out.samples.emplace(SampleKey{series->second, s.t}, bits(s.v)).second) out.wrong = "a sample is there twice";
    return true;
  });
  if (!status) note(status.error(), out.samples_read);
  status = store_->scan({}, [&](const storage::RowBlock& block) {
    const auto* line = block.find("line");
    for (std::size_t i = 0; i < block.times_ns.size(); ++i) {
      const auto* text = line == nullptr ? nullptr : std::get_if<std::string>(&line->values[i]);
      if (text == nullptr) out.wrong = "a row without its line";
      else if (!out.lines.emplace(*text, block.times_ns[i]).second) out.wrong = "a line is there twice: " + *text;
    }
    return true;
  });
  if (!status) note(status.error(), out.lines_read);
  std::vector<std::string> ids;
  for (const auto& [id, candidates] : labels_) ids.push_back(id);
  const auto labels = store_->late_labels(model_name, ids);
  if (!labels) note(labels.error(), out.labels_read);
  else
    for (std::size_t i = 0; i < ids.size(); ++i)
      if ((*labels)[i]) out.labels[ids[i]] = std::get<double>((*labels)[i]->label);
  status = store_->list("t/", [&](std::string_view key, std::string_view value) {
    out.state.emplace(key, value);
    return true;
  });
  if (!status) note(status.error(), out.state_read);
  const auto metadata = store_->metadata("");
  if (!metadata) note(metadata.error(), out.state_read);
  else
    for (const storage::MetricMetadata& m : *metadata) out.metadata[m.metric] = m.help;
  return out;
}

std::string Torture::compare(const Found& found, bool tolerate) const {
  if (!found.wrong.empty()) return found.wrong;
  const std::int64_t cutoff = cutoff_ms();
  if (found.samples_read && exploded_ms_ >= cutoff && found.exploded != explosion && (explosion_certain_ || found.exploded != 0))
    return fmt::format("{} of {} new series are there", found.exploded, explosion);
  const auto check_map = [&](const char* what, const auto& model, const auto& read, const auto& name, const auto& skip) -> std::string {
    for (const auto& [key, candidates] : model) {
      if (skip(key)) continue;
      const auto it = read.find(key);
      using Value = typename std::decay_t<decltype(candidates)>::value_type;
      const Value value = it == read.end() ? Value() : Value(it->second);
      if (!among(candidates, value))
        return fmt::format("{} {}: {}, and {} values may be", what, name(key), value ? "it has a wrong value" : "it is lost", candidates.size());
    }
    for (const auto& [key, value] : read)
      if (!skip(key) && !model.contains(key)) return fmt::format("{} {} was never written", what, name(key));
    return {};
  };
  const auto text = [](const std::string& key) { return key; };
  const auto none = [](const std::string&) { return false; };
  std::string wrong;
  if (found.samples_read)
    wrong = check_map("sample", samples_, found.samples, [&](const SampleKey& k) { return fmt::format("{} at {}", labels_of(k.series).str(), k.t); },
                      [&](const SampleKey& k) { return k.t < cutoff; });
  if (wrong.empty() && found.lines_read) {
    for (const auto& [line, place] : lines_) {
      const auto it = found.lines.find(line);
      if (place.t_ns / 1'000'000 < cutoff) continue;
      if (it == found.lines.end() ? place.certain : it->second != place.t_ns) return "line " + line + (it == found.lines.end() ? " is lost" : " has another time");
    }
    for (const auto& [line, t] : found.lines)
      if (t / 1'000'000 >= cutoff && !lines_.contains(line)) return "line " + line + " was never written";
  }
  if (wrong.empty() && found.labels_read)
    wrong = check_map("label", labels_, found.labels, text, [&](const std::string& id) { return !found.labels.contains(id) && label_may_be_gone(id, cutoff); });
  if (wrong.empty() && found.state_read) wrong = check_map("state", state_, found.state, text, none);
  if (wrong.empty() && found.state_read) wrong = check_map("metadata", metadata_, found.metadata, text, none);
  if (wrong.empty() && found.samples_read && found.lines_read && !tolerate)
    for (const Uncertain& u : uncertain_) {
      if (u.marker < cutoff) continue;
      const bool there = found.samples.contains({marker_series, u.marker});
      for (const std::string& line : u.lines) {
        const std::int64_t t = lines_.at(line).t_ns / 1'000'000;
        if (t >= cutoff && found.lines.contains(line) != there) return "half of a batch is there: line " + line;
      }
    }
  return wrong;
}

void Torture::settle(const Found& found) {
  const std::int64_t cutoff = cutoff_ms() - 2 * day_ms;  // old enough to be asked for no more
  const auto settle_map = [](auto& model, const auto& read) {
    for (auto& [key, candidates] : model) {
      if (candidates.size() < 2) continue;
      const auto it = read.find(key);
      using Value = typename std::decay_t<decltype(candidates)>::value_type;
      const Value value = it == read.end() ? Value() : Value(it->second);
      candidates.assign(1, value);
    }
  };
  std::erase_if(samples_, [&](const auto& s) { return s.first.t < cutoff; });
  settle_map(samples_, found.samples);
  std::erase_if(samples_, [&](const auto& s) { return !s.second[0].has_value() && s.second.size() == 1 && s.first.series == marker_series; });
  settle_map(labels_, found.labels);
  settle_map(state_, found.state);
  settle_map(metadata_, found.metadata);
  std::erase_if(lines_, [&](const auto& l) {
    return l.second.t_ns / 1'000'000 < cutoff || (!l.second.certain && !found.lines.contains(l.first));
  });
  for (auto& [line, place] : lines_) place.certain = true;
  std::erase_if(labels_, [&](const auto& l) { return !found.labels.contains(l.first) && label_may_be_gone(l.first, cutoff); });
  uncertain_.clear();
}

std::string Torture::check(bool settled) {
  const Found found = read_all(false);
  std::string wrong = compare(found, false);
  if (wrong.empty() && settled) settle(found);
  return wrong;
}

std::string Torture::check_damaged(std::vector<std::string>* errors) {
  const Found found = read_all(true);
  *errors = found.errors;
  return compare(found, true);
}

}  // namespace plumbline::test
