// Equal parts of an expression, `x` in `x / (x + y)`, are evaluated once: same text, same steps, same place among the nodes that change
// time. Aggregations, calls and operators; a selector's samples are read once in any case.
#include <algorithm>
#include <utility>

#include "query/promql/evaluator.hpp"
#include "query/promql/fold.hpp"
#include "query/promql/range_functions.hpp"

namespace plumbline::query::promql {

namespace {

// Whether evaluating costs more than copying what came of it.
bool worth_sharing(const Expr& e) {
  if (type_of(e) != Type::vector) return false;
  if (e.kind == Kind::aggregate || e.kind == Kind::binary) return true;
  if (e.kind != Kind::call) return false;
  return std::ranges::any_of(static_cast<const Call&>(e).arguments, [](const ExprPtr& argument) {
    const Type type = type_of(*argument);
    return type == Type::vector || type == Type::matrix;
  });
}

bool same(const Grid& a, const Grid& b) { return a.start == b.start && a.step == b.step && a.count == b.count; }

}  // namespace

bool Evaluator::repeats(const Expr& e, model::TimeRange times) {
  if (in_subquery_ > 0 || !worth_sharing(e)) return false;
  // A range function below sum and its like is added up while it is read, on several threads: better twice than kept.
  if (&e == folded_ && e.kind == Kind::call && is_range_function(static_cast<const Call&>(e).function->id)) return false;
  // Byte for byte, so that annotations of one are those of the other at another place.
  std::vector<std::shared_ptr<Shared>>& known = texts_[context_.text.substr(e.pos.begin, e.pos.end - e.pos.begin)];
  for (const std::shared_ptr<Shared>& shared : known) {
    if (shared->times.min != times.min || shared->times.max != times.max || print(*shared->first) != print(e)) continue;
    ++shared->left;
    shared_[&e] = shared_[shared->first] = shared;
    return true;
  }
  known.push_back(std::make_shared<Shared>());
  known.back()->first = &e;
  known.back()->times = times;
  return false;
}

Status Evaluator::each_shared(Shared& shared, const Expr& e, const Grid& grid, const Sink& sink) {
  --shared.left;
  if (!shared.grid) {
    if (shared.too_large) series_read_ -= shared.series_read;
    if (shared.left == 0 || shared.too_large) return each_alone(e, grid, sink);
    PLUMBLINE_CHECK_OK(evaluate_shared(shared, e, grid, sink));
    if (shared.too_large) return {};
  } else {
    if (!same(*shared.grid, grid)) {  // below what is the same at every step
      if (shared.left == 0) release(std::exchange(shared.columns, {}));
      series_read_ -= shared.series_read;
      return each_alone(e, grid, sink);
    }
    // As if it had been evaluated here.
    for (const Note& n : shared.notes) note({n.warning, e.pos.begin + (n.at - shared.first->pos.begin), n.message});
    count(shared.per_step);
  }
  if (shared.left == 0) {
    for (Column& c : shared.columns) PLUMBLINE_CHECK_OK(sink(std::move(c)));
    shared.columns.clear();
    return {};
  }
  for (const Column& c : shared.columns) {
    PLUMBLINE_CHECK_OK(charge(c.values.size()));
    PLUMBLINE_CHECK_OK(sink(Column(c)));
  }
  return {};
}

// Keeps what comes of it, or hands it to the sink when it is too large for that.
Status Evaluator::evaluate_shared(Shared& shared, const Expr& e, const Grid& grid, const Sink& sink) {
  std::vector<std::uint64_t>* const all_steps = per_step_;
  if (all_steps != nullptr) {
    shared.per_step.assign(all_steps->size(), 0);
    per_step_ = &shared.per_step;
  }
  {
    Lock lock(notes_mutex_);
    note_takers_.push_back(&shared.notes);
  }
  std::size_t points = 0;
  const std::uint64_t series_before = series_read_;
  const Status done = each_alone(e, grid, [&](Column&& c) -> Status {
    if (shared.too_large) return sink(std::move(c));
    points += c.values.size();
    shared.columns.push_back(std::move(c));
    if (points <= context_.options.samples_max / 8) return {};
    shared.too_large = true;
    for (Column& kept : std::exchange(shared.columns, {})) PLUMBLINE_CHECK_OK(sink(std::move(kept)));
    return {};
  });
  {
    Lock lock(notes_mutex_);
    std::erase(note_takers_, &shared.notes);
  }
  shared.series_read = series_read_ - series_before;
  per_step_ = all_steps;
  count(shared.per_step);
  PLUMBLINE_CHECK_OK(done);
  if (shared.too_large) return {};
  // Where each stands depends on the place that was evaluated; kept are those of the first.
  Notes moved;
  for (const Note& n : shared.notes) moved.insert({n.warning, shared.first->pos.begin + (n.at - e.pos.begin), n.message});
  shared.notes = std::move(moved);
  shared.grid = grid;
  return {};
}

}  // namespace plumbline::query::promql
