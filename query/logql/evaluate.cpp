#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "daemon/base/text.hpp"
#include "query/logql/logql.hpp"
#include "query/ml/filter.hpp"

namespace plumbline::query::logql {

bool LineFilter::passes(std::string_view line) const {
  const bool wanted = op == LineOp::contains || op == LineOp::matches;
  for (const std::string& text : texts)
    if (line.find(text) != std::string_view::npos) return wanted;
  for (const auto& pattern : patterns)
    if (re2::RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), *pattern)) return wanted;
  return !wanted;
}

std::string_view Line::label(std::string_view name) const {
  for (const model::Label& l : metadata)
    if (l.name == name) return l.value;
  return stream->get(name);
}

bool LabelFilter::passes(const Line& line) const {
  const auto inner = [&](const LabelFilter& f) { return f.passes(line); };
  switch (kind) {
    case Kind::all: return std::all_of(children.begin(), children.end(), inner);
    case Kind::any: return std::any_of(children.begin(), children.end(), inner);
    case Kind::text: return matcher->matches(line.label(name));
    case Kind::number: break;
  }
  const auto held = parse_number(line.label(name));
  if (!held) return false;
  switch (compare) {
    case Compare::equal: return *held == number;
    case Compare::not_equal: return *held != number;
    case Compare::less: return *held < number;
    case Compare::less_equal: return *held <= number;
    case Compare::greater: return *held > number;
    case Compare::greater_equal: return *held >= number;
  }
  return false;
}

bool LogQuery::hides(std::string_view label) const {
  for (const Stage& stage : stages)
    if (const auto* choice = std::get_if<LabelChoice>(&stage)) {
      const bool named = std::find(choice->names.begin(), choice->names.end(), label) != choice->names.end();
      if (named != choice->keep) return true;
    }
  return false;
}

bool LogQuery::passes(Line& line) const {
  for (const Stage& stage : stages) {
    if (const auto* filter = std::get_if<LineFilter>(&stage)) {
      if (!filter->passes(line.text)) return false;
    } else if (const auto* labels = std::get_if<LabelFilter>(&stage)) {
      if (!labels->passes(line)) return false;
    }
  }
  std::erase_if(line.metadata, [&](const model::Label& l) { return hides(l.name); });
  return true;
}

namespace {

// Calls visit(line, time) for every line of the range that passes. False from visit stops. The stream's shown labels are
// handed over with it: the same for a whole block.
using LineVisitor = std::function<bool(const Line&, const Labels& shown, std::int64_t)>;

Status scan_lines(const storage::Reader& reader, const LogQuery& query, model::TimeRange range_ns, bool newest_first,
                  const LineVisitor& visit) {
  storage::EventQuery events;
  events.kind = model::EventKind::log;
  events.stream = query.selector;
  events.range_ns = range_ns;
  events.newest_first = newest_first;
  return reader.scan(events, [&](const storage::RowBlock& block) {
    const storage::Column* lines = block.find(model::field::line);
    std::vector<model::Label> shown;
    for (const model::Label& l : *block.stream)
      if (!query.hides(l.name)) shown.push_back(l);
    const Labels shown_labels = Labels::trusted(std::move(shown));
    Line line;
    line.stream = block.stream;
    for (std::size_t row = 0; row < block.times_ns.size(); ++row) {
      const std::string* text = lines == nullptr ? nullptr : std::get_if<std::string>(&lines->values[row]);
      line.text = text == nullptr ? std::string_view() : *text;
      // The usual first stage is a substring: try it before the metadata is gathered.
      if (!query.stages.empty())
        if (const auto* first = std::get_if<LineFilter>(&query.stages.front()); first != nullptr && !first->passes(line.text))
          continue;
      line.metadata.clear();
      for (const storage::Column& column : block.columns) {
        if (&column == lines) continue;
        if (auto value = ml::text_of(column.values[row]); value && !value->empty())
          line.metadata.push_back({column.name, std::move(*value)});
      }
      if (query.passes(line) && !visit(line, shown_labels, block.times_ns[row])) return false;
    }
    return true;
  });
}

}  // namespace

