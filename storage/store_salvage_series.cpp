// A salvage's series index and journal. Either may define what the other has lost.
#include <algorithm>

#include "storage/journal/judge.hpp"
#include "storage/journal/salvage.hpp"
#include "storage/journal/verify.hpp"
#include "storage/kv/files.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/store_offline.hpp"
#include "storage/store_salvager.hpp"

namespace plumbline::storage {

// The series index as it reads, and what journal records define besides: those that are sealed too, when their tables are damaged.
Status Salvager::series() {
  struct Entry {
    std::string key;
    std::string right;  // empty: there is none
    std::string value;
  };
  std::vector<Entry> bad;
  PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::series, "", "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    in.raw(kv::key_prefix_bytes);
    const series::SeriesId id = in.be32();
    const auto labels = model::Labels::decode(value);
    if (labels && in.ok() && !wins_its_labels(id, *labels)) {
      bad.push_back({std::string(key), "", ""});
      return true;
    }
    if (!in.ok() || !labels || !index_.restore(id, *labels)) {
      bad.push_back({std::string(key), "", ""});
      lose("family series", "series " + std::to_string(id), labels ? "its labels are those of another series" : labels.error().message);
    } else if (std::string right = series::series_key(*labels, id); right != key) {
      bad.push_back({std::string(key), std::move(right), std::string(value)});
    }
    return true;
  }));
  for (const Entry& e : bad) {
    PLUMBLINE_CHECK_OK(remove(kv::Family::series, e.key));
    if (!e.right.empty()) PLUMBLINE_CHECK_OK(put(kv::Family::series, e.right, e.value));
  }
  if (!whole_) PLUMBLINE_CHECK_OK(series_of_journal());
  for (const std::string& key : outdone_) PLUMBLINE_CHECK_OK(remove(kv::Family::series, key));
  return {};
}

// One set of labels has one id, or queries have a series twice. Of two the later one stays, as ids ascend, or the only one that
// segments have samples of. False: it is not this one.
bool Salvager::wins_its_labels(series::SeriesId id, const model::Labels& labels) {
  const series::SeriesId twin = index_.find(labels);
  if (twin == series::no_series || twin == id) return true;
  if (!used_) used_ = ids_in_segments();
  const bool wins = used_->contains(id) == used_->contains(twin) ? id > twin : used_->contains(id);
  const series::SeriesId loser = wins ? twin : id;
  lose("family series", "series " + std::to_string(loser),
       "series " + std::to_string(wins ? id : twin) + " has the same labels " + labels.str() + " and stays" +
           (used_->contains(loser) ? ": the samples of this one are lost" : ""));
  losers_.add(loser);
  if (!wins) return false;
  index_.remove(Roaring::bitmapOf(1, twin));
  outdone_.push_back(series::series_key(labels, twin));
  return true;
}

Roaring Salvager::ids_in_segments() const {
  Roaring out;
  const auto files = kv::TableFiles::open({.directory = path("segments"), .file_system = file_system_, .read_only = true});
  const auto names = tree_.list(path("segments"));
  if (!files || !names) return out;
  for (const std::string& name : *names) {
    if (!name.ends_with(".sst") || series::is_tier_name(name)) continue;
    if (const auto segment = series::Segment::open(**files, name))
      for (const std::uint32_t id : (*segment)->ids()) out.add(id);
  }
  return out;
}

Status Salvager::series_of_journal() {
  PLUMBLINE_TRY(const auto there, tree_.exists(path("journal")));
  if (!there) return {};
  PLUMBLINE_TRY(const auto read, journal::salvage(path("journal"), "journal", file_system_, 0, [&](std::uint64_t, std::string_view bytes) -> Status {
    const auto record = decode_record(bytes);
    if (!record) return {};
    for (const series::Definition& d : record->definitions) {
      const auto labels = model::parse_wire_labels(d.labels);
      if (!labels || index_.contains(d.id) || !wins_its_labels(d.id, *labels) || !index_.restore(d.id, *labels)) continue;
      PLUMBLINE_CHECK_OK(put(kv::Family::series, series::series_key(*labels, d.id), labels->encode()));
    }
    return {};
  }));
  oldest_record_ = read.oldest;
  return {};
}

Status Salvager::journal() {
  PLUMBLINE_TRY(const auto names, tree_.list(path("journal")));
  if (names.empty()) return {};
  PLUMBLINE_TRY(const auto found, journal::verify(path("journal"), "journal", file_system_, positions_.trimmed,
                                                  [&](std::uint64_t, std::string_view bytes) { return check(bytes); }));
  if (found.problems.empty()) return {};
  PLUMBLINE_CHECK_OK(tree_.make(staging("journal")));
  PLUMBLINE_TRY(const auto files, kv::Files::open(staging("journal"), file_system_));
  journal::Rewriter out(*files, positions_.trimmed);
  PLUMBLINE_TRY(auto read, journal::salvage(path("journal"), "journal", file_system_, positions_.trimmed,
                                            [&](std::uint64_t sequence, std::string_view bytes) -> Status {
                                              if (sequence <= positions_.trimmed) return {};
                                              auto record = decode_record(bytes);
                                              if (!record) {
                                                lose("journal", "record " + std::to_string(sequence), record.error().message);
                                                return {};
                                              }
                                              return filter(sequence, *record) ? out.append(encode_record(*record)) : out.append(bytes);
                                            }));
  PLUMBLINE_CHECK_OK(out.finish());
  lose(std::move(read.lost));
  for (const std::string& name : names)
    if (journal::first_of(name)) moved_.push_back("journal/" + name);
  return {};
}

Status Salvager::check(std::string_view bytes) {
  if (!losers_.isEmpty()) {
    PLUMBLINE_TRY(const Record record, decode_record(bytes));
    for (const series::Definition& d : record.definitions)
      if (losers_.contains(d.id)) return fail(Code::corrupt, "series " + std::to_string(d.id) + " has the labels of another one");
  }
  return check_record(bytes, index_);
}

// True: something of the record had to go, because nobody can say what its series are.
bool Salvager::filter(std::uint64_t sequence, Record& record) {
  std::set<series::SeriesId> bad;
  const auto before = record.definitions.size();
  std::erase_if(record.definitions, [&](const series::Definition& d) {
    const auto labels = model::parse_wire_labels(d.labels);
    const bool good = labels && !losers_.contains(d.id) &&
                      (index_.contains(d.id) ? index_.labels(d.id) == *labels : index_.restore(d.id, *labels).has_value());
    if (!good) bad.insert(d.id);
    return !good;
  });
  std::uint64_t samples = 0;
  const auto drop = [&](std::vector<series::SeriesRun>& runs) {
    return std::erase_if(runs, [&](const series::SeriesRun& run) {
      if (index_.contains(run.id) && !bad.contains(run.id)) return false;
      samples += run.count;
      bad.insert(run.id);
      return true;
    }) > 0;
  };
  const bool floats = drop(record.runs);
  const bool histograms = drop(record.histogram_runs);
  if (!bad.empty())
    lose("journal", "record " + std::to_string(sequence), std::to_string(samples) + " samples of " + std::to_string(bad.size()) +
                                                              " series, the first is " + std::to_string(*bad.begin()) + ": their labels are lost");
  return floats || histograms || record.definitions.size() != before;
}

}  // namespace plumbline::storage
