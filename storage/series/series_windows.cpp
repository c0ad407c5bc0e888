// Aggregates over windows: from chunk summaries where a chunk lies inside a window, from samples at the edges and wherever
// pieces overlap (late data, rewrites). A month of a series is some hundred summaries instead of 170,000 samples.
#include <algorithm>

#include "storage/series/merge.hpp"
#include "storage/series/series_engine.hpp"
#include "storage/series/window_stats.hpp"

namespace plumbline::storage::series {

namespace {

// A month of one series is some 400 pieces of 200 bytes: what is gathered at a time stays near the caches.
constexpr std::size_t series_at_once = 128;

// A stretch of one series. Until its samples are asked for, a chunk's summary speaks for it.
struct Piece {
  std::int64_t min_t = 0;
  std::int64_t max_t = 0;
  std::uint64_t order = 0;
  ChunkInfo chunk;
  std::size_t segment = 0;
  bool by_samples = false;
  std::vector<Sample> samples;
  bool bucket = false;  // of a tier: it lies where it ends, and no other piece has samples of its time
};

using Pieces = std::vector<Piece>;

bool cut_by(const Piece& piece, std::span<const TimeRange> windows) {
  for (const TimeRange& w : windows) {
    if (w.min > piece.max_t) break;  // windows ascend
    if (!w.overlaps(piece.min_t, piece.max_t)) continue;
    if (!w.contains(piece.min_t) || !w.contains(piece.max_t)) return true;
  }
  return false;
}

void mark(Pieces& pieces, std::span<const TimeRange> windows) {
  if (!std::ranges::is_sorted(pieces, {}, &Piece::min_t)) std::ranges::stable_sort(pieces, {}, &Piece::min_t);
  std::int64_t reached = std::numeric_limits<std::int64_t>::min();
  std::size_t furthest = 0;  // once a piece has reached somewhere
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Piece& p = pieces[i];
    if (p.bucket) continue;
    p.by_samples = p.by_samples || WindowStats::needs_samples(p.chunk) || cut_by(p, windows);
    if (p.min_t <= reached) p.by_samples = pieces[furthest].by_samples = true;
    if (p.max_t > reached) {
      reached = p.max_t;
      furthest = i;
    }
  }
}

// Overlapping pieces become one of samples.
void join_overlaps(Pieces& pieces) {
  Pieces out;
  out.reserve(pieces.size());
  Gather gather;
  for (std::size_t i = 0; i < pieces.size();) {
    std::size_t end = i + 1;
    std::int64_t reached = pieces[i].max_t;
    for (; !pieces[i].bucket && end < pieces.size() && pieces[end].min_t <= reached; ++end) reached = std::max(reached, pieces[end].max_t);
    if (end == i + 1) {
      out.push_back(std::move(pieces[i]));
    } else {
      gather.clear();
      Piece joined;
      joined.min_t = pieces[i].min_t;
      joined.max_t = reached;
      joined.by_samples = true;
      for (std::size_t k = i; k < end; ++k) {
        gather.buffer().insert(gather.buffer().end(), pieces[k].samples.begin(), pieces[k].samples.end());
        gather.commit(pieces[k].order);
      }
      gather.end();
      const auto merged = gather.samples();
      joined.samples.assign(merged.begin(), merged.end());
      out.push_back(std::move(joined));
    }
    i = end;
  }
  pieces = std::move(out);
}

// What came while the samples of its day went.
void drop_covered(std::vector<Sample>& samples, const Tiers& tiers) {
  std::erase_if(samples, [&](const Sample& s) {
    return std::ranges::any_of(tiers, [&](const auto& tier) { return tier->entry.day == day_of(s.t); });
  });
}

model::WindowSummary summarize(const Pieces& pieces, TimeRange window) {
  WindowStats stats;
  auto at = std::lower_bound(pieces.begin(), pieces.end(), window.min, [](const Piece& p, std::int64_t t) { return p.max_t < t; });
  for (; at != pieces.end() && at->min_t <= window.max; ++at) {
    if (!at->by_samples) {
      stats.add_summary(at->chunk);
      continue;
    }
    const auto from = std::ranges::lower_bound(at->samples, window.min, {}, &Sample::t);
    const auto to = std::ranges::upper_bound(at->samples, window.max, {}, &Sample::t);
    if (from < to) stats.add_samples({from, to});
  }
  model::WindowSummary out;
  out.count = stats.count();
  if (out.count == 0) return out;
  out.first_t = stats.first_t();
  out.last_t = stats.last_t();
  out.first = stats.first();
  out.last = stats.last();
  out.min = stats.min();
  out.max = stats.max();
  out.sum = stats.sum();
  out.reset_correction = stats.reset_correction();
  return out;
}

}  // namespace

