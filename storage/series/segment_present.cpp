// Which series of a segment have a sample in a range.
#include <algorithm>
#include <optional>

#include "storage/series/segment_file.hpp"

namespace plumbline::storage::series {

Result<Roaring> SegmentFile::present(std::span<const SeriesRef> wanted, model::TimeRange range,
                                     const std::function<Status()>& go_on) const {
  Roaring out;
  if (wanted.empty() || !range.overlaps(info().min_t, info().max_t)) return out;
  SegmentWalk walk(*this, caches_);
  const auto ends_inside = [&](const auto& times) { return range.contains(times.min_t) || range.contains(times.max_t); };

  std::vector<std::size_t> found;                // in the directory
  std::vector<std::optional<bool>> column_inside;  // per time column of the group, once it was looked at
  for (std::size_t g = 0; g < index_.groups.size(); ++g) {
    const auto of_group = of_vshards(wanted, index_.groups[g].first, index_.groups[g].last);
    if (std::ranges::none_of(of_group, [this](const SeriesRef& s) { return index_.ids.contains(s.id); })) continue;
    if (go_on) PLUMBLINE_CHECK_OK(go_on());
    PLUMBLINE_TRY(const std::shared_ptr<const Directory> directory, walk.directory_with(g, [&](const std::vector<SeriesRef>& series) {
      found.clear();
      for (std::size_t i = 0; i < series.size(); ++i)
        if (std::ranges::binary_search(of_group, series[i])) found.push_back(i);
      return !found.empty();
    }));
    if (!directory) continue;
    column_inside.assign(directory->times.size(), std::nullopt);
    const auto has_time_inside = [&](std::size_t column) -> Result<bool> {
      const GroupTimes& times = directory->times[column];
      if (!range.overlaps(times.min_t, times.max_t)) return false;
      if (ends_inside(times)) return true;
      PLUMBLINE_TRY(const SharedTimes all, walk.times(times));
      const auto first = std::ranges::lower_bound(*all, range.min);
      return first != all->end() && *first <= range.max;
    };
    for (const std::size_t s : found)
      for (std::size_t c = directory->first_chunk[s]; c < directory->first_chunk[s + 1]; ++c) {
        std::optional<bool>& inside = column_inside[directory->times_of[c]];
        if (!inside) {
          PLUMBLINE_TRY(inside, has_time_inside(directory->times_of[c]));
        }
        if (!*inside) continue;
        out.add(directory->series[s].id);
        break;
      }
  }

  for (std::size_t p = 0; p < index_.histograms.size(); ++p) {
    const HistogramsPlace& place = index_.histograms[p];
    const auto of_record = of_vshards(wanted, place.first, place.last);
    const auto open = [&](const SeriesRef& s) { return index_.histogram_ids.contains(s.id) && !out.contains(s.id); };
    if (std::ranges::none_of(of_record, open)) continue;
    if (go_on) PLUMBLINE_CHECK_OK(go_on());
    PLUMBLINE_TRY(const HistogramRecord record, walk.histograms(p));
    std::vector<model::HistogramSample> samples;
    for (const HistogramRecord::Block& block : record.blocks()) {
      if (!range.overlaps(block.min_t, block.max_t) || !std::ranges::binary_search(of_record, block.series) || !open(block.series)) continue;
      bool inside = ends_inside(block);
      if (!inside) {
        samples.clear();
        if (const Status read = record.read(block, samples); !read)
          return fail(walk.at(Record::histograms, place.number, read.error()));
        inside = std::ranges::any_of(samples, [&](const model::HistogramSample& s) { return range.contains(s.t); });
      }
      if (inside) out.add(block.series.id);
    }
  }
  return out;
}

}  // namespace plumbline::storage::series
