#include "storage/series/segment_salvage.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "storage/kv/kv.hpp"
#include "storage/kv/table_salvage.hpp"
#include "storage/series/segment_file.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::size_t lines_max = 1000;

class Salvage {
 public:
  Salvage(const SegmentFile& file, const std::function<bool(std::uint32_t)>& known, SegmentWriter& out)
      : file_(file), known_(known), out_(out), walk_(file) {}

  Result<SegmentRest> run() {
    for (std::uint32_t v = 0; v < kv::vshards; ++v) PLUMBLINE_CHECK_OK(vshard(static_cast<std::uint16_t>(v)));
    if (!unknown_.empty())
      tell("series " + std::to_string(*unknown_.begin()) +
           (unknown_.size() > 1 ? " and " + std::to_string(unknown_.size() - 1) + " more: their labels are" : ": its labels are") +
           " lost, and so are " + std::to_string(unknown_samples_) + " samples");
    return std::move(rest_);
  }

 private:
  struct Gathered {
    std::vector<model::Sample> samples;
    std::vector<model::HistogramSample> histograms;
  };

  // A damaged record concerns several vshards, and is told once.
  void tell(const std::string& line) {
    if (told_.insert(line).second && rest_.lost.size() < lines_max) rest_.lost.push_back(line);
  }

  Status vshard(std::uint16_t v) {
    order_.clear();
    gathered_.clear();
    const SegmentIndex& index = file_.index();
    for (std::size_t g = 0; g < index.groups.size(); ++g)
      if (index.groups[g].first <= v && v <= index.groups[g].last) group(g, v);
    for (std::size_t p = 0; p < index.histograms.size(); ++p)
      if (index.histograms[p].first <= v && v <= index.histograms[p].last) histograms(p, v);
    for (const SeriesRef ref : order_) {
      if (written_.addChecked(ref.id)) PLUMBLINE_CHECK_OK(write(ref, gathered_[ref.id]));
      else tell("series " + std::to_string(ref.id) + " stands in two vshards: what the second has is lost");
    }
    return {};
  }

  Gathered& gather(SeriesRef ref) {
    const auto [found, fresh] = gathered_.try_emplace(ref.id);
    if (fresh) order_.push_back(ref);
    return found->second;
  }

  bool wanted(SeriesRef ref, std::uint64_t samples) {
    if (known_(ref.id)) return true;
    unknown_.insert(ref.id);
    unknown_samples_ += samples;
    return false;
  }

  void group(std::size_t g, std::uint16_t v) {
    const std::string count = std::to_string(file_.index().groups[g].first) + " to " + std::to_string(file_.index().groups[g].last);
    auto decoder = walk_.directory(g);
    if (!decoder) return tell(decoder.error().message + ": all its series are lost, of vshards " + count);
    const auto directory = walk_.finish(g, std::move(*decoder));
    if (!directory) return tell(directory.error().message + ": all its series are lost, of vshards " + count);
    if (const Status payload = walk_.open_payload(g, directory->summaries.size()); !payload) {
      std::uint64_t samples = 0;
      for (std::size_t c = 0; c < directory->times_of.size(); ++c) samples += directory->times[directory->times_of[c]].count;
      return tell(payload.error().message + ": " + std::to_string(samples) + " samples of " + std::to_string(directory->series.size()) + " series are lost");
    }
    for (std::size_t s = 0; s < directory->series.size(); ++s)
      if (directory->series[s].vshard == v)
        for (std::size_t c = directory->first_chunk[s]; c < directory->first_chunk[s + 1]; ++c) chunk(g, *directory, s, c);
  }

  void chunk(std::size_t g, const Directory& directory, std::size_t s, std::size_t c) {
    const ChunkInfo info = directory.chunk(s, c);
    const SeriesRef ref = directory.series[s];
    if (!wanted(ref, info.count)) return;
    const auto lost = [&](const Error& error) {
      tell(error.message + ": " + std::to_string(info.count) + " samples of series " + std::to_string(ref.id) + " from " + std::to_string(info.min_t) +
           " to " + std::to_string(info.max_t) + " are lost");
    };
    const auto times = walk_.times(directory.times[directory.times_of[c]]);
    if (!times) return lost(times.error());
    const auto values = walk_.values(g, c, directory.summaries.size(), info.count);
    if (!values) return lost(values.error());
    auto& samples = gather(ref).samples;
    for (std::size_t i = 0; i < (*times)->size(); ++i) samples.push_back({(**times)[i], (*values)[i]});
  }

