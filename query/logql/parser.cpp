#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "daemon/base/text.hpp"
#include "query/logql/logql.hpp"

namespace plumbline::query::logql {
namespace {

enum class Token { end, word, number, text, symbol };

bool word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Query> query() {
    PLUMBLINE_CHECK_OK(next());
    if (is("{")) {
      PLUMBLINE_TRY(LogQuery logs, log_query());
      PLUMBLINE_CHECK_OK(at_end());
      return Query(std::move(logs));
    }
    PLUMBLINE_TRY(MetricPtr metric, sum(0));
    PLUMBLINE_CHECK_OK(at_end());
    return Query(std::move(metric));
  }

  Result<model::Matchers> selector_only() {
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_TRY(model::Matchers matchers, selector());
    PLUMBLINE_CHECK_OK(at_end());
    return matchers;
  }

 private:
  // ------------------------------------------------------------------------------------------------------------- tokens

  std::string place(std::size_t at) const {
    const auto before = text_.substr(0, at);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t newline = before.rfind('\n');
    return std::to_string(line) + ":" + std::to_string(newline == std::string_view::npos ? at + 1 : at - newline);
  }
  std::unexpected<Error> wrong(const std::string& expected) const {
    const std::string found = kind_ == Token::end ? "the end" : json_quote(text_.substr(start_, at_ - start_));
    return fail(Code::invalid_input, place(start_) + ": expected " + expected + ", found " + found);
  }
  std::unexpected<Error> unsupported(const std::string& piece) const {
    return fail(Code::unsupported, "not supported: " + piece + " at " + place(start_));
  }
  bool is(std::string_view token) const { return (kind_ == Token::symbol || kind_ == Token::word) && value_ == token; }
  Result<bool> take(std::string_view token) {
    if (!is(token)) return false;
    PLUMBLINE_CHECK_OK(next());
    return true;
  }
  Status need(std::string_view token) {
    if (!is(token)) return wrong("'" + std::string(token) + "'");
    return next();
  }
  Status at_end() const {
    if (kind_ != Token::end) return wrong("an operator or the end");
    return {};
  }

