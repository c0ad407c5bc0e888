#include "ingest/text/json_tree.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace plumbline::ingest {

const JsonNode* JsonNode::find(std::string_view name) const {
  for (const JsonNode& child : children)
    if (child.key == name) return &child;
  return nullptr;
}

std::optional<double> JsonNode::number() const {
  if (kind != Kind::number) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // from_chars leaves the value alone on over- and underflow; the exponent's sign tells which it was.
    const std::size_t e = text.find_first_of("eE");
    const bool tiny = e != std::string::npos && e + 1 < text.size() && text[e + 1] == '-';
    const double magnitude = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return text.front() == '-' ? -magnitude : magnitude;
  }
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> JsonNode::integer() const {
  if (kind != Kind::number) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view JsonNode::kind_name() const {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "a bool";
    case Kind::number:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::array:
      return "an array";
    case Kind::object:
      return "an object";
  }
  return "nothing";
}

namespace {

namespace bj = boost::json;
using Kind = JsonNode::Kind;
using ErrorCode = bj::error_code;

// What Boost.JSON's parser asks of every handler; the events we do not care about are answered here.
struct HandlerBase {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);
  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_comment_part(bj::string_view, ErrorCode&) { return true; }
  bool on_comment(bj::string_view, ErrorCode&) { return true; }
};

// Builds the tree on a stack of open containers. With `visit`, each element of the outermost array is handed
// out as soon as it is complete, and not kept.
struct TreeHandler : HandlerBase {
  TreeHandler(std::size_t nodes_allowed, const std::function<void(std::size_t, JsonNode)>* visitor)
      : nodes_max(nodes_allowed), visit(visitor) {}

  bool open(Kind kind, ErrorCode& ec) {
    JsonNode node;
    node.kind = kind;
    node.key = std::move(key);
    key.clear();
    if (!count(ec)) return false;
    stack.push_back(std::move(node));
    return true;
  }
  bool close(ErrorCode& ec) {
    JsonNode node = std::move(stack.back());
    stack.pop_back();
    return place(std::move(node), ec);
  }
  bool leaf(JsonNode node, ErrorCode& ec) {
    node.key = std::move(key);
    key.clear();
    return count(ec) && place(std::move(node), ec);
  }
  bool place(JsonNode node, ErrorCode& ec) {
    if (stack.empty()) {
      if (visit != nullptr && !node.is(Kind::array)) {
        // Checked by the caller from the first byte; kept as a plain failure of the text.
        ec = bj::error::syntax;
        return false;
      }
      root = std::move(node);
    } else if (visit != nullptr && stack.size() == 1) {
      (*visit)(++rows, std::move(node));
      nodes = 0;
    } else {
      stack.back().children.push_back(std::move(node));
    }
    return true;
  }
  bool count(ErrorCode& ec) {
    if (++nodes <= nodes_max) return true;
    too_many = true;
    ec = bj::error::array_too_large;
    return false;
  }

  bool on_object_begin(ErrorCode& ec) { return open(Kind::object, ec); }
  bool on_object_end(std::size_t, ErrorCode& ec) { return close(ec); }
  bool on_array_begin(ErrorCode& ec) { return open(Kind::array, ec); }
  bool on_array_end(std::size_t, ErrorCode& ec) { return close(ec); }
  bool on_key_part(bj::string_view s, std::size_t, ErrorCode&) {
    key.append(s.data(), s.size());
    return true;
  }
  bool on_key(bj::string_view s, std::size_t, ErrorCode&) {
    key.append(s.data(), s.size());
    return true;
  }
  bool on_string_part(bj::string_view s, std::size_t, ErrorCode&) {
    text.append(s.data(), s.size());
    return true;
  }
  bool on_string(bj::string_view s, std::size_t, ErrorCode& ec) { return finish(Kind::string, s, ec); }
  bool on_number_part(bj::string_view s, ErrorCode&) {
    text.append(s.data(), s.size());
    return true;
  }
  bool on_int64(std::int64_t, bj::string_view s, ErrorCode& ec) { return finish(Kind::number, s, ec); }
  bool on_uint64(std::uint64_t, bj::string_view s, ErrorCode& ec) { return finish(Kind::number, s, ec); }
  bool on_double(double, bj::string_view s, ErrorCode& ec) { return finish(Kind::number, s, ec); }
  bool on_bool(bool b, ErrorCode& ec) {
    JsonNode node;
    node.kind = Kind::boolean;
    node.truth = b;
    return leaf(std::move(node), ec);
  }
  bool on_null(ErrorCode& ec) { return leaf(JsonNode{}, ec); }

  bool finish(Kind kind, bj::string_view tail, ErrorCode& ec) {
    JsonNode node;
    node.kind = kind;
    node.text = std::move(text);
    text.clear();
    node.text.append(tail.data(), tail.size());
    return leaf(std::move(node), ec);
  }

