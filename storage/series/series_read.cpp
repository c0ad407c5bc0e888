// The read side of the metric engine: which series have samples in a range, and what the samples are.
#include <algorithm>
#include <map>

#include "storage/series/chunk.hpp"
#include "storage/series/series_engine.hpp"

namespace plumbline::storage::series {

namespace {

// What one place (a seal, a head) knows about a series; higher `order` is the later write.
struct Run {
  std::uint64_t order = 0;
  std::vector<Sample> samples;  // sorted, one per timestamp
};

// Usually the runs follow each other in time; only late data overlaps and costs a sort.
void merge_runs(std::vector<Run>& runs, std::vector<Sample>& out) {
  out.clear();
  std::erase_if(runs, [](const Run& r) { return r.samples.empty(); });
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return std::pair(a.samples.front().t, a.order) < std::pair(b.samples.front().t, b.order);
  });
  bool apart = true;
  for (std::size_t i = 1; i < runs.size(); ++i)
    if (runs[i].samples.front().t <= runs[i - 1].samples.back().t) apart = false;
  if (!apart)
    std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.order < b.order; });
  for (const Run& r : runs) out.insert(out.end(), r.samples.begin(), r.samples.end());
  if (!apart) sort_and_keep_last(out);
}

struct SealedChunk {
  std::uint64_t seal = 0;
  std::string value;
};

// Walks the chunks of ascending series ids on one (vshard, day). Neighbours are reached by next(): for a selector that
// matches most series that is one scan, for a few series it is a seek each.
class ChunkWalk {
 public:
  explicit ChunkWalk(kv::Cursor& cursor) : cursor_(cursor) {}

  // visit(key, header, value); false ends this series.
  template <class Visit>
  Status each(std::uint16_t vshard, std::uint32_t day, std::uint32_t id, const Visit& visit) {
    const std::string from = chunk_key_from(vshard, day, id);
    bool near = placed_ && cursor_.valid() && cursor_.key() <= from;
    for (int steps = 0; near && cursor_.valid() && cursor_.key() < from; ++steps) {
      near = steps < 16;  // about what a seek costs
      if (near) cursor_.next();
    }
    // Past the key (a gap, or another day) or far from it: look it up. A valid cursor just past `from` is the answer itself.
    if (!near || !cursor_.valid()) cursor_.seek(from);
    placed_ = true;
    for (; cursor_.valid() && cursor_.key().starts_with(from); cursor_.next()) {
      PLUMBLINE_TRY(const ChunkKey key, parse_chunk_key(cursor_.key()));
      auto header = read_chunk_header(cursor_.value());
      if (!header) return fail(header.error().in("chunk of series " + std::to_string(id)));
      if (header->series != id || header->min_t != key.min_t)
        return fail(Code::corrupt, "chunk of series " + std::to_string(id) + " holds series " +
                                       std::to_string(header->series) + ": it is not the one its key names");
      if (!visit(key, *header, cursor_.value())) break;
    }
    return cursor_.status();
  }

 private:
  kv::Cursor& cursor_;
  bool placed_ = false;
};

// Entries of one vshard, ascending by id.
std::map<std::uint16_t, std::vector<EntryPtr>> by_vshard(std::vector<EntryPtr> entries) {
  std::map<std::uint16_t, std::vector<EntryPtr>> out;
  for (EntryPtr& e : entries) out[e->vshard].push_back(std::move(e));
  return out;
}

}  // namespace

