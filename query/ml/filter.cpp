#include "query/ml/filter.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "daemon/base/text.hpp"
#include "query/query.hpp"
#include "storage/model/matcher.hpp"

namespace plumbline::query::ml {

namespace field = model::field;

enum class Op { equal, not_equal, less, less_equal, greater, greater_equal, regex, not_regex };

struct Filter::Node {
  enum class Kind { all, any, negation, comparison } kind = Kind::comparison;
  std::vector<std::shared_ptr<const Node>> children;
  // comparison:
  enum class From { column, version, model } from = From::column;
  std::size_t column = 0;  // in Filter::columns_
  Op op = Op::equal;
  model::Value literal;
  std::optional<model::Matcher> matcher;
};

std::optional<std::string> text_of(const model::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<double>(&value)) {
    if (std::isnan(*number)) return std::nullopt;
    return format_number(*number);
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  return std::nullopt;
}

std::optional<double> number_of(const model::Value& value) {
  if (const auto* number = std::get_if<double>(&value))
    return std::isnan(*number) ? std::nullopt : std::optional<double>(*number);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? 1.0 : 0.0;
  return std::nullopt;
}

namespace {

bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool name_char(char c) { return name_start(c) || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-'; }

template <class T>
bool ordered(Op op, const T& a, const T& b) {
  switch (op) {
    case Op::equal: return a == b;
    case Op::not_equal: return a != b;
    case Op::less: return a < b;
    case Op::less_equal: return a <= b;
    case Op::greater: return a > b;
    case Op::greater_equal: return a >= b;
    case Op::regex:
    case Op::not_regex: break;
  }
  return false;
}

bool compare(Op op, const model::Value& value, const model::Value& literal) {
  const auto* wanted_text = std::get_if<std::string>(&literal);
  const auto* held_text = std::get_if<std::string>(&value);
  if (wanted_text != nullptr) {
    const std::optional<std::string> held = text_of(value);
    if (!held) return op == Op::not_equal;
    if (held_text == nullptr && op != Op::equal && op != Op::not_equal) {  // a number against "30": as numbers
      const std::optional<double> wanted = parse_number(*wanted_text);
      return wanted && ordered(op, *number_of(value), *wanted);
    }
    return ordered(op, *held, *wanted_text);
  }
  const double wanted = *number_of(literal);
  std::optional<double> held = number_of(value);
  if (!held && held_text != nullptr) {
    if (std::holds_alternative<bool>(literal))
      held = *held_text == "true" ? std::optional<double>(1) : *held_text == "false" ? std::optional<double>(0) : std::nullopt;
    else held = parse_number(*held_text);
  }
  if (!held || std::isnan(*held)) return op == Op::not_equal;
  return ordered(op, *held, wanted);
}

}  // namespace

class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  Result<Filter> run() {
    skip_space();
    if (at_ == text_.size()) return Filter();
    PLUMBLINE_TRY(Node root, any_of(0));
    if (at_ < text_.size()) return wrong("expected 'and', 'or' or the end");
    filter_.root_ = std::move(root);
    return std::move(filter_);
  }

 private:
  using Node = std::shared_ptr<const Filter::Node>;
  using Kind = Filter::Node::Kind;

  std::unexpected<Error> wrong(const std::string& what) const { return wrong(what, at_); }
  std::unexpected<Error> wrong(const std::string& what, std::size_t at) const {
    const std::string found = at < text_.size() ? json_quote(text_.substr(at, 1)) : "the end";
    return fail(Code::invalid_input, "where: 1:" + std::to_string(at + 1) + ": " + what + ", found " + found);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    skip_space();
    return true;
  }
  bool take_word(std::string_view word) {
    if (at_ + word.size() > text_.size() || to_lower(text_.substr(at_, word.size())) != word) return false;
    if (at_ + word.size() < text_.size() && name_char(text_[at_ + word.size()])) return false;
    at_ += word.size();
    skip_space();
    return true;
  }

