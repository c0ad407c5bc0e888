// A salvage's segments: which files count, and what still reads of the damaged ones.
#include <algorithm>

#include "storage/series/segment_salvage.hpp"
#include "storage/series/tier_file.hpp"
#include "storage/store_salvager.hpp"

namespace plumbline::storage {

namespace {

const std::string all_lost = "ALL-LOST";  // a file in segments/ by which an operator says so

// Whether `later` is a later generation of the same day and seal.
bool is_rewritten(const std::string& name, const std::string& later) {
  constexpr std::size_t day_and_seal = 8 + 1 + 16;
  return name.size() > day_and_seal && name.substr(0, day_and_seal) == later.substr(0, day_and_seal) &&
         series::segment_generation(later) > series::segment_generation(name);
}

}  // namespace

Status Salvager::segments() {
  PLUMBLINE_TRY(const auto old, kv::TableFiles::open({.directory = path("segments"), .file_system = file_system_, .read_only = true}));
  PLUMBLINE_TRY(names_, tree_.list(path("segments")));
  PLUMBLINE_TRY(const auto listed, series::live_segments(*kv_));
  PLUMBLINE_CHECK_OK(refuse_absent_segments());
  std::set<std::string> live(listed.begin(), listed.end());
  const std::set<std::string> known = live;
  // A list that has lost its end must not cost the files: what of them is in others too is merged by time.
  if (!meta_whole_)
    for (const std::string& name : names_) {
      if (!name.ends_with(".sst") || series::is_tier_name(name) || known.contains(name)) continue;
      // What a listed one was made of: it has what was deleted since.
      const auto later = [&](const std::string& k) { return is_rewritten(name, k); };
      if (std::ranges::none_of(known, later)) live.insert(name);
    }
  PLUMBLINE_CHECK_OK(tree_.make(staging("segments")));
  PLUMBLINE_TRY(const auto fresh, kv::TableFiles::open({.directory = staging("segments"), .file_system = file_system_}));
  for (const std::string& name : live) PLUMBLINE_CHECK_OK(segment(*old, *fresh, name, known.contains(name)));
  return tiers(*old, *fresh);
}

// Folders that are not mounted, or are somebody else's, look like this. To go on would take every file off the list, and the next
// start would remove the files, when they are there again.
Status Salvager::refuse_absent_segments() {
  PLUMBLINE_TRY(const auto listed, series::live_tables(*kv_));
  const bool had_some = !listed.empty() || (!meta_whole_ && (positions_.sealed > 0 || positions_.trimmed > 0));
  if (!had_some || std::ranges::any_of(names_, [](const std::string& n) { return n.ends_with(".sst"); })) return {};
  if (std::ranges::binary_search(names_, all_lost)) {
    lose("segments", "", "all its files: " + all_lost + " says that they are lost for good; how many samples they had is not known");
    moved_.push_back("segments/" + all_lost);  // it is true once
    return {};
  }
  return fail(Code::io, path("segments") + " has none of its files" +
                            (listed.empty() ? std::string() : ", and the list names " + std::to_string(listed.size())) +
                            ": mount it or restore it from a backup; if they are lost for good, put an empty file " + all_lost + " into it");
}

// Damage is what a file's bytes say. That they cannot be asked for may pass.
Status Salvager::readable(const std::string& file, const Error& error) {
  if (error.code == Code::unsupported) return fail(error);
  if (error.code == Code::io)
    return fail(Code::io, error.message + ": mend the disk or the permissions, or copy the directory to a sound disk; to do without " + file +
                              ", move it out of the directory");
  return {};
}

Status Salvager::segment(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, bool known) {
  const bool there = std::ranges::binary_search(names_, name);
  const std::string file = "segments/" + name;
  const std::string key = series::segment_key(name);
  const auto opened = there ? series::Segment::open(old, name) : Result<std::shared_ptr<const series::Segment>>(fail(Code::corrupt, "it is missing"));
  if (!opened) {
    PLUMBLINE_CHECK_OK(readable(file, opened.error()));
    cut_days_.insert(name.substr(0, 8));
    const std::uint64_t samples = there ? series::count_samples(path(file), file_system_) : 0;
    lose(file, "", "nothing of it is kept: " + opened.error().message +
                       (samples > 0 ? "; at least " + std::to_string(samples) + " samples are lost" : "; how many samples it had is not known"));
    if (there) moved_.push_back(file);
    return known ? remove(kv::Family::meta, key) : Status{};
  }
  const series::Segment& segment = **opened;
  saw(segment.info());
  const std::string day = series::segment_name(segment.day(), 0).substr(0, 8);
  if (!known) take(file, "no list names it, and the list may have lost it: what was deleted of it may be back");
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, key));
  const bool rightly_listed = stored && series::segment_day(name, *stored).value_or(segment.day() + 1) == segment.day();
  const bool all_known = std::all_of(segment.ids().begin(), segment.ids().end(), [&](std::uint32_t id) { return index_.contains(id); });
  if (all_known && segment.verify().empty()) {
    whole_days_.insert(day);
    return rightly_listed ? Status{} : put(kv::Family::meta, key, series::segment_value(segment.day()));
  }
  std::uint32_t generation = 0;
  PLUMBLINE_CHECK_OK(unused_segment_name(segment.day(), segment.seal(), generation));
  PLUMBLINE_TRY(const auto out, series::SegmentWriter::create(fresh, segment.day(), segment.seal(), generation));
  PLUMBLINE_TRY(const auto rest, series::salvage_segment(segment, [&](std::uint32_t id) { return index_.contains(id); }, *out));
  for (const std::string& line : rest.lost) lose(file, "", line);
  PLUMBLINE_TRY(const auto info, out->finish());
  (segment.info().samples > rest.samples ? cut_days_ : whole_days_).insert(day);
  if (segment.info().samples > rest.samples)
    lose(file, "", std::to_string(segment.info().samples - rest.samples) + " of its " + std::to_string(segment.info().samples) + " samples are lost");
  moved_.push_back(file);
  if (stored) PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
  if (info.series == 0) return fresh.remove(info.name);
  return put(kv::Family::meta, series::segment_key(info.name), series::segment_value(info.day));
}

void Salvager::saw(const series::SegmentInfo& info) {
  bounds_.min = std::min(bounds_.min, info.min_t);
  bounds_.max = std::max(bounds_.max, info.max_t);
  positions_.sealed = std::max(positions_.sealed, info.seal);
}

Result<std::string> Salvager::unused_segment_name(std::uint32_t day, std::uint64_t seal, std::uint32_t& generation) {
  std::string stem = series::segment_name(day, seal);
  stem.resize(stem.rfind('.'));
  std::uint32_t last = 0;
  for (const std::string& name : names_)
    if (name.starts_with(stem)) last = std::max(last, series::segment_generation(name));
  if (last == std::numeric_limits<std::uint32_t>::max())
    return fail(Code::corrupt, "segments/" + stem + "-ffffffff.sst is the last name: move it out of the directory");
  generation = last + 1;
  return use(series::segment_name(day, seal, generation));
}

std::string Salvager::use(std::string name) {
  names_.insert(std::ranges::upper_bound(names_, name), name);
  return name;
}

}  // namespace plumbline::storage
