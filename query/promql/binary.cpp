// Binary operators on vectors. Series are matched once by their signature; values are then combined step by step.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "query/promql/binary_operators.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/histogram_operators.hpp"

namespace plumbline::query::promql {

namespace {

bool is_trim(Tok op) { return op == Tok::trim_upper || op == Tok::trim_lower; }
bool drops_name(Tok op) { return !is_comparison(op) && !is_set_operator(op); }

Labels signature(const Labels& labels, const Matching& m) {
  return m.on ? keep_labels(labels, m.labels) : drop_labels(labels, m.labels, true);
}

// Columns of both sides with one signature, as indexes.
struct Match {
  std::vector<std::size_t> many, one;
};

std::vector<std::uint8_t> any_present(const Columns& columns, std::size_t count) {
  std::vector<std::uint8_t> out(count);
  for (const Column& c : columns)
    for (std::size_t i = 0; i < count; ++i) out[i] |= c.has(i) ? 1 : 0;
  return out;
}

// Labels of a result whose value comes from `many` matched with `one`.
Labels result_labels(const Binary& b, const Labels& many, const Labels& one) {
  const Matching& m = b.matching;
  Labels out = drops_name(b.op) || b.return_bool ? many.without(model::metric_name_label) : many;
  if (m.card == Card::one_to_one) return m.on ? keep_labels(out, m.labels) : drop_labels(out, m.labels, false);
  for (const std::string& name : m.include) out = out.with(name, one.get(name));
  return out;
}

}  // namespace

Result<Columns> Evaluator::binary(const Binary& b, const Grid& grid) {
  if (type_of(b) == Type::scalar) {
    PLUMBLINE_TRY(Scalars v, scalar(b, grid));
    Column c(Labels{}, grid.count);
    c.values = std::move(v);
    c.present.assign(grid.count, 1);
    Columns out;
    out.push_back(std::move(c));
    return out;
  }
  if (is_set_operator(b.op)) return set_operation(b, grid);
  if (type_of(*b.left) == Type::vector && type_of(*b.right) == Type::vector) return vector_vector(b, grid);
  return vector_scalar(b, grid);
}

Result<Columns> Evaluator::vector_scalar(const Binary& b, const Grid& grid) {
  const bool scalar_left = type_of(*b.left) == Type::scalar;
  PLUMBLINE_TRY(const Scalars s, scalar(scalar_left ? *b.left : *b.right, grid));
  PLUMBLINE_TRY(Columns columns, collect(scalar_left ? *b.right : *b.left, grid));
  for (Column& c : columns) {
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!c.has(i)) continue;
      const double v = c.values[i];
      if (!c.present[i] || is_trim(b.op)) {
        const Operand vector{v, c.histogram(i)}, number{s[i], nullptr};
        Combined o = scalar_left ? combine(b, number, vector) : combine(b, vector, number);
        c.drop(i);
        if (o.keep) c.set(i, std::move(o.h));
        continue;
      }
      const Outcome o = scalar_left ? apply_operator(b.op, s[i], v) : apply_operator(b.op, v, s[i]);
      if (!is_comparison(b.op)) c.values[i] = o.value;
      else if (b.return_bool) c.values[i] = o.keep ? 1 : 0;
      else c.present[i] = o.keep;  // the vector's own value stays, on whichever side it stood
    }
    if (drops_name(b.op) || b.return_bool) c.labels = c.labels.without(model::metric_name_label);
  }
  if (drops_name(b.op) || b.return_bool) return merged(std::move(columns));
  return columns;
}

Result<Columns> Evaluator::set_operation(const Binary& b, const Grid& grid) {
  PLUMBLINE_TRY(Columns left, collect(*b.left, grid));
  PLUMBLINE_TRY(Columns right, collect(*b.right, grid));
  // For each signature of the deciding side: at which steps it is there.
  const bool is_or = b.op == Tok::lor;
  const Columns& deciding = is_or ? left : right;
  std::unordered_map<Labels, std::vector<std::uint8_t>, model::LabelsHash> there;
  for (const Column& c : deciding) {
    auto& mask = there[signature(c.labels, b.matching)];
    mask.resize(grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) mask[i] |= c.has(i) ? 1 : 0;
  }
  Columns& filtered = is_or ? right : left;
  for (Column& c : filtered) {
    const auto found = there.find(signature(c.labels, b.matching));
    const bool keep_if_there = b.op == Tok::land;
    for (std::size_t i = 0; i < grid.count; ++i) {
      const bool is_there = found != there.end() && found->second[i];
      if (is_there != keep_if_there) c.drop(i);
    }
  }
  if (!is_or) {
    release(right);
    return left;
  }
  std::ranges::move(right, std::back_inserter(left));
  return merged(std::move(left));
}

namespace {

// Stands where the other side of a match has something and this side has nothing.
Column filler(const Columns& here, const std::vector<std::size_t>& missing, const Columns& other, const std::vector<std::size_t>& has,
              const Labels& labels, double value, std::size_t count) {
  const auto any = [](const Columns& columns, const std::vector<std::size_t>& of, std::size_t i) {
    return std::ranges::any_of(of, [&](std::size_t k) { return columns[k].has(i); });
  };
  Column out(labels, count);
  for (std::size_t i = 0; i < count; ++i)
    if (any(other, has, i) && !any(here, missing, i)) out.set(i, value);
  return out;
}

}  // namespace