  Result<Node> any_of(int depth) {
    PLUMBLINE_TRY(Node first, all_of(depth));
    std::vector<Node> children{first};
    while (take_word("or")) {
      PLUMBLINE_TRY(Node next, all_of(depth));
      children.push_back(next);
    }
    return children.size() == 1 ? first : group(Kind::any, std::move(children));
  }
  Result<Node> all_of(int depth) {
    PLUMBLINE_TRY(Node first, unary(depth));
    std::vector<Node> children{first};
    while (take_word("and")) {
      PLUMBLINE_TRY(Node next, unary(depth));
      children.push_back(next);
    }
    return children.size() == 1 ? first : group(Kind::all, std::move(children));
  }
  Result<Node> unary(int depth) {
    if (depth > filter_depth_max) return wrong("nested deeper than " + std::to_string(filter_depth_max));
    if (take_word("not")) {
      PLUMBLINE_TRY(Node inner, unary(depth + 1));
      return group(Kind::negation, {inner});
    }
    if (take("(")) {
      PLUMBLINE_TRY(Node inner, any_of(depth + 1));
      if (!take(")")) return wrong("expected ')'");
      return inner;
    }
    return comparison();
  }
  static Node group(Kind kind, std::vector<Node> children) {
    auto node = std::make_shared<Filter::Node>();
    node->kind = kind;
    node->children = std::move(children);
    return node;
  }

