#include <algorithm>
#include <map>
#include <unordered_map>

#include "daemon/base/check.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/merge.hpp"
#include "storage/series/segment_writer.hpp"

namespace plumbline::storage::series {

namespace {

// What one pass holds decoded: 16 MiB of samples, or one series if it alone is larger.
constexpr std::uint64_t slice_samples_max = 1u << 20;
constexpr std::size_t slice_series_max = 2048;
constexpr std::uint64_t histogram_worth = 40;  // float samples that take the memory of a histogram of some 50 buckets

// One order that keeps the label order of every input: a series that the first inputs do not have goes behind the one it
// follows in its own.
std::vector<SeriesRef> common_order(const std::vector<std::vector<SeriesRef>>& orders) {
  std::vector<SeriesRef> out;
  for (const auto& order : orders) {
    std::unordered_map<std::uint32_t, std::size_t> place;
    for (std::size_t i = 0; i < out.size(); ++i) place.emplace(out[i].id, i);
    std::vector<std::vector<SeriesRef>> behind(out.size() + 1);  // [0]: before all
    std::size_t at = 0;
    for (const SeriesRef& s : order) {
      const auto known = place.find(s.id);
      if (known != place.end())
        at = std::max(at, known->second + 1);
      else
        behind[at].push_back(s);
    }
    std::vector<SeriesRef> next;
    for (std::size_t i = 0; i <= out.size(); ++i) {
      if (i > 0) next.push_back(out[i - 1]);
      next.insert(next.end(), behind[i].begin(), behind[i].end());
    }
    out = std::move(next);
  }
  return out;
}

class Merge {
 public:
  Merge(std::vector<const Segment*> inputs, SegmentWriter& out, const DroppedRanges& dropped)
      : inputs_(std::move(inputs)), out_(out), dropped_(dropped) {}

  Status vshard(std::uint16_t v) {
    std::vector<std::vector<SeriesRef>> orders;
    // How much each series holds, to cut slices by; of histograms, what they have on average.
    std::unordered_map<std::uint32_t, std::uint64_t> sizes;
    for (const Segment* input : inputs_) {
      PLUMBLINE_TRY(std::vector<SeriesRef> order, input->order(v, v));
      orders.push_back(std::move(order));
      PLUMBLINE_TRY(std::vector<SeriesRef> of_histograms, input->histogram_order(v, v));
      if (of_histograms.empty()) continue;
      const std::uint64_t samples = input->info().histograms / input->histogram_ids().cardinality() + 1;
      for (const SeriesRef& ref : of_histograms) sizes[ref.id] += samples * histogram_worth;
      orders.push_back(std::move(of_histograms));
    }
    const std::vector<SeriesRef> order = common_order(orders);
    std::vector<SeriesRef> sorted = order;
    std::ranges::sort(sorted);
    for (const Segment* input : inputs_)
      PLUMBLINE_CHECK_OK(input->read_summaries(sorted, {}, [&](const ChunkInfo& chunk) -> Status {
        sizes[chunk.id] += chunk.count;
        return {};
      }));
    for (std::size_t from = 0; from < order.size();) {
      std::size_t to = from;
      for (std::uint64_t samples = 0; to < order.size() && to - from < slice_series_max; ++to) {
        samples += sizes[order[to].id];
        if (to > from && samples > slice_samples_max) break;
      }
      PLUMBLINE_CHECK_OK(slice(std::span(order).subspan(from, to - from)));
      from = to;
    }
    return {};
  }

 private:
  Status slice(std::span<const SeriesRef> order) {
    std::vector<SeriesRef> sorted(order.begin(), order.end());
    std::ranges::sort(sorted);
    std::vector<Gather> gathers(sorted.size());
    const auto gather_of = [&](SeriesRef ref) -> Gather& {
      return gathers[static_cast<std::size_t>(std::ranges::lower_bound(sorted, ref) - sorted.begin())];
    };
    for (std::size_t i = 0; i < inputs_.size(); ++i) {  // earlier seals first
      const auto add_floats = [&](const SegmentChunk& chunk) -> Status {
        Gather& gather = gather_of({chunk.info().vshard, chunk.info().id});
        PLUMBLINE_CHECK_OK(chunk.samples({}, gather.buffer()));
        gather.commit(i);
        return {};
      };
      const auto add_histograms = [&](SeriesRef ref, std::vector<model::HistogramSample>&& more) -> Status {
        Gather& gather = gather_of(ref);
        std::ranges::move(more, std::back_inserter(gather.histogram_buffer()));
        gather.commit(i);
        return {};
      };
      PLUMBLINE_CHECK_OK(inputs_[i]->read(sorted, {}, add_floats, true));
      PLUMBLINE_CHECK_OK(inputs_[i]->read_histograms(sorted, {}, add_histograms));
    }
    for (const SeriesRef& s : order) {
      Gather& gather = gather_of(s);
      gather.end();
      if (dropped_)
        for (const model::TimeRange& range : dropped_(s)) {
          std::erase_if(gather.buffer(), [&](const model::Sample& sample) { return range.contains(sample.t); });
          std::erase_if(gather.histogram_buffer(), [&](const model::HistogramSample& sample) { return range.contains(sample.t); });
        }
      if (!gather.samples().empty()) PLUMBLINE_CHECK_OK(out_.add(s, gather.samples()));
      if (!gather.histograms().empty()) PLUMBLINE_CHECK_OK(out_.add_histograms(s, gather.histograms()));
    }
    return {};
  }

  const std::vector<const Segment*> inputs_;
  SegmentWriter& out_;
  const DroppedRanges& dropped_;
};

}  // namespace

Status merge_segments(std::span<const Segment* const> inputs, SegmentWriter& out, const DroppedRanges& dropped) {
  std::vector<const Segment*> sorted(inputs.begin(), inputs.end());
  std::ranges::sort(sorted, {}, [](const Segment* s) { return s->seal(); });
  for (const Segment* s : sorted) PLUMBLINE_CHECK(s->day() == sorted.front()->day(), "segments of one day are merged");
  Merge merge(std::move(sorted), out, dropped);
  for (std::uint16_t v = 0; v < kv::vshards; ++v) PLUMBLINE_CHECK_OK(merge.vshard(v));
  return {};
}

}  // namespace plumbline::storage::series