  std::size_t nodes_max;
  const std::function<void(std::size_t, JsonNode)>* visit;
  std::vector<JsonNode> stack;
  JsonNode root;
  std::string key, text;
  std::size_t nodes = 0, rows = 0;
  bool too_many = false;
};

bj::parse_options options_of(int depth_max) {
  bj::parse_options options;
  options.max_depth = static_cast<std::size_t>(depth_max);
  return options;
}

Status run(bj::basic_parser<TreeHandler>& parser, std::string_view text, const JsonLimits& limits) {
  ErrorCode ec;
  std::size_t used = 0;
  // The library reports by error code; what it may still throw is an allocation failure.
  try {
    used = parser.write_some(false, text.data(), text.size(), ec);
  } catch (const std::exception& e) {
    return fail(Code::unavailable, std::string("no memory for this JSON: ") + e.what());
  }
  if (parser.handler().too_many)
    return fail(Code::too_large, "more than " + std::to_string(limits.nodes_max) +
                                     " JSON values, at offset " + std::to_string(used));
  if (ec == bj::error::too_deep)
    return fail(Code::invalid_input, "nested deeper than " + std::to_string(limits.depth_max) +
                                         ", at offset " + std::to_string(used));
  if (ec)
    return fail(Code::invalid_input, "broken JSON (" + ec.message() + ") at offset " + std::to_string(used));
  for (std::size_t i = used; i < text.size(); ++i)
    if (std::isspace(static_cast<unsigned char>(text[i])) == 0)
      return fail(Code::invalid_input, "something after the end of the JSON at offset " + std::to_string(i));
  return {};
}

}  // namespace

Result<JsonNode> parse_json(std::string_view text, const JsonLimits& limits) {
  bj::basic_parser<TreeHandler> parser(options_of(limits.depth_max), limits.nodes_max, nullptr);
  PLUMBLINE_CHECK_OK(run(parser, text, limits));
  return std::move(parser.handler().root);
}

Status parse_json_rows(std::string_view text, const JsonLimits& limits,
                       const std::function<void(std::size_t, JsonNode)>& visit) {
  bj::basic_parser<TreeHandler> parser(options_of(limits.depth_max + 1), limits.nodes_max, &visit);
  if (auto status = run(parser, text, limits); !status)
    return fail(status.error().in("row " + std::to_string(parser.handler().rows + 1)));
  return {};
}

namespace {

struct FindHandler : HandlerBase {
  FindHandler(std::span<const std::string_view> wanted, int depth_allowed)
      : names(wanted), depth_max(depth_allowed) {}

  bool stop(ErrorCode& ec) {
    ec = bj::error::incomplete;  // any code ends the parse; the answer is in `found`
    return false;
  }
  bool on_object_begin(ErrorCode&) {
    ++depth;
    key.clear();
    return true;
  }
  bool on_object_end(std::size_t, ErrorCode&) {
    --depth;
    return true;
  }
  bool on_array_begin(ErrorCode&) {
    ++arrays;
    return true;
  }
  bool on_array_end(std::size_t, ErrorCode&) {
    --arrays;
    key.clear();
    return true;
  }
  bool on_key_part(bj::string_view s, std::size_t, ErrorCode&) {
    key.append(s.data(), s.size());
    return true;
  }
  bool on_key(bj::string_view s, std::size_t, ErrorCode&) {
    key.append(s.data(), s.size());
    return true;
  }
  bool on_string_part(bj::string_view s, std::size_t, ErrorCode&) {
    text.append(s.data(), s.size());
    return true;
  }
  bool on_string(bj::string_view s, std::size_t, ErrorCode& ec) {
    text.append(s.data(), s.size());
    if (arrays == 0 && depth <= depth_max)
      for (const std::string_view name : names)
        if (key == name) {
          found = std::move(text);
          return stop(ec);
        }
    text.clear();
    key.clear();
    return true;
  }
  bool scalar() {
    key.clear();
    return true;
  }
  bool on_number_part(bj::string_view, ErrorCode&) { return true; }
  bool on_int64(std::int64_t, bj::string_view, ErrorCode&) { return scalar(); }
  bool on_uint64(std::uint64_t, bj::string_view, ErrorCode&) { return scalar(); }
  bool on_double(double, bj::string_view, ErrorCode&) { return scalar(); }
  bool on_bool(bool, ErrorCode&) { return scalar(); }
  bool on_null(ErrorCode&) { return scalar(); }

  std::span<const std::string_view> names;
  int depth_max;
  int depth = 0, arrays = 0;
  std::string key, text;
  std::optional<std::string> found;
};

}  // namespace

std::optional<std::string> find_json_string(std::string_view text, std::span<const std::string_view> names,
                                            int depth_max) {
  bj::basic_parser<FindHandler> parser(options_of(64), names, depth_max);
  ErrorCode ec;
  parser.write_some(false, text.data(), text.size(), ec);
  return std::move(parser.handler().found);
}

}  // namespace plumbline::ingest
