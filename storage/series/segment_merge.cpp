#include <algorithm>
#include <map>
#include <unordered_map>

#include "daemon/base/check.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/segment_writer.hpp"

namespace plumbline::storage::series {

namespace {

using Samples = std::vector<model::Sample>;

// What one pass holds decoded: 16 MiB of samples, or one series if it alone is larger.
constexpr std::uint64_t slice_samples_max = 1u << 20;
constexpr std::size_t slice_series_max = 2048;

// `later` wins. Both ascend.
Samples merged(const Samples& earlier, const Samples& later) {
  if (earlier.empty() || later.empty()) return earlier.empty() ? later : earlier;
  Samples out;
  out.reserve(earlier.size() + later.size());
  auto a = earlier.begin();
  for (const model::Sample& s : later) {
    while (a != earlier.end() && a->t < s.t) out.push_back(*a++);
    if (a != earlier.end() && a->t == s.t) ++a;
    out.push_back(s);
  }
  out.insert(out.end(), a, earlier.end());
  return out;
}

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
    for (const Segment* input : inputs_) {
      PLUMBLINE_TRY(std::vector<SeriesRef> order, input->order(v, v));
      orders.push_back(std::move(order));
    }
    const std::vector<SeriesRef> order = common_order(orders);
    // How much each series holds, to cut slices by.
    std::vector<SeriesRef> sorted = order;
    std::ranges::sort(sorted);
    std::unordered_map<std::uint32_t, std::uint64_t> sizes;
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
    std::unordered_map<std::uint32_t, Samples> samples;
    for (const Segment* input : inputs_) {  // earlier seals first
      std::unordered_map<std::uint32_t, Samples> more;
      PLUMBLINE_CHECK_OK(input->read(sorted, {}, [&](const SegmentChunk& chunk) {
        return chunk.samples({}, more[chunk.info().id]);
      }));
      for (auto& [id, later] : more) {
        Samples& earlier = samples[id];
        earlier = merged(earlier, later);
      }
    }
    for (const SeriesRef& s : order) {
      Samples& kept = samples[s.id];
      if (dropped_)
        for (const model::TimeRange& range : dropped_(s))
          std::erase_if(kept, [&](const model::Sample& sample) { return range.contains(sample.t); });
      if (!kept.empty()) PLUMBLINE_CHECK_OK(out_.add(s, kept));
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