Status SeriesEngine::select(const SeriesQuery& query, const SeriesVisitor& visit) const {
  if (query.range.max < query.range.min) return {};
  const Heads heads = this->heads();  // first: see the header
  const std::vector<DayIds> days = days_.touching(query.range);
  const auto cursor = days.empty() ? nullptr : kv_.cursor(kv::Family::chunks);
  const auto groups = by_vshard(index_.entries(index_.resolve(query.matchers)));
  std::uint64_t samples_read = 0;
  std::uint64_t series_read = 0;
  std::vector<Sample> merged;
  for (const auto& [vshard, entries] : groups) {
    std::vector<std::vector<SealedChunk>> sealed(entries.size());
    if (cursor) {
      ChunkWalk walk(*cursor);
      for (const DayIds& day : days)
        for (std::size_t i = 0; i < entries.size(); ++i) {
          if (!day.ids->contains(entries[i]->id)) continue;
          PLUMBLINE_CHECK_OK(walk.each(vshard, day.day, entries[i]->id,
                                       [&](const ChunkKey& key, const ChunkHeader& header, std::string_view value) {
                                         if (header.min_t > query.range.max) return false;
                                         if (header.max_t >= query.range.min)
                                           sealed[i].push_back({key.seal, std::string(value)});
                                         return true;
                                       }));
        }
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      std::vector<Run> runs;
      for (const SealedChunk& chunk : sealed[i]) {
        Run& run = runs.emplace_back();
        run.order = chunk.seal;
        if (auto status = decode_chunk(chunk.value, query.range, run.samples); !status)
          return fail(status.error().in(entries[i]->labels.str()));
      }
      sealed[i] = {};  // the compressed bytes of a series are done with
      for (const auto& head : heads) {
        Run run{head->seal_number(), {}};
        if (head->read(entries[i]->id, query.range, run.samples)) runs.push_back(std::move(run));
      }
      if (runs.empty()) continue;
      merge_runs(runs, merged);
      if (merged.empty()) continue;
      if (++series_read > query.series_max)
        return fail(Code::over_limit, "the query reads more than " + std::to_string(query.series_max) +
                                          " series (series_max): narrow its selector");
      samples_read += merged.size();
      if (samples_read > query.samples_max)
        return fail(Code::over_limit, "the query reads more than " + std::to_string(query.samples_max) +
                                          " samples (samples_max): narrow its selector or its range");
      if (!visit(entries[i]->labels, merged)) return {};
    }
  }
  return {};
}

Roaring SeriesEngine::candidates(const std::vector<Matchers>& selectors) const {
  if (selectors.empty()) return index_.all();
  Roaring out;
  for (const Matchers& selector : selectors) out |= index_.resolve(selector);
  return out;
}

Result<Roaring> SeriesEngine::present(const Roaring& ids, TimeRange range) const {
  Roaring out;
  if (range.max < range.min) return out;
  const Heads heads = this->heads();
  const std::vector<DayIds> days = days_.touching(range);
  std::vector<DayIds> edges;  // days that the range cuts: their chunks must be looked at
  for (const DayIds& day : days) {
    const std::int64_t from = static_cast<std::int64_t>(day.day) * day_ms;
    if (from >= range.min && from + day_ms - 1 <= range.max)
      out |= *day.ids & ids;
    else
      edges.push_back(day);
  }
  Roaring rest = ids - out;
  Roaring found;
  for (const std::uint32_t id : rest)
    for (const auto& head : heads)
      if (head->any(id, range)) {
        found.add(id);
        break;
      }
  out |= found;
  rest -= found;
  Roaring at_edges;
  for (const DayIds& day : edges) at_edges |= *day.ids & rest;
  if (at_edges.isEmpty()) return out;
  const auto cursor = kv_.cursor(kv::Family::chunks);
  for (const auto& [vshard, entries] : by_vshard(index_.entries(at_edges))) {
    ChunkWalk walk(*cursor);
    for (const DayIds& day : edges)
      for (const EntryPtr& entry : entries) {
        if (out.contains(entry->id) || !day.ids->contains(entry->id)) continue;
        Status damage;
        PLUMBLINE_CHECK_OK(walk.each(vshard, day.day, entry->id,
                                     [&](const ChunkKey&, const ChunkHeader& header, std::string_view value) {
                                       if (!range.overlaps(header.min_t, header.max_t)) return true;
                                       bool inside = range.contains(header.min_t) || range.contains(header.max_t);
                                       if (!inside) {
                                         std::vector<Sample> samples;
                                         damage = decode_chunk(value, range, samples);
                                         inside = !samples.empty();
                                       }
                                       if (inside) out.add(entry->id);
                                       return !inside && damage.has_value();
                                     }));
        PLUMBLINE_CHECK_OK(damage);
      }
  }
  return out;
}

Result<std::vector<Labels>> SeriesEngine::series(const std::vector<Matchers>& selectors, TimeRange range,
                                                 std::size_t limit) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range));
  std::vector<Labels> out;
  for (const EntryPtr& entry : index_.entries(ids)) out.push_back(entry->labels);
  std::sort(out.begin(), out.end());
  if (limit > 0 && out.size() > limit) out.resize(limit);
  return out;
}

Result<std::vector<std::string>> SeriesEngine::label_names(const std::vector<Matchers>& selectors,
                                                           TimeRange range) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range));
  return index_.label_names(ids);
}

Result<std::vector<std::string>> SeriesEngine::label_values(std::string_view name,
                                                            const std::vector<Matchers>& selectors,
                                                            TimeRange range) const {
  PLUMBLINE_TRY(const Roaring ids, present(candidates(selectors), range));
  return index_.label_values(name, ids);
}

}  // namespace plumbline::storage::series
