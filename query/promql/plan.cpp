// What a query would do, by the same decisions that evaluation takes, and without reading samples.
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "query/promql/evaluator.hpp"
#include "query/promql/range_functions.hpp"

namespace plumbline::query::promql {

class Evaluator::Planner {
 public:
  explicit Planner(Evaluator& evaluator) : evaluator_(evaluator) {}

  Result<PlanNode> node(const Expr& e, Grid grid) {
    if (e.kind == Kind::paren) return node(*static_cast<const Paren&>(e).inner, grid);
    PlanNode out;
    out.expression = evaluator_.context_.text.substr(e.pos.begin, e.pos.end - e.pos.begin);
    out.constant = grid.count > 1 && evaluator_.constant(e);
    if (out.constant) grid.count = 1;
    out.steps = grid.count;
    switch (e.kind) {
      case Kind::number: out.kind = "number"; return out;
      case Kind::string: out.kind = "string"; return out;
      case Kind::paren: return out;  // above
      case Kind::selector: {
        out.kind = "selector";
        out.fused = turned_while_read(e);
        PLUMBLINE_TRY(out.read, read(evaluator_.timings_.at(&e), false));
        return out;
      }
      case Kind::matrix: {
        out.kind = "range selector";
        PLUMBLINE_TRY(out.read, read(evaluator_.timings_.at(&e), false));
        return out;
      }
      case Kind::subquery: {
        out.kind = "subquery";
        const Grid inner = evaluator_.subquery_grid(evaluator_.timings_.at(&e), grid);
        out.steps = inner.count;
        return with(std::move(out), *static_cast<const Subquery&>(e).inner, inner);
      }
      case Kind::unary: out.kind = "unary"; return with(std::move(out), *static_cast<const Unary&>(e).inner, grid);
      case Kind::binary: {
        const auto& b = static_cast<const Binary&>(e);
        out.kind = "binary";
        PLUMBLINE_TRY(out, with(std::move(out), *b.left, grid));
        return with(std::move(out), *b.right, grid);
      }
      case Kind::aggregate: {
        const auto& a = static_cast<const Aggregate&>(e);
        out.kind = "aggregation";
        if (a.parameter) {
          PLUMBLINE_TRY(out, with(std::move(out), *a.parameter, grid));
        }
        return with(std::move(out), *a.inner, grid);
      }
      case Kind::call: return call(std::move(out), static_cast<const Call&>(e), grid);
    }
    return out;
  }

 private:
  struct Estimate {
    std::uint64_t series = 0;
    std::optional<std::uint64_t> samples;
  };

  Result<PlanNode> with(PlanNode parent, const Expr& child, const Grid& grid) {
    PLUMBLINE_TRY(PlanNode below, node(child, grid));
    parent.children.push_back(std::move(below));
    return parent;
  }

  // Whether a selector's samples become values as they are read: nobody else needs them, and they are looked at one series at a
  // time, without what stands beside their windows.
  bool turned_while_read(const Expr& e) const {
    const Selector& s = e.kind == Kind::matrix ? *static_cast<const MatrixSelector&>(e).selector : static_cast<const Selector&>(e);
    const std::size_t source = evaluator_.timings_.at(&e).source;
    return s.extended == Extended::none && evaluator_.read_once(source) && !loaded_.contains(source);
  }

  Result<PlanNode> call(PlanNode out, const Call& c, const Grid& grid) {
    out.kind = "call";
    const Fn fn = c.function->id;
    if (!is_range_function(fn)) {
      for (const ExprPtr& argument : c.arguments) {
        // The second of info() says what to look for: what is read for it depends on what the first one finds.
        if (fn == Fn::info && argument != c.arguments.front()) continue;
        PLUMBLINE_TRY(out, with(std::move(out), *argument, grid));
      }
      return out;
    }
    const MatrixSelector* m = evaluator_.summary_argument(c);
    const Timing* timing = m == nullptr ? nullptr : &evaluator_.timings_.at(m);
    const bool summaries = timing != nullptr && evaluator_.by_summaries(*timing, grid, loaded_.contains(timing->source));
    for (const ExprPtr& argument : c.arguments) {
      if (summaries && &unwrap(*argument) == m) {
        const bool turned = turned_while_read(*m);
        PlanNode below;
        below.kind = "range selector";
        below.expression = evaluator_.context_.text.substr(m->pos.begin, m->pos.end - m->pos.begin);
        below.steps = grid.count;
        PLUMBLINE_TRY(below.read, read(*timing, true));
        below.fused = !below.read->summaries && turned;
        out.children.push_back(std::move(below));
        continue;
      }
      // Read and turned by one function; a range vector that is itself the answer is kept.
      const Expr& inner = unwrap(*argument);
      const bool turned = inner.kind == Kind::matrix && turned_while_read(inner);
      PLUMBLINE_TRY(out, with(std::move(out), *argument, grid));
      if (turned) out.children.back().fused = true;
    }
    return out;
  }

  Result<std::optional<PlanRead>> read(const Timing& timing, bool summaries) {
    const Source& source = evaluator_.sources_[timing.source];
    const std::int64_t resolution = summaries ? evaluator_.resolution(timing.range) : 0;
    PLUMBLINE_TRY(const Estimate estimate, estimated(timing.source, resolution));
    PlanRead out{source.matchers, source.range, estimate.series, estimate.samples, summaries, false, resolution};
    // Native histograms have no summaries: the samples are read after all.
    if (summaries && !estimate.samples) out.summaries = false, out.resolution_ms = 0;
    if (!out.summaries) out.shared = !loaded_.insert(timing.source).second;
    return std::optional(std::move(out));
  }

  // One window over all of the range: chunks inside it tell their numbers without being read. With downsampled samples of at most
  // `resolution`: those that stand for what is gone tell theirs.
  Result<Estimate> estimated(std::size_t index, std::int64_t resolution) {
    if (const auto known = estimates_.find({index, resolution}); known != estimates_.end()) return known->second;
    const Source& source = evaluator_.sources_[index];
    const Context& context = evaluator_.context_;
    Estimate out{0, 0};
    if (source.range.min <= source.range.max) {
      PLUMBLINE_CHECK_OK(evaluator_.tick());
      const storage::SeriesQuery query{source.matchers, source.range, std::numeric_limits<std::uint64_t>::max(), context.options.series_max,
                                       false, resolution};
      Status inside;
      const auto visit = [&](const Labels&, std::span<const model::WindowSummary> windows) {
        *out.samples += windows[0].count;
        if (++out.series % 1024 == 0) inside = evaluator_.tick();
        return inside.has_value();
      };
      PLUMBLINE_TRY(const bool floats_only, context.reader.windows(query, {&source.range, 1}, visit));
      PLUMBLINE_CHECK_OK(inside);
      if (!floats_only) {
        PLUMBLINE_TRY(const std::vector<Labels> found, context.reader.series({source.matchers}, source.range, context.options.series_max,
                                                                             [this] { return evaluator_.tick(); }));
        out = {found.size(), std::nullopt};
      }
    }
    estimates_.emplace(std::pair(index, resolution), out);
    return out;
  }

  Evaluator& evaluator_;
  std::map<std::pair<std::size_t, std::int64_t>, Estimate> estimates_;  // of a source, with a resolution
  std::set<std::size_t> loaded_;  // sources whose samples a node before has read
};

Result<PlanNode> Evaluator::plan(const Expr& root) {
  PLUMBLINE_CHECK_OK(prepare(root, {context_.grid.start, context_.grid.last()}));
  return Planner(*this).node(root, context_.grid);
}

}  // namespace plumbline::query::promql
