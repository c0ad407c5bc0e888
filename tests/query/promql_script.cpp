#include "promql_script.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/native_histogram.hpp"
#include "query/promql/series_notation.hpp"
#include "query/query.hpp"
#include "tests/support/support.hpp"

namespace plumbline::test {

namespace {

using model::Labels;

using query::promql::SeriesLine;
using Item = query::promql::SeriesItem;

bool almost_equal(double a, double b) {
  static constexpr double epsilon = 1e-6;
  if (model::is_stale(a) || model::is_stale(b)) return model::is_stale(a) && model::is_stale(b);
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b), difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < std::numeric_limits<double>::min())
    return difference < epsilon * std::numeric_limits<double>::min();
  return difference / std::min(sum, std::numeric_limits<double>::max()) < epsilon;
}

std::int64_t duration_ms(std::string text) {
  double sign = 1;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    sign = text[0] == '-' ? -1 : 1;
    text.erase(0, 1);
  }
  if (const auto n = parse_number(text)) return std::llround(sign * *n * 1000);
  const auto ms = parse_duration_ms(text);
  if (!ms) throw std::runtime_error("bad duration " + text);
  return static_cast<std::int64_t>(sign) * *ms;
}

bool almost_equal(const query::promql::NativeHistogram& a, const query::promql::NativeHistogram& b) {
  const auto side = [](const auto& x, const auto& y) {
    return std::ranges::equal(x, y, [](const auto& l, const auto& r) { return l.index == r.index && almost_equal(l.count, r.count); });
  };
  return a.schema == b.schema && almost_equal(a.sum, b.sum) && almost_equal(a.count, b.count) && almost_equal(a.zero_count, b.zero_count) &&
         a.zero_threshold == b.zero_threshold && a.bounds == b.bounds && side(a.positive, b.positive) && side(a.negative, b.negative);
}

// A value of an answer.
struct Value {
  double v = 0;
  query::promql::HistogramPtr h = {};
  std::string str() const { return h ? query::promql::text_of(*h) : fmt::format("{}", v); }
};
Value value_of(double v) { return {v}; }
Value value_of(const model::Histogram& h) {
  return {0, std::make_shared<const query::promql::NativeHistogram>(query::promql::from_model(h))};
}
Value value_of(const query::VectorPoint& p) { return p.histogram ? value_of(*p.histogram) : value_of(p.v); }
Value value_of(const Item& item) { return item.histogram ? value_of(*item.histogram) : value_of(item.v); }
std::string text_of(const Item& item) { return value_of(item).str(); }

bool as_wanted(const Item& want, const Value& got) {
  const Value wanted = value_of(want);
  if ((wanted.h != nullptr) != (got.h != nullptr)) return false;
  if (wanted.h == nullptr) return almost_equal(wanted.v, got.v);
  return almost_equal(*wanted.h, *got.h) && (!want.has_hint || wanted.h->reset == got.h->reset);
}

SeriesLine parse_series(const std::string& line) {
  auto parsed = query::promql::parse_series_line(line);
  if (!parsed) throw std::runtime_error(parsed.error().message + " in " + line);
  return std::move(*parsed);
}

struct Expectation {
  bool fail = false, ordered = false, no_warn = false, no_info = false;
  std::optional<std::string> fail_message, fail_regex, text;
  std::vector<std::pair<bool, std::string>> warnings, infos;  // (is a regex, text); "" matches any
  bool warn = false, info = false;
  std::vector<SeriesLine> series;
  std::optional<double> scalar;
  std::optional<std::pair<std::int64_t, std::int64_t>> range_vector;  // start and step
};

class Runner {
 public:
  explicit Runner(std::string path) : path_(std::move(path)) {}