  Result<Node> comparison() {
    auto node = std::make_shared<Filter::Node>();
    PLUMBLINE_TRY(const std::string name, parse_name());
    if (name == "version") node->from = Filter::Node::From::version;
    else if (name == "model") node->from = Filter::Node::From::model;
    else node->column = column(name);
    static constexpr std::array<std::pair<std::string_view, Op>, 9> ops{
        {{"==", Op::equal}, {"=~", Op::regex}, {"=", Op::equal}, {"!=", Op::not_equal}, {"!~", Op::not_regex},
         {"<=", Op::less_equal}, {"<", Op::less}, {">=", Op::greater_equal}, {">", Op::greater}}};
    const auto op = std::find_if(ops.begin(), ops.end(), [&](const auto& o) { return take(o.first); });
    if (op == ops.end()) return wrong("expected a comparison (= != < <= > >= =~ !~)");
    node->op = op->second;
    const std::size_t value_at = at_;
    PLUMBLINE_TRY(node->literal, parse_value());
    if (node->op == Op::regex || node->op == Op::not_regex) {
      const auto* pattern = std::get_if<std::string>(&node->literal);
      if (pattern == nullptr) return wrong("expected a quoted regex", value_at);
      auto matcher = model::Matcher::make(model::MatchOp::regex, name, *pattern);
      if (!matcher) return fail(matcher.error().in("where: 1:" + std::to_string(value_at + 1)));
      node->matcher = std::move(*matcher);
    }
    return node;
  }
  Result<std::string> parse_name() {
    if (at_ < text_.size() && text_[at_] == '`') {
      const std::size_t end = text_.find('`', at_ + 1);
      if (end == std::string_view::npos) return wrong("a quoted name has no closing `");
      std::string name(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end + 1;
      skip_space();
      return name;
    }
    if (at_ >= text_.size() || !name_start(text_[at_])) return wrong("expected a name, 'not' or '('");
    const std::size_t start = at_;
    while (at_ < text_.size() && name_char(text_[at_])) ++at_;
    std::string name(text_.substr(start, at_ - start));
    skip_space();
    return name;
  }
  Result<model::Value> parse_value() {
    if (at_ >= text_.size()) return wrong("expected a value (a number, \"text\", true or false)");
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      std::string out;
      std::size_t i = at_ + 1;
      for (; i < text_.size() && text_[i] != c; ++i) {
        if (text_[i] == '\\' && i + 1 < text_.size() && (text_[i + 1] == c || text_[i + 1] == '\\')) ++i;
        out.push_back(text_[i]);
      }
      if (i >= text_.size()) return wrong("a quoted text has no closing quote");
      at_ = i + 1;
      skip_space();
      return model::Value(std::move(out));
    }
    if (take_word("true")) return model::Value(true);
    if (take_word("false")) return model::Value(false);
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n()", at_), text_.size());
    const std::optional<double> number = parse_number(text_.substr(at_, end - at_));
    if (!number || std::isnan(*number)) return wrong("expected a value (a number, \"text\", true or false)");
    at_ = end;
    skip_space();
    return model::Value(*number);
  }
  std::size_t column(const std::string& name) {
    static constexpr std::array known{field::status,  field::prediction,    field::score,    field::label,
                                      field::latency_ms, field::prediction_id, field::trace_id, field::span_id};
    const bool as_is = std::find(known.begin(), known.end(), name) != known.end() ||
                       name.starts_with(field::segment_prefix) || name.starts_with(field::feature_prefix) ||
                       name.starts_with(field::class_score_prefix);
    std::string stored = as_is ? name : std::string(field::feature_prefix) + name;
    const auto at = std::find(filter_.columns_.begin(), filter_.columns_.end(), stored);
    if (at != filter_.columns_.end()) return static_cast<std::size_t>(at - filter_.columns_.begin());
    filter_.columns_.push_back(std::move(stored));
    return filter_.columns_.size() - 1;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Filter filter_;
};

Result<Filter> Filter::parse(std::string_view text) {
  if (text.size() > filter_bytes_max)
    return fail(Code::too_large, "where: longer than " + std::to_string(filter_bytes_max) + " bytes (filter_bytes_max)");
  return FilterParser(text).run();
}

std::optional<std::string> Filter::version() const {
  if (!root_) return std::nullopt;
  const auto pinned = [](const Node& node) -> std::optional<std::string> {
    if (node.kind != Node::Kind::comparison || node.from != Node::From::version || node.op != Op::equal) return std::nullopt;
    const auto* text = std::get_if<std::string>(&node.literal);
    return text == nullptr ? std::nullopt : std::optional<std::string>(*text);
  };
  if (root_->kind != Node::Kind::all) return pinned(*root_);
  for (const auto& child : root_->children)
    if (auto found = pinned(*child)) return found;
  return std::nullopt;
}

Filter::Bound::Bound(const Filter& filter, const storage::RowBlock& block) : filter_(filter) {
  for (const std::string& name : filter.columns_) columns_.push_back(block.find(name));
  if (block.stream->has("version")) version_ = std::string(block.stream->get("version"));
  if (block.stream->has("model")) model_ = std::string(block.stream->get("model"));
}

bool Filter::Bound::passes(std::size_t row) const { return filter_.empty() || evaluate(*filter_.root_, row); }

bool Filter::Bound::evaluate(const Node& node, std::size_t row) const {
  const auto inner = [&](const auto& child) { return evaluate(*child, row); };
  switch (node.kind) {
    case Node::Kind::all: return std::all_of(node.children.begin(), node.children.end(), inner);
    case Node::Kind::any: return std::any_of(node.children.begin(), node.children.end(), inner);
    case Node::Kind::negation: return !evaluate(*node.children[0], row);
    case Node::Kind::comparison: break;
  }
  static const model::Value absent;
  const storage::Column* column = node.from == Node::From::column ? columns_[node.column] : nullptr;
  const model::Value& value = node.from == Node::From::version ? version_
                              : node.from == Node::From::model ? model_
                              : column != nullptr              ? column->values[row]
                                                               : absent;
  if (!node.matcher) return compare(node.op, value, node.literal);
  const std::optional<std::string> text = text_of(value);
  return (text && node.matcher->matches(*text)) == (node.op == Op::regex);
}

}  // namespace plumbline::query::ml

namespace plumbline::query {

Status check_where(std::string_view filter) {
  const auto parsed = ml::Filter::parse(filter);
  if (!parsed) return fail(parsed.error());
  return {};
}

}  // namespace plumbline::query