Result<bool> SeriesEngine::windows(const SeriesQuery& query, std::span<const TimeRange> windows,
                                   const WindowVisitor& visit) const {
  if (windows.empty()) return true;
  TimeRange hull = windows.front();
  for (const TimeRange& w : windows) hull = {std::min(hull.min, w.min), std::max(hull.max, w.max)};
  const Heads heads = this->heads();
  PLUMBLINE_TRY(const Sources sources, this->sources(query, windows, hull, heads));
  const Segments& segments = sources.segments;
  const Roaring ids = index_.resolve(query.matchers);
  for (const auto* list : {&segments, &sources.covered})
    for (const auto& segment : *list)
      if (ids.intersect(segment->histogram_ids())) return false;
  const std::vector<SeriesRef> wanted = index_.refs(ids);
  std::vector<HistogramSample> histograms;
  std::vector<Pieces> pieces(std::min(series_at_once, wanted.size()));
  std::vector<model::WindowSummary> answers(windows.size());
  std::uint64_t series_read = 0;
  for (std::size_t from = 0; from < wanted.size(); from += series_at_once) {
    const auto batch = std::span(wanted).subspan(from, std::min(series_at_once, wanted.size() - from));
    const auto of_ref = [&](SeriesRef ref) -> Pieces& {
      return pieces[static_cast<std::size_t>(std::lower_bound(batch.begin(), batch.end(), ref) - batch.begin())];
    };
    const auto of = [&](const ChunkInfo& chunk) -> Pieces& { return of_ref({chunk.vshard, chunk.id}); };
    for (Pieces& p : pieces) p.clear();  // keeps the room that the batch before needed
    // First: at midnight a day's last bucket and the next day's first meet, and samples of that day come after both.
    for (const auto& tier : sources.tiers)
      PLUMBLINE_CHECK_OK(tier->file->read(batch, [&](const TierSeries& s) -> Status {
        for (const TierBucket& b : s.buckets)
          if (hull.contains(b.end)) {
            const ChunkInfo chunk{s.series.id, s.series.vshard, ChunkKind::float64, b.summary.count, b.first_t, b.last_t, b.summary};
            of_ref(s.series).push_back({b.end, b.end, 0, chunk, segments.size(), false, {}, true});
          }
        return {};
      }));
    for (std::size_t s = 0; s < segments.size(); ++s)
      PLUMBLINE_CHECK_OK(segments[s]->read_summaries(batch, hull, [&](const ChunkInfo& chunk) -> Status {
        of(chunk).push_back({chunk.min_t, chunk.max_t, segments[s]->seal(), chunk, s, false, {}});
        return {};
      }));
    for (std::size_t i = 0; i < batch.size(); ++i)
      for (const auto& head : heads) {
        Piece piece;
        if (!head->read(batch[i].id, hull, piece.samples, histograms)) continue;
        if (!histograms.empty()) return false;
        if (!sources.tiers.empty()) drop_covered(piece.samples, sources.tiers);
        if (piece.samples.empty()) continue;
        piece.min_t = piece.samples.front().t;
        piece.max_t = piece.samples.back().t;
        piece.order = head->seal_number();
        piece.segment = segments.size();
        piece.by_samples = true;
        pieces[i].push_back(std::move(piece));
      }
    std::vector<std::vector<SeriesRef>> to_decode(segments.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      mark(pieces[i], windows);
      for (const Piece& p : pieces[i])
        if (p.by_samples && p.segment < segments.size() &&
            (to_decode[p.segment].empty() || to_decode[p.segment].back() != batch[i]))
          to_decode[p.segment].push_back(batch[i]);
    }
    for (std::size_t s = 0; s < segments.size(); ++s) {
      if (to_decode[s].empty()) continue;
      PLUMBLINE_CHECK_OK(segments[s]->read(to_decode[s], hull, [&](const SegmentChunk& chunk) -> Status {
        for (Piece& p : of(chunk.info()))
          if (p.segment == s && p.by_samples && p.min_t == chunk.info().min_t) return chunk.samples({}, p.samples);
        return {};
      }));
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (pieces[i].empty()) continue;
      join_overlaps(pieces[i]);
      bool any = false;
      for (std::size_t w = 0; w < windows.size(); ++w) {
        answers[w] = summarize(pieces[i], windows[w]);
        any |= answers[w].count > 0;
      }
      if (!any) continue;
      if (++series_read > query.series_max)
        return fail(Code::over_limit, "the query reads more than " + std::to_string(query.series_max) +
                                          " series (series_max): narrow its selector");
      if (!visit(index_.labels(batch[i].id), answers)) return true;
    }
  }
  return true;
}

}  // namespace plumbline::storage::series