  ScriptResult run() {
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) lines_.emplace_back(trim(line));
    if (lines_.empty()) fail("cannot be read or is empty");
    store_ = std::make_unique<MemoryStore>();
    for (at_ = 0; at_ < lines_.size(); ++at_) {
      const std::string& line = lines_[at_];
      if (line.empty() || line[0] == '#') continue;
      try {
        command(line);
      } catch (const std::exception& e) {
        fail(e.what());
      }
    }
    return std::move(result_);
  }

 private:
  void fail(const std::string& what) { result_.failures.push_back(fmt::format("{}:{}: {}", path_, command_line_ + 1, what)); }

  // The lines of the block under the current command: up to a blank line or the next command.
  std::vector<std::string> block() {
    static const std::regex next(R"(^(eval|load|clear)(_\w+)?(\s.*)?$)");
    std::vector<std::string> out;
    while (at_ + 1 < lines_.size() && !lines_[at_ + 1].empty() && !std::regex_match(lines_[at_ + 1], next)) {
      ++at_;
      if (lines_[at_][0] != '#') out.push_back(lines_[at_]);
    }
    return out;
  }

  void command(const std::string& line) {
    static const std::regex load_pattern(R"(^load(?:_(with_nhcb))?\s+(.+?)$)");
    static const std::regex instant_pattern(R"(^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$)");
    static const std::regex range_pattern(
        R"(^eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$)");
    command_line_ = at_;
    std::smatch m;
    if (line == "clear") {
      store_ = std::make_unique<MemoryStore>();
    } else if (std::regex_match(line, m, load_pattern)) {
      load(duration_ms(m[2]));
    } else if (std::regex_match(line, m, instant_pattern)) {
      const std::int64_t t = m[2].matched ? duration_ms(m[2]) : 0;
      instant(m[1], t, m[3]);
    } else if (std::regex_match(line, m, range_pattern)) {
      range(m[1], duration_ms(m[2]), duration_ms(m[3]), duration_ms(m[4]), m[5]);
    } else {
      throw std::runtime_error("unknown command: " + line);
    }
  }

  void load(std::int64_t step) {
    storage::WriteBatch batch;
    for (const std::string& line : block()) {
      if (line.find("@st") != std::string::npos) continue;
      const SeriesLine s = parse_series(line);
      storage::SeriesSamples samples{s.labels, {}};
      storage::SeriesHistograms histograms{s.labels, {}};
      for (std::size_t i = 0; i < s.items.size(); ++i) {
        const std::int64_t t = static_cast<std::int64_t>(i) * step;
        if (s.items[i].histogram)
          histograms.samples.push_back({t, *s.items[i].histogram});
        else if (s.items[i].present)
          samples.samples.push_back({t, s.items[i].v});
      }
      batch.series.push_back(std::move(samples));
      batch.histograms.push_back(std::move(histograms));
    }
    if (const auto written = store_->write(std::move(batch)); !written) throw std::runtime_error(written.error().message);
  }

  Expectation expectations(const std::string& legacy) {
    static const std::regex range_vector(R"(^expect range vector from (\S+) to (\S+) step (\S+)$)");
    Expectation e;
    static const std::regex pattern(R"(^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$)");
    e.fail = legacy == "fail";
    e.warn = legacy == "warn";
    e.info = legacy == "info";
    e.ordered = legacy == "ordered";
    for (const std::string& line : block()) {
      std::smatch m;
      if (std::regex_match(line, m, pattern)) {
        const std::string kind = m[1], text(trim(m[3].str()));
        const bool regex = m[2] == "regex";
        if (kind == "ordered") e.ordered = true;
        if (kind == "no_warn") e.no_warn = true;
        if (kind == "no_info") e.no_info = true;
        if (kind == "warn") e.warn = true, e.warnings.emplace_back(regex, text);
        if (kind == "info") e.info = true, e.infos.emplace_back(regex, text);
        if (kind == "fail") {
          e.fail = true;
          if (!text.empty()) (regex ? e.fail_regex : e.fail_message) = text;
        }
      } else if (line.starts_with("expected_fail_message ")) {
        e.fail_message = std::string(trim(line.substr(22)));
      } else if (line.starts_with("expected_fail_regexp ")) {
        e.fail_regex = std::string(trim(line.substr(21)));
      } else if (line.starts_with("expect string ")) {
        const auto parsed = query::format_promql(line.substr(14));
        e.text = parsed.value_or("?");
      } else if (std::regex_match(line, m, range_vector)) {
        e.range_vector = {duration_ms(m[1]), duration_ms(m[3])};
      } else if (const auto v = parse_number(line)) {
        e.scalar = *v;
      } else {
        e.series.push_back(parse_series(line));
      }
    }
    return e;
  }

  Result<query::Answer> evaluate(const std::string& expr, std::int64_t t) {
    return query::Engine(*store_, clock_, {}).instant(expr, t);
  }

  static bool matches(const std::vector<std::pair<bool, std::string>>& wanted, const std::string& got) {
    for (const auto& [regex, text] : wanted)
      if (text.empty() || (regex ? std::regex_search(got, std::regex(text)) : got == text)) return true;
    return wanted.empty();
  }

  bool check_notes(const Expectation& e, const query::Answer& a, const std::string& expr) {
    if (e.warn && a.warnings.empty()) return fail("expected a warning from " + expr), false;
    if (e.info && a.infos.empty()) return fail("expected an info from " + expr), false;
    if (e.no_warn && !a.warnings.empty()) return fail("unexpected warning " + a.warnings[0]), false;
    if (e.no_info && !a.infos.empty()) return fail("unexpected info " + a.infos[0]), false;
    for (const std::string& w : a.warnings)
      if (e.warn && !matches(e.warnings, w)) return fail("warning does not match: " + w), false;
    for (const std::string& i : a.infos)
      if (e.info && !matches(e.infos, i)) return fail("info does not match: " + i), false;
    return true;
  }

  // True when the failure was handled, as wanted or not.
  bool check_failure(const Expectation& e, const Result<query::Answer>& answer, const std::string& expr) {
    if (answer) {
      if (e.fail) fail("expected a failure from " + expr);
      else result_.answered.push_back(expr);
      return e.fail;
    }
    const std::string& message = answer.error().message;
    if (!e.fail) fail(fmt::format("{}: {}", expr, message));
    else if (e.fail_message && *e.fail_message != message) fail(fmt::format("{}: failed with: {}", expr, message));
    else if (e.fail_regex && !std::regex_search(message, std::regex(*e.fail_regex)))
      fail(fmt::format("{}: failed with: {}", expr, message));
    return true;
  }

  void check_points(const Expectation& e, const std::vector<std::pair<Labels, Value>>& points, const std::string& expr) {
    std::map<Labels, std::pair<Value, std::size_t>> got;
    for (std::size_t i = 0; i < points.size(); ++i) got[points[i].first] = {points[i].second, i};
    if (got.size() != points.size()) return fail("duplicate label sets from " + expr);
    for (std::size_t i = 0; i < e.series.size(); ++i) {
      const SeriesLine& want = e.series[i];
      const auto found = got.find(want.labels);
      if (found == got.end()) return fail(fmt::format("{}: {} is missing", expr, want.labels.str()));
      const Item item = want.items.empty() ? Item{true, 0} : want.items[0];
      if (!as_wanted(item, found->second.first))
        return fail(fmt::format("{}: {} is {}, expected {}", expr, want.labels.str(), found->second.first.str(), text_of(item)));
      if (e.ordered && found->second.second != i)
        return fail(fmt::format("{}: {} stands at {}, expected at {}", expr, want.labels.str(), found->second.second, i));
      got.erase(found);
    }
    if (!got.empty()) fail(fmt::format("{}: {} {} was not expected", expr, got.begin()->first.str(), got.begin()->second.first.str()));
  }

  void instant(const std::string& legacy, std::int64_t t, const std::string& expr) {
    const Expectation e = expectations(legacy);
    ++result_.evaluations;
    const Result<query::Answer> answer = evaluate(expr, t);
    if (!answer && answer.error().code == Code::unsupported && !e.fail) {
      ++result_.skipped;
      return;
    }
    if (check_failure(e, answer, expr)) return;
    if (!check_notes(e, *answer, expr)) return;
    if (const auto* s = std::get_if<query::Scalar>(&answer->value)) {
      if (!e.scalar) fail("did not expect a scalar from " + expr);
      else if (!almost_equal(*e.scalar, s->v)) fail(fmt::format("{}: got {}, expected {}", expr, s->v, *e.scalar));
    } else if (const auto* text = std::get_if<query::StringValue>(&answer->value)) {
      if (e.text != query::promql::quote(text->v)) fail("unexpected string from " + expr);
    } else if (const auto* v = std::get_if<query::Vector>(&answer->value)) {
      std::vector<std::pair<Labels, Value>> points;
      for (const auto& p : *v) points.emplace_back(p.labels, value_of(p));
      check_points(e, points, expr);
    } else {
      if (!e.range_vector) return fail("did not expect a range vector from " + expr);
      check_matrix(e, std::get<query::Matrix>(answer->value), e.range_vector->first, e.range_vector->second, expr);
      return;
    }
    as_range(e, t, expr);
  }

  void as_range(const Expectation& e, std::int64_t t, const std::string& expr) {
    static const std::regex edges(R"((start|end|range|step)\s*\()");
    if (e.ordered || e.text || std::regex_search(expr, edges)) return;
    const auto answer = query::Engine(*store_, clock_, {}).range(expr, t - 60'000, t + 60'000, 60'000);
    if (!answer) return;  // another step may fail where the wanted one does not
    std::vector<std::pair<Labels, Value>> points;
    for (const auto& s : std::get<query::Matrix>(answer->value)) {
      for (const auto& p : s.samples)
        if (p.t == t) points.emplace_back(s.labels, value_of(p.v));
      for (const auto& p : s.histograms)
        if (p.t == t) points.emplace_back(s.labels, value_of(p.h));
    }
    if (!e.scalar) return check_points(e, points, "as a range query: " + expr);
    if (points.size() != 1 || !almost_equal(*e.scalar, points[0].second.v)) fail("as a range query: " + expr);
  }

  void check_matrix(const Expectation& e, const query::Matrix& matrix, std::int64_t start, std::int64_t step, const std::string& expr) {
    std::map<Labels, const query::MatrixSeries*> got;
    for (const auto& s : matrix) got[s.labels] = &s;
    if (!std::ranges::is_sorted(matrix, {}, &query::MatrixSeries::labels)) fail("not sorted: " + expr);
    std::vector<SeriesLine> wanted = e.series;
    if (e.scalar) wanted.push_back({Labels{}, {{true, *e.scalar}}});
    for (const SeriesLine& want : wanted) {
      const auto found = got.find(want.labels);
      const auto value_at = [&](std::int64_t t) -> std::optional<Value> {
        if (found == got.end()) return std::nullopt;
        for (const auto& s : found->second->samples)
          if (s.t == t) return value_of(s.v);
        for (const auto& s : found->second->histograms)
          if (s.t == t) return value_of(s.h);
        return std::nullopt;
      };
      std::size_t present = 0;
      for (std::size_t i = 0; i < want.items.size(); ++i) {
        const std::int64_t t = start + static_cast<std::int64_t>(i) * step;
        const std::optional<Value> s = value_at(t);
        present += want.items[i].present;
        if (s.has_value() != want.items[i].present)
          return fail(fmt::format("{}: {} at {} ms: {}", expr, want.labels.str(), t, s ? "not expected" : "missing"));
        if (s && !as_wanted(want.items[i], *s))
          return fail(fmt::format("{}: {} at {} ms is {}, expected {}", expr, want.labels.str(), t, s->str(), text_of(want.items[i])));
      }
      if (found == got.end()) {
        if (present > 0) return fail(fmt::format("{}: {} is missing", expr, want.labels.str()));
        continue;
      }
      const std::size_t points = found->second->samples.size() + found->second->histograms.size();
      if (points != present)
        return fail(fmt::format("{}: {} has {} samples, expected {}", expr, want.labels.str(), points, present));
      got.erase(found);
    }
    if (!got.empty()) fail(fmt::format("{}: {} was not expected", expr, got.begin()->first.str()));
  }

  void range(const std::string& legacy, std::int64_t start, std::int64_t end, std::int64_t step, const std::string& expr) {
    const Expectation e = expectations(legacy);
    ++result_.evaluations;
    const auto answer = query::Engine(*store_, clock_, {}).range(expr, start, end, step);
    if (!answer && answer.error().code == Code::unsupported && !e.fail) {
      ++result_.skipped;
      return;
    }
    if (check_failure(e, answer, expr)) return;
    if (!check_notes(e, *answer, expr)) return;
    check_matrix(e, std::get<query::Matrix>(answer->value), start, step, expr);
  }

  std::string path_;
  std::vector<std::string> lines_;
  std::size_t at_ = 0, command_line_ = 0;
  std::unique_ptr<MemoryStore> store_;
  ManualClock clock_;
  ScriptResult result_;
};

}  // namespace

ScriptResult run_script(const std::string& path) { return Runner(path).run(); }

}  // namespace plumbline::test