  Status next() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') ++at_;
      else if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else break;
    }
    start_ = at_;
    value_.clear();
    if (at_ >= text_.size()) {
      kind_ = Token::end;
      return {};
    }
    const char c = text_[at_];
    if (c == '"' || c == '`') return quoted(c);
    if (word_start(c)) {
      while (at_ < text_.size() && (word_start(text_[at_]) || digit(text_[at_]) || text_[at_] == ':')) ++at_;
      kind_ = Token::word;
      value_ = std::string(text_.substr(start_, at_ - start_));
      return {};
    }
    if (digit(c) || (c == '.' && at_ + 1 < text_.size() && digit(text_[at_ + 1]))) {
      // A number, or a number with a unit: 5m, 1h30m, 10KB.
      while (at_ < text_.size() && (digit(text_[at_]) || word_start(text_[at_]) || text_[at_] == '.' ||
                                    ((text_[at_] == '+' || text_[at_] == '-') &&
                                     (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'))))
        ++at_;
      kind_ = Token::number;
      value_ = std::string(text_.substr(start_, at_ - start_));
      return {};
    }
    static constexpr std::array<std::string_view, 31> symbols{
        "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", "[", "]",
        ",",  "|",  "=",  ">",  "<",  "+",  "-",  "*",  "/",  "%",  "^", "@", ".", ":", "!"};
    for (const std::string_view symbol : symbols)
      if (text_.substr(at_).starts_with(symbol)) {
        kind_ = Token::symbol;
        value_ = std::string(symbol);
        at_ += symbol.size();
        return {};
      }
    return fail(Code::invalid_input, place(at_) + ": unexpected " + json_quote(text_.substr(at_, 1)));
  }

  // Go's string forms: "..." with escapes, `...` as it stands.
  Status quoted(char quote) {
    kind_ = Token::text;
    for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
      if (text_[i] == quote) {
        at_ = i + 1;
        return {};
      }
      if (quote == '`' || text_[i] != '\\') {
        value_.push_back(text_[i]);
        continue;
      }
      if (++i >= text_.size()) break;
      switch (text_[i]) {
        case 'n': value_.push_back('\n'); break;
        case 't': value_.push_back('\t'); break;
        case 'r': value_.push_back('\r'); break;
        case '\\':
        case '"':
        case '\'': value_.push_back(text_[i]); break;
        case 'x': {
          const auto byte = from_hex(text_.substr(i + 1, 2));
          if (!byte || byte->size() != 1) return fail(Code::invalid_input, place(i) + ": bad \\x escape");
          value_ += *byte;
          i += 2;
          break;
        }
        default: return fail(Code::invalid_input, place(i) + ": unknown escape \\" + std::string(1, text_[i]));
      }
    }
    return fail(Code::invalid_input, place(start_) + ": a string has no closing quote");
  }

  // --------------------------------------------------------------------------------------------------------------- logs

  Result<model::Matchers> selector() {
    PLUMBLINE_CHECK_OK(need("{"));
    model::Matchers matchers;
    while (!is("}")) {
      if (kind_ != Token::word) return wrong("a label name or '}'");
      std::string name = value_;
      PLUMBLINE_CHECK_OK(next());
      PLUMBLINE_TRY(model::Matcher matcher, text_matcher(std::move(name)));
      matchers.push_back(std::move(matcher));
      PLUMBLINE_TRY(const bool comma, take(","));
      if (!comma && !is("}")) return wrong("',' or '}'");
    }
    PLUMBLINE_CHECK_OK(next());
    return matchers;
  }

  Result<model::Matcher> text_matcher(std::string name) {
    static constexpr std::array<std::pair<std::string_view, model::MatchOp>, 4> ops{
        {{"=", model::MatchOp::equal}, {"!=", model::MatchOp::not_equal}, {"=~", model::MatchOp::regex},
         {"!~", model::MatchOp::not_regex}}};
    const auto op = std::find_if(ops.begin(), ops.end(), [&](const auto& o) { return is(o.first); });
    if (op == ops.end()) return wrong("= != =~ or !~");
    PLUMBLINE_CHECK_OK(next());
    if (kind_ != Token::text) return wrong("a quoted value");
    auto made = model::Matcher::make(op->second, std::move(name), value_);
    if (!made) return fail(made.error().in(place(start_)));
    PLUMBLINE_CHECK_OK(next());
    return made;
  }

  Result<LogQuery> log_query() {
    LogQuery query;
    const std::size_t at = start_;
    PLUMBLINE_TRY(query.selector, selector());
    if (std::all_of(query.selector.begin(), query.selector.end(), [](const auto& m) { return m.matches_empty(); }))
      return fail(Code::invalid_input, place(at) + ": a selector needs at least one condition that an absent label does not "
                                                   "meet, such as {app=~\".+\"}");
    while (true) {
      if (is("|=") || is("|~") || is("!=") || is("!~")) {
        PLUMBLINE_TRY(LineFilter filter, line_filter());
        query.stages.emplace_back(std::move(filter));
      } else if (is("|>") || is("!>")) {
        return unsupported("pattern line filter '" + value_ + "'");
      } else if (is("|")) {
        PLUMBLINE_CHECK_OK(next());
        PLUMBLINE_TRY(Stage stage, pipe_stage());
        query.stages.push_back(std::move(stage));
      } else {
        return query;
      }
    }
  }

  Result<LineFilter> line_filter() {
    LineFilter filter;
    filter.op = value_ == "|=" ? LineOp::contains : value_ == "!=" ? LineOp::not_contains
                : value_ == "|~" ? LineOp::matches : LineOp::not_matches;
    const bool regex = filter.op == LineOp::matches || filter.op == LineOp::not_matches;
    PLUMBLINE_CHECK_OK(next());
    while (true) {
      if (is("ip")) return unsupported("line filter ip()");
      if (kind_ != Token::text) return wrong("a quoted string");
      if (regex) {
        re2::RE2::Options options;
        options.set_log_errors(false);
        options.set_dot_nl(true);
        options.set_max_mem(1 << 20);  // the bound of label regexes
        auto pattern = std::make_shared<const re2::RE2>(value_, options);
        if (!pattern->ok()) return fail(Code::invalid_input, place(start_) + ": " + pattern->error());
        filter.patterns.push_back(std::move(pattern));
      } else {
        filter.texts.push_back(value_);
      }
      PLUMBLINE_CHECK_OK(next());
      PLUMBLINE_TRY(const bool more, take("or"));
      if (!more) return filter;
    }
  }

  Result<Stage> pipe_stage() {
    for (const std::string_view parser : {"json", "logfmt", "regexp", "pattern", "unpack"})
      if (is(parser)) return unsupported("parser stage '" + value_ + "'");
    for (const std::string_view formatter : {"line_format", "label_format", "decolorize", "unwrap", "distinct"})
      if (is(formatter)) return unsupported("stage '" + value_ + "'");
    if (is("drop") || is("keep")) {
      LabelChoice choice;
      choice.keep = value_ == "keep";
      PLUMBLINE_CHECK_OK(next());
      while (true) {
        if (kind_ != Token::word) return wrong("a label name");
        choice.names.push_back(value_);
        PLUMBLINE_CHECK_OK(next());
        if (is("=") || is("!=") || is("=~") || is("!~")) return unsupported("condition in drop or keep");
        PLUMBLINE_TRY(const bool comma, take(","));
        if (!comma) return Stage(std::move(choice));
      }
    }
    PLUMBLINE_TRY(LabelFilter filter, label_any(0));
    return Stage(std::move(filter));
  }

  Result<LabelFilter> label_any(int depth) {
    PLUMBLINE_TRY(LabelFilter first, label_all(depth));
    if (!is("or")) return first;
    LabelFilter any;
    any.kind = LabelFilter::Kind::any;
    any.children.push_back(std::move(first));
    while (is("or")) {
      PLUMBLINE_CHECK_OK(next());
      PLUMBLINE_TRY(LabelFilter more, label_all(depth));
      any.children.push_back(std::move(more));
    }
    return any;
  }
  Result<LabelFilter> label_all(int depth) {
    PLUMBLINE_TRY(LabelFilter first, label_one(depth));
    LabelFilter all;
    all.kind = LabelFilter::Kind::all;
    all.children.push_back(std::move(first));
    while (is("and") || is(",") || kind_ == Token::word) {
      if (is("or")) break;
      if (is("and") || is(",")) PLUMBLINE_CHECK_OK(next());
      PLUMBLINE_TRY(LabelFilter more, label_one(depth));
      all.children.push_back(std::move(more));
    }
    if (all.children.size() == 1) return std::move(all.children.front());
    return all;
  }
  Result<LabelFilter> label_one(int depth) {
    if (depth > depth_max) return wrong("no more than " + std::to_string(depth_max) + " nested parentheses");
    PLUMBLINE_TRY(const bool open, take("("));
    if (open) {
      PLUMBLINE_TRY(LabelFilter inner, label_any(depth + 1));
      PLUMBLINE_CHECK_OK(need(")"));
      return inner;
    }
    if (kind_ != Token::word) return wrong("a label filter, drop or keep");
    LabelFilter filter;
    filter.name = value_;
    PLUMBLINE_CHECK_OK(next());
    using Compare = LabelFilter::Compare;
    static constexpr std::array<std::pair<std::string_view, Compare>, 7> ops{
        {{"=", Compare::equal}, {"==", Compare::equal}, {"!=", Compare::not_equal}, {"<", Compare::less},
         {"<=", Compare::less_equal}, {">", Compare::greater}, {">=", Compare::greater_equal}}};
    const auto op = std::find_if(ops.begin(), ops.end(), [&](const auto& o) { return is(o.first); });
    const bool text_op = is("=") || is("!=") || is("=~") || is("!~");
    if (op == ops.end() && !text_op) return wrong("a comparison (= != =~ !~ == > >= < <=)");
    // A copy of the parser's state decides by the value: quoted text or a number.
    Parser ahead(*this);
    PLUMBLINE_CHECK_OK(ahead.next());
    if (ahead.is("ip")) return unsupported("label filter ip()");
    if (ahead.kind_ == Token::text) {
      if (!text_op) return ahead.wrong("a number after '" + value_ + "'");
      PLUMBLINE_TRY(model::Matcher matcher, text_matcher(filter.name));
      filter.matcher = std::move(matcher);
      return filter;
    }
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_TRY(const bool minus, take("-"));
    if (kind_ != Token::number || op == ops.end()) return wrong("a quoted value or a number");
    const auto number = parse_number(value_);
    if (!number) return unsupported("number with a unit (" + value_ + ")");
    filter.kind = LabelFilter::Kind::number;
    filter.compare = op->second;
    filter.number = minus ? -*number : *number;
    PLUMBLINE_CHECK_OK(next());
    return filter;
  }

  // ------------------------------------------------------------------------------------------------------------- metrics

  Result<MetricPtr> binary_chain(int level, int depth) {
    // Loosest first; `^` binds to the right and tightest.
    static constexpr std::array<std::array<std::string_view, 3>, 2> levels{{{"+", "-", ""}, {"*", "/", "%"}}};
    if (level == 2) return power(depth);
    PLUMBLINE_TRY(MetricPtr left, binary_chain(level + 1, depth));
    while (true) {
      const auto& ops = levels[static_cast<std::size_t>(level)];
      const auto op = std::find_if(ops.begin(), ops.end(), [&](std::string_view o) { return !o.empty() && is(o); });
      if (op == ops.end()) return left;
      PLUMBLINE_CHECK_OK(operator_ahead());
      PLUMBLINE_TRY(MetricPtr right, binary_chain(level + 1, depth));
      left = join(std::string(*op), left, right);
    }
  }
  Result<MetricPtr> power(int depth) {
    PLUMBLINE_TRY(MetricPtr base, primary(depth));
    if (!is("^")) return base;
    if (depth > depth_max) return wrong("a shorter chain of '^'");
    PLUMBLINE_CHECK_OK(operator_ahead());
    PLUMBLINE_TRY(MetricPtr exponent, power(depth + 1));
    return join("^", base, exponent);
  }
  Status operator_ahead() {
    PLUMBLINE_CHECK_OK(next());
    if (is("on") || is("ignoring") || is("bool")) return unsupported("modifier '" + value_ + "'");
    return {};
  }
  static MetricPtr join(std::string op, MetricPtr left, MetricPtr right) {
    auto node = std::make_shared<Metric>();
    node->kind = Metric::Kind::binary;
    node->op = std::move(op);
    node->left = std::move(left);
    node->right = std::move(right);
    return node;
  }
  Result<MetricPtr> sum(int depth) {
    if (depth > depth_max) return wrong("no more than " + std::to_string(depth_max) + " nested expressions");
    PLUMBLINE_TRY(MetricPtr value, binary_chain(0, depth));
    for (const std::string_view op : {"==", "!=", ">", ">=", "<", "<=", "and", "or", "unless"})
      if (is(op)) return unsupported("operator '" + value_ + "' between metrics");
    return value;
  }

  Result<MetricPtr> primary(int depth) {
    auto node = std::make_shared<Metric>();
    PLUMBLINE_TRY(const bool minus, take("-"));
    if (kind_ == Token::number) {
      const auto number = parse_number(value_);
      if (!number) return wrong("a number");
      node->number = minus ? -*number : *number;
      PLUMBLINE_CHECK_OK(next());
      return node;
    }
    if (minus) return wrong("a number after '-'");
    PLUMBLINE_TRY(const bool open, take("("));
    if (open) {
      PLUMBLINE_TRY(MetricPtr inner, sum(depth + 1));
      PLUMBLINE_CHECK_OK(need(")"));
      return inner;
    }
    if (kind_ != Token::word) return wrong("a log selector {...}, a function or a number");
    node->op = value_;
    if (is("vector")) return vector_literal(node);
    for (const std::string_view op : {"count_over_time", "rate", "bytes_over_time", "bytes_rate"})
      if (is(op)) return over_time(node);
    for (const std::string_view op : {"sum", "avg", "min", "max", "count"})
      if (is(op)) return aggregate(node, depth);
    return unsupported("function '" + value_ + "'");
  }

  Result<MetricPtr> vector_literal(std::shared_ptr<Metric> node) {
    node->kind = Metric::Kind::vector;
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_CHECK_OK(need("("));
    PLUMBLINE_TRY(const bool minus, take("-"));
    const auto number = kind_ == Token::number ? parse_number(value_) : std::nullopt;
    if (!number) return wrong("a number");
    node->number = minus ? -*number : *number;
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_CHECK_OK(need(")"));
    return node;
  }

  Result<MetricPtr> over_time(std::shared_ptr<Metric> node) {
    node->kind = Metric::Kind::over_time;
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_CHECK_OK(need("("));
    if (!is("{")) return wrong("a log selector {...}");
    PLUMBLINE_TRY(node->logs, log_query());
    PLUMBLINE_CHECK_OK(need("["));
    PLUMBLINE_TRY(node->range_ns, duration());
    if (node->range_ns <= 0) return wrong("a range above 0");
    PLUMBLINE_CHECK_OK(need("]"));
    // Stages may also follow the range: count_over_time({a="b"}[5m] |= "x").
    if (is("|") || is("|=") || is("|~") || is("!=") || is("!~")) return unsupported("stages after the range");
    PLUMBLINE_TRY(const bool offset, take("offset"));
    if (offset) {
      PLUMBLINE_TRY(const bool minus, take("-"));
      PLUMBLINE_TRY(node->offset_ns, duration());
      if (minus) node->offset_ns = -node->offset_ns;
    }
    PLUMBLINE_CHECK_OK(need(")"));
    return node;
  }

  Result<std::int64_t> duration() {
    if (kind_ != Token::number) return wrong("a duration such as 5m");
    auto ms = parse_duration_ms(value_);
    if (!ms) return fail(ms.error().in(place(start_)));
    if (*ms > 10ll * 365 * 24 * 3'600'000) return wrong("a duration of at most ten years");
    PLUMBLINE_CHECK_OK(next());
    return *ms * 1'000'000;
  }

  Status grouping(Metric& node) {
    if (!is("by") && !is("without")) return {};
    (is("by") ? node.by : node.without) = true;
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_CHECK_OK(need("("));
    while (!is(")")) {
      if (kind_ != Token::word) return wrong("a label name or ')'");
      node.names.push_back(value_);
      PLUMBLINE_CHECK_OK(next());
      PLUMBLINE_TRY(const bool comma, take(","));
      if (!comma && !is(")")) return wrong("',' or ')'");
    }
    return next();
  }

  Result<MetricPtr> aggregate(std::shared_ptr<Metric> node, int depth) {
    node->kind = Metric::Kind::aggregate;
    PLUMBLINE_CHECK_OK(next());
    PLUMBLINE_CHECK_OK(grouping(*node));
    PLUMBLINE_CHECK_OK(need("("));
    PLUMBLINE_TRY(node->left, sum(depth + 1));
    PLUMBLINE_CHECK_OK(need(")"));
    if (!node->by && !node->without) PLUMBLINE_CHECK_OK(grouping(*node));
    return node;
  }

  std::string_view text_;
  std::size_t at_ = 0, start_ = 0;
  Token kind_ = Token::end;
  std::string value_;
};

Status check_size(std::string_view text) {
  if (text.size() <= query_bytes_max) return {};
  return fail(Code::too_large, "the query is longer than " + std::to_string(query_bytes_max) + " bytes (query_bytes_max)");
}

}  // namespace

Result<Query> parse(std::string_view text) {
  PLUMBLINE_CHECK_OK(check_size(text));
  return Parser(text).query();
}

Result<model::Matchers> parse_selector(std::string_view text) {
  PLUMBLINE_CHECK_OK(check_size(text));
  return Parser(text).selector_only();
}

}  // namespace plumbline::query::logql