Result<std::vector<Entry>> run_logs(const storage::Reader& reader, const LogQuery& query, const LogRange& range) {
  // Slices of time from the wanted end, each four times as long as the last: the newest hundred lines of a year are found
  // without reading the year, and at most a dozen scans cover it when there are few.
  constexpr std::int64_t first_slice_ns = 60ll * 1'000'000'000;
  struct Kept {
    std::uint64_t order;  // as found: ties in time keep it
    Entry entry;
  };
  std::vector<Kept> kept;
  std::uint64_t found = 0;
  // The worst entry on top: the oldest when the newest are wanted.
  const auto better = [&](const Kept& a, const Kept& b) {
    if (a.entry.time_ns != b.entry.time_ns)
      return range.forward ? a.entry.time_ns < b.entry.time_ns : a.entry.time_ns > b.entry.time_ns;
    return a.order < b.order;
  };
  const auto visit = [&](const Line& line, const Labels& shown, std::int64_t time) {
    if (kept.size() == range.limit) {
      const std::int64_t worst = kept.front().entry.time_ns;
      if (range.forward ? time >= worst : time <= worst) return true;
      std::pop_heap(kept.begin(), kept.end(), better);
      kept.pop_back();
    }
    kept.push_back({found++, {time, shown, line.metadata, std::string(line.text)}});
    std::push_heap(kept.begin(), kept.end(), better);
    return true;
  };
  std::int64_t from = range.forward ? range.start_ns : range.end_ns;
  std::int64_t slice = first_slice_ns;
  while (range.limit > 0 && kept.size() < range.limit && (range.forward ? from < range.end_ns : from > range.start_ns)) {
    model::TimeRange part;
    if (range.forward) {
      const std::int64_t to = range.end_ns - from > slice ? from + slice : range.end_ns;
      part = {from, to - 1};
      from = to;
    } else {
      const std::int64_t to = from - range.start_ns > slice ? from - slice : range.start_ns;
      part = {to, from - 1};
      from = to;
    }
    PLUMBLINE_CHECK_OK(scan_lines(reader, query, part, !range.forward, visit));
    slice = slice > std::numeric_limits<std::int64_t>::max() / 8 ? slice : slice * 4;
  }
  std::sort(kept.begin(), kept.end(), better);
  std::vector<Entry> out;
  for (Kept& k : kept) out.push_back(std::move(k.entry));
  return out;
}

// --------------------------------------------------------------------------------------------------------------- metrics

namespace {

using Sets = std::map<Labels, double>;  // one instant

// The lines one over_time node needs, per label set: times ascending and the bytes up to each.
struct Counted {
  std::vector<std::pair<std::int64_t, std::uint32_t>> lines;
  std::vector<std::uint64_t> bytes_before;
};

class Evaluation {
 public:
  Evaluation(const storage::Reader& reader, std::int64_t start_ns, std::int64_t end_ns)
      : reader_(reader), start_(start_ns), end_(end_ns) {}

  Status load(const Metric& node) {
    if (node.left) PLUMBLINE_CHECK_OK(load(*node.left));
    if (node.right) PLUMBLINE_CHECK_OK(load(*node.right));
    if (node.kind != Metric::Kind::over_time) return {};
    auto& sets = loaded_[&node];
    Status stopped;
    const model::TimeRange range{start_ - node.offset_ns - node.range_ns + 1, end_ - node.offset_ns};
    PLUMBLINE_CHECK_OK(scan_lines(reader_, node.logs, range, false, [&](const Line& line, const Labels& shown, std::int64_t t) {
      std::vector<model::Label> labels(shown.begin(), shown.end());
      labels.insert(labels.end(), line.metadata.begin(), line.metadata.end());
      Counted& counted = sets[Labels::trusted(std::move(labels))];
      counted.lines.emplace_back(t, static_cast<std::uint32_t>(std::min<std::size_t>(line.text.size(), 0xffffffffu)));
      if (++lines_ > counted_max)
        stopped = fail(Code::over_limit, "the query counts more than " + std::to_string(counted_max) + " lines (counted_max)");
      if (sets.size() > series_max)
        stopped = fail(Code::over_limit, "the query has more than " + std::to_string(series_max) + " label sets (series_max)");
      return stopped.has_value();
    }));
    if (!stopped) return stopped;
    for (auto& [labels, counted] : sets) {
      std::sort(counted.lines.begin(), counted.lines.end());
      counted.bytes_before.push_back(0);
      for (const auto& [t, bytes] : counted.lines) counted.bytes_before.push_back(counted.bytes_before.back() + bytes);
    }
    return {};
  }

  Result<Sets> at(const Metric& node, std::int64_t t) const {
    switch (node.kind) {
      case Metric::Kind::number:
      case Metric::Kind::vector: return Sets{{Labels(), node.number}};
      case Metric::Kind::over_time: return over_time(node, t);
      case Metric::Kind::aggregate: return aggregate(node, t);
      case Metric::Kind::binary: break;
    }
    PLUMBLINE_TRY(Sets left, at(*node.left, t));
    PLUMBLINE_TRY(const Sets right, at(*node.right, t));
    return combine(node, std::move(left), right);
  }

