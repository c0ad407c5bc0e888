#include "alerting/routing.hpp"

#include <fmt/format.h>

#include <cctype>

#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

// Real trees are three deep with tens of routes; the bound keeps recursion off a hostile file.
constexpr int route_depth_max = 32;

class MatcherParser {
 public:
  explicit MatcherParser(std::string_view text) : text_(trim(text)) {}

  Result<model::Matchers> run() {
    model::Matchers out;
    const bool braces = text_.starts_with('{');
    if (braces) {
      if (!text_.ends_with('}')) return bad("a closing }");
      text_ = trim(text_.substr(1, text_.size() - 2));
      if (text_.empty()) return out;
    }
    while (true) {
      PLUMBLINE_TRY(auto matcher, one());
      out.push_back(std::move(matcher));
      skip();
      if (at_ == text_.size()) return out;
      if (text_[at_] != ',') return bad("a comma");
      ++at_;
      skip();
      if (at_ == text_.size()) return out;
    }
  }

 private:
  std::unexpected<Error> bad(std::string_view expected) const {
    return fail(
        Code::invalid_input,
        fmt::format("matcher {} at position {}: expected {}; write name=\"value\" with =, !=, =~ or !~",
                    json_quote(text_), at_ + 1, expected));
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  Result<model::Matcher> one() {
    const std::size_t from = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    const std::string name(text_.substr(from, at_ - from));
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return bad("a label name");
    skip();
    model::MatchOp op = model::MatchOp::equal;
    const std::string_view two = text_.substr(at_, 2);
    if (two == "=~")
      op = model::MatchOp::regex;
    else if (two == "!~")
      op = model::MatchOp::not_regex;
    else if (two == "!=")
      op = model::MatchOp::not_equal;
    else if (!two.starts_with('='))
      return bad("an operator");
    at_ += op == model::MatchOp::equal ? 1 : 2;
    skip();
    PLUMBLINE_TRY(std::string value, this->value());
    return model::Matcher::make(op, name, std::move(value));
  }

  Result<std::string> value() {
    std::string out;
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] != '\\' || at_ + 1 == text_.size()) {
          out += text_[at_];
          continue;
        }
        const char c = text_[++at_];
        if (c == 'n')
          out += '\n';
        else if (c == '"' || c == '\\')
          out += c;
        else
          out += '\\', out += c;
      }
      if (at_ == text_.size()) return bad("a closing quote");
      ++at_;
      return out;
    }
    while (at_ < text_.size() && text_[at_] != ',') {
      if (text_[at_] == '"' || text_[at_] == '{' || text_[at_] == '}') return bad("a quoted value");
      out += text_[at_++];
    }
    return std::string(trim(out));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string matchers_text(const model::Matchers& matchers) {
  std::string out = "{";
  for (const model::Matcher& m : matchers) out += (out.size() > 1 ? "," : "") + m.str();
  return out + "}";
}

}  // namespace

Result<model::Matchers> parse_matchers(std::string_view text) {
  return MatcherParser(text).run();
}

RouteTree RouteTree::make(const RouteSpec& root, std::vector<std::string>& errors) {
  RouteTree out;
  if (root.receiver.empty()) errors.push_back(root.place.str() + ": the root route needs a receiver");
  if (!root.matchers.empty())
    errors.push_back(root.place.str() + ": the root route must not have matchers: it takes every alert");
  out.add(root, nullptr, 0, errors);
  return out;
}

std::size_t RouteTree::add(const RouteSpec& spec, const RouteNode* parent, int depth,
                           std::vector<std::string>& errors) {
  const auto error = [&](std::string_view text) {
    errors.push_back(fmt::format("{}: {}", spec.place.str(), text));
  };
  RouteNode node = parent ? *parent : RouteNode{};
  node.children.clear();
  node.matchers.clear();
  node.continue_matching = spec.continue_matching;
  if (!spec.receiver.empty()) node.receiver = spec.receiver;
  for (const std::string& text : spec.matchers) {
    auto parsed = parse_matchers(text);
    if (!parsed) {
      error(parsed.error().message);
      continue;
    }
    for (model::Matcher& m : *parsed) node.matchers.push_back(std::move(m));
  }
  if (!spec.group_by.empty()) {
    node.group_by.clear();
    node.group_by_all = false;
    for (const std::string& name : spec.group_by) {
      if (name == "...")
        node.group_by_all = true;
      else if (!node.group_by.insert(name).second)
        error(fmt::format("duplicate label {} in group_by", json_quote(name)));
    }
    if (node.group_by_all && !node.group_by.empty())
      error("cannot have wildcard group_by (`...`) and other labels at the same time");
  }
  if (spec.group_wait) node.group_wait = *spec.group_wait;
  if (spec.group_interval) node.group_interval = *spec.group_interval;
  if (spec.repeat_interval) node.repeat_interval = *spec.repeat_interval;
  if (node.group_interval.count() <= 0) error("group_interval must be above zero");
  if (node.repeat_interval.count() <= 0) error("repeat_interval must be above zero");
  node.key = (parent ? parent->key + "/" : "") + matchers_text(node.matchers);
  const std::size_t index = nodes_.size();
  nodes_.push_back(node);
  if (depth == route_depth_max && !spec.routes.empty()) {
    error(fmt::format("routes are nested deeper than {}", route_depth_max));
    return index;
  }
  for (const RouteSpec& child : spec.routes) {
    const std::size_t at = add(child, &node, depth + 1, errors);
    nodes_[index].children.push_back(at);
  }
  return index;
}

bool RouteTree::match(std::size_t index, const model::Labels& labels, std::vector<std::size_t>& out) const {
  const RouteNode& node = nodes_[index];
  if (!model::matches_all(node.matchers, labels)) return false;
  const std::size_t before = out.size();
  for (const std::size_t child : node.children)
    if (match(child, labels, out) && !nodes_[child].continue_matching) break;
  if (out.size() == before) out.push_back(index);
  return true;
}

std::vector<std::size_t> RouteTree::match(const model::Labels& labels) const {
  std::vector<std::size_t> out;
  if (!nodes_.empty()) match(0, labels, out);
  return out;
}

model::Labels group_labels(const RouteNode& node, const model::Labels& labels) {
  std::vector<model::Label> out;
  for (const model::Label& l : labels)
    if (node.group_by_all || node.group_by.contains(l.name)) out.push_back(l);
  return model::Labels::trusted(std::move(out));
}

std::string group_key(const RouteNode& node, const model::Labels& group) {
  std::string out = node.key + ":{";
  bool first = true;
  for (const model::Label& l : group) {
    out += fmt::format("{}{}={}", first ? "" : ", ", l.name, json_quote(l.value));
    first = false;
  }
  return out + "}";
}

std::string fingerprint(const model::Labels& labels) {
  std::uint64_t hash = 14695981039346656037ull;
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211ull;
    hash = (hash ^ 0xff) * 1099511628211ull;
  };
  for (const model::Label& l : labels) {
    add(l.name);
    add(l.value);
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace plumbline::alerting