  void histograms(std::size_t p, std::uint16_t v) {
    const auto record = walk_.histograms(p);
    if (!record) return tell(record.error().message + ": its histograms are lost");
    for (const HistogramRecord::Block& block : record->blocks()) {
      if (block.series.vshard != v || !wanted(block.series, block.count)) continue;
      std::vector<model::HistogramSample> samples;
      Status read = record->read(block, samples);
      for (std::size_t i = 0; read && i < samples.size(); ++i) read = model::check_histogram(samples[i].h);
      if (!read) {
        tell("histograms record " + std::to_string(file_.index().histograms[p].number) + ": " + read.error().message + ": " +
             std::to_string(block.count) + " histograms of series " + std::to_string(block.series.id) + " are lost");
        continue;
      }
      std::ranges::move(samples, std::back_inserter(gather(block.series).histograms));
    }
  }

  // What contradicts itself in a damaged file must not stop the writer: times ascend, lie in the day and are of one kind.
  Status write(SeriesRef ref, Gathered& g) {
    const auto tidy = [&](auto& samples) {
      const std::size_t before = samples.size();
      std::erase_if(samples, [&](const auto& s) { return s.t < file_.day_start() || s.t >= file_.day_start() + day_ms; });
      std::ranges::stable_sort(samples, {}, [](const auto& s) { return s.t; });
      const auto twice = std::ranges::unique(samples, {}, [](const auto& s) { return s.t; });
      samples.erase(twice.begin(), twice.end());
      if (samples.size() < before)
        tell("series " + std::to_string(ref.id) + ": " + std::to_string(before - samples.size()) + " samples of another day or of one time");
    };
    tidy(g.samples);
    tidy(g.histograms);
    std::erase_if(g.histograms, [&](const model::HistogramSample& h) {
      return std::ranges::binary_search(g.samples, h.t, {}, [](const model::Sample& s) { return s.t; });
    });
    if (!g.samples.empty()) PLUMBLINE_CHECK_OK(out_.add(ref, g.samples));
    if (!g.histograms.empty()) PLUMBLINE_CHECK_OK(out_.add_histograms(ref, g.histograms));
    rest_.samples += g.samples.size() + g.histograms.size();
    return {};
  }

  const SegmentFile& file_;
  const std::function<bool(std::uint32_t)>& known_;
  SegmentWriter& out_;
  SegmentWalk walk_;
  SegmentRest rest_;
  std::set<std::string> told_;
  std::set<std::uint32_t> unknown_;
  std::uint64_t unknown_samples_ = 0;
  Roaring written_;
  std::vector<SeriesRef> order_;  // of the vshard, as it was stored
  std::unordered_map<std::uint32_t, Gathered> gathered_;
};

}  // namespace

Result<SegmentRest> salvage_segment(const Segment& segment, const std::function<bool(std::uint32_t id)>& known, SegmentWriter& out) {
  return Salvage(static_cast<const SegmentFile&>(segment), known, out).run();  // there is no other kind
}

std::uint64_t count_samples(const std::string& path, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  std::uint64_t out = 0;
  const auto count = [&](std::string_view, std::string_view, std::string_view value) -> Status {
    if (const auto body = unframe_record(Record::directory, value)) {
      auto decoder = DirectoryDecoder::open(*body);
      if (!decoder) return {};
      const auto directory = std::move(*decoder).finish(0);  // the counts are the same of every day
      if (!directory) return {};
      for (const std::uint32_t times : directory->times_of) out += directory->times[times].count;
    } else if (const auto histograms = unframe_record(Record::histograms, value)) {
      const auto record = HistogramRecord::open(*histograms, 0);
      if (!record) return {};
      for (const HistogramRecord::Block& block : record->blocks()) out += block.count;
    }
    return {};
  };
  (void)kv::salvage_table(path, file_system, count);  // where it ends early, that is what can be counted
  return out;
}

}  // namespace plumbline::storage::series