 private:
  Sets over_time(const Metric& node, std::int64_t t) const {
    Sets out;
    const std::int64_t to = t - node.offset_ns, from = to - node.range_ns;  // (from, to]
    for (const auto& [labels, counted] : loaded_.at(&node)) {
      const auto after = [](std::int64_t x, const auto& line) { return x < line.first; };
      const auto first = std::upper_bound(counted.lines.begin(), counted.lines.end(), from, after);
      const auto last = std::upper_bound(first, counted.lines.end(), to, after);
      if (first == last) continue;
      const bool of_bytes = node.op.starts_with("bytes");
      const auto a = static_cast<std::size_t>(first - counted.lines.begin());
      const auto b = static_cast<std::size_t>(last - counted.lines.begin());
      double value = of_bytes ? static_cast<double>(counted.bytes_before[b] - counted.bytes_before[a])
                              : static_cast<double>(b - a);
      if (node.op == "rate" || node.op == "bytes_rate") value /= static_cast<double>(node.range_ns) / 1e9;
      out.emplace(labels, value);
    }
    return out;
  }

  Result<Sets> aggregate(const Metric& node, std::int64_t t) const {
    PLUMBLINE_TRY(const Sets input, at(*node.left, t));
    std::map<Labels, std::pair<double, double>> groups;  // value, count
    for (const auto& [labels, value] : input) {
      std::vector<model::Label> kept;
      for (const model::Label& l : labels) {
        const bool named = std::find(node.names.begin(), node.names.end(), l.name) != node.names.end();
        if (node.by ? named : node.without && !named) kept.push_back(l);
      }
      auto [group, fresh] = groups.try_emplace(Labels::trusted(std::move(kept)), value, 0);
      if (!fresh) {
        if (node.op == "min") group->second.first = std::min(group->second.first, value);
        else if (node.op == "max") group->second.first = std::max(group->second.first, value);
        else group->second.first += value;
      }
      group->second.second += 1;
    }
    Sets out;
    for (const auto& [labels, group] : groups)
      out.emplace(labels, node.op == "count" ? group.second : node.op == "avg" ? group.first / group.second : group.first);
    return out;
  }

  static double apply(const std::string& op, double a, double b) {
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (op == "/") return a / b;
    if (op == "%") return std::fmod(a, b);
    return std::pow(a, b);
  }

  static Sets combine(const Metric& node, Sets left, const Sets& right) {
    if (is_scalar(*node.right)) {
      for (auto& [labels, value] : left) value = apply(node.op, value, right.begin()->second);
      return left;
    }
    Sets out;
    if (is_scalar(*node.left)) {
      for (const auto& [labels, value] : right) out.emplace(labels, apply(node.op, left.begin()->second, value));
      return out;
    }
    for (const auto& [labels, value] : left)  // one to one, on equal label sets
      if (const auto other = right.find(labels); other != right.end()) out.emplace(labels, apply(node.op, value, other->second));
    return out;
  }

  const storage::Reader& reader_;
  std::int64_t start_, end_;
  std::uint64_t lines_ = 0;
  std::unordered_map<const Metric*, std::map<Labels, Counted>> loaded_;
};

}  // namespace

bool is_scalar(const Metric& metric) {
  if (metric.kind == Metric::Kind::binary) return is_scalar(*metric.left) && is_scalar(*metric.right);
  return metric.kind == Metric::Kind::number;
}

Result<std::vector<MetricSeries>> run_metric(const StoppingReader& reader, const Metric& metric, std::int64_t start_ns,
                                             std::int64_t end_ns, std::int64_t step_ns) {
  if (step_ns <= 0 || end_ns < start_ns) return fail(Code::invalid_input, "the step must be above 0 and the end not before the start");
  if ((end_ns - start_ns) / step_ns >= steps_max)
    return fail(Code::invalid_input, "exceeded maximum resolution of " + std::to_string(steps_max) +
                                         " points per time series: use a longer step or a shorter range");
  Evaluation evaluation(reader, start_ns, end_ns);
  PLUMBLINE_CHECK_OK(evaluation.load(metric));
  std::map<Labels, std::vector<MetricPoint>> series;
  for (std::int64_t t = start_ns; t <= end_ns; t += step_ns) {
    PLUMBLINE_CHECK_OK(go_on(reader.stop()));
    PLUMBLINE_TRY(const Sets sets, evaluation.at(metric, t));
    for (const auto& [labels, value] : sets) series[labels].push_back({t / 1'000'000, value});
    if (end_ns - t < step_ns) break;  // t + step would pass the end, or overflow
  }
  std::vector<MetricSeries> out;
  for (auto& [labels, points] : series) out.push_back({labels, std::move(points)});
  return out;
}

}  // namespace plumbline::query::logql