Result<Columns> Evaluator::vector_vector(const Binary& b, const Grid& grid) {
  const Matching& m = b.matching;
  PLUMBLINE_TRY(const Columns left, collect(*b.left, grid));
  PLUMBLINE_TRY(const Columns right, collect(*b.right, grid));
  const bool swapped = m.card == Card::one_to_many;
  const Columns& many = swapped ? right : left;
  const Columns& one = swapped ? left : right;

  std::unordered_map<Labels, Match, model::LabelsHash> matches;
  for (std::size_t i = 0; i < many.size(); ++i) matches[signature(many[i].labels, m)].many.push_back(i);
  for (std::size_t i = 0; i < one.size(); ++i) matches[signature(one[i].labels, m)].one.push_back(i);

  // Nothing is matched, and so nothing can be wrong, at steps where a side is empty and not filled.
  std::vector<std::uint8_t> live = any_present(many, grid.count);
  const std::vector<std::uint8_t> one_live = any_present(one, grid.count);
  for (std::size_t i = 0; i < grid.count; ++i) live[i] = m.fills() ? live[i] | one_live[i] : live[i] & one_live[i];

  for (const auto& [sig, match] : matches) {
    if (match.one.size() < 2) continue;
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!live[i]) continue;
      const Column* first = nullptr;
      for (const std::size_t o : match.one) {
        if (!one[o].has(i)) continue;
        if (first != nullptr)
          return execution_error(fmt::format(
              "found duplicate series for the match group {} on the {} hand-side of the operation: [{}, {}];"
              "many-to-many matching not allowed: matching labels must be unique on one side",
              braces(m.on ? sig : drop_labels(one[o].labels, m.labels, true)), swapped ? "left" : "right",
              braces(one[o].labels), braces(first->labels)));
        first = &one[o];
      }
    }
  }

  LabelIndex index;
  Columns out;
  std::set<std::pair<Labels, std::size_t>> grouped;  // of one match: labels and step already written
  std::vector<std::uint8_t> written;
  std::size_t done = 0;
  std::vector<const Column*> many_columns, one_columns;
  for (const auto& [sig, match] : matches) {
    many_columns.clear();
    one_columns.clear();
    for (const std::size_t k : match.many) many_columns.push_back(&many[k]);
    for (const std::size_t o : match.one) one_columns.push_back(&one[o]);
    Column many_filler, one_filler;
    if (m.fill_left && !match.one.empty())
      many_columns.push_back(&(many_filler = filler(many, match.many, one, match.one, sig, *m.fill_left, grid.count)));
    if (m.fill_right && !match.many.empty())
      one_columns.push_back(&(one_filler = filler(one, match.one, many, match.many, sig, *m.fill_right, grid.count)));
    written.assign(grid.count, 0);
    grouped.clear();
    const bool check_groups = many_columns.size() > 1 && m.card != Card::one_to_one;
    for (const Column* k : many_columns) {
      if (++done % 256 == 0) PLUMBLINE_CHECK_OK(tick());
      for (const Column* o : one_columns) {
        const Labels labels = result_labels(b, k->labels, o->labels);
        std::size_t at = out.size();  // not made before it has a value
        for (std::size_t i = 0; i < grid.count; ++i) {
          if (!k->has(i) || !o->has(i)) continue;
          const Column& left_column = swapped ? *o : *k;
          const Column& right_column = swapped ? *k : *o;
          Combined result;
          if (left_column.present[i] && right_column.present[i] && !is_trim(b.op)) {
            const Outcome outcome = apply_operator(b.op, left_column.values[i], right_column.values[i]);
            result.keep = outcome.keep || b.return_bool;
            result.v = b.return_bool ? (outcome.keep ? 1.0 : 0.0) : outcome.value;
          } else {
            result = combine(b, {left_column.values[i], left_column.histogram(i)},
                             {right_column.values[i], right_column.histogram(i)});
          }
          if (!result.keep) continue;
          if (m.card == Card::one_to_one) {
            if (written[i])
              return execution_error("multiple matches for labels: many-to-one matching must be explicit "
                                     "(group_left/group_right)");
            written[i] = 1;
          } else if (check_groups && !grouped.emplace(labels, i).second) {
            return execution_error("multiple matches for labels: grouping labels must ensure unique matches");
          }
          if (at == out.size()) {
            const auto [found, fresh] = index.try_emplace(labels, out.size());
            at = found->second;
            if (fresh) {
              PLUMBLINE_CHECK_OK(charge(grid.count));
              out.emplace_back(labels, grid.count);
            }
          }
          if (out[at].has(i)) return execution_error(std::string(same_labelset));
          if (result.h)
            out[at].set(i, std::move(result.h));
          else
            out[at].set(i, result.v);
        }
      }
    }
  }
  release(left);
  release(right);
  // Matching went through a hash table; the answer has the order of its left side.
  std::ranges::sort(out, {}, &Column::labels);
  return out;
}

}  // namespace plumbline::query::promql
