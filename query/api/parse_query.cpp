// GET and POST /api/v1/parse_query: the tree of an expression as JSON, as the query builders of UIs take it.
#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query {

namespace {

using namespace promql;

std::string_view name_of(Card card) {
  switch (card) {
    case Card::one_to_one: return "one-to-one";
    case Card::many_to_one: return "many-to-one";
    case Card::one_to_many: return "one-to-many";
    case Card::many_to_many: return "many-to-many";
  }
  return "";
}

std::string_view name_of(Type type) {
  return type == Type::vector ? "vector" : type == Type::matrix ? "matrix" : documented(type);
}

class TreeWriter {
 public:
  TreeWriter(JsonWriter& json, std::string_view text) : w_(json), text_(text) {}

  void write(const Expr& e) {
    w_.begin_object();
    switch (e.kind) {
      case Kind::number: w_.field("type", "numberLiteral").field("val", format_number(static_cast<const Number&>(e).value)); break;
      case Kind::string: w_.field("type", "stringLiteral").field("val", static_cast<const String&>(e).value); break;
      case Kind::selector: {
        const auto& s = static_cast<const Selector&>(e);
        w_.field("type", "vectorSelector");
        selector(s);
        break;
      }
      case Kind::matrix: {
        const auto& m = static_cast<const MatrixSelector&>(e);
        w_.field("type", "matrixSelector");
        duration("range", m.range.get());
        selector(*m.selector);
        break;
      }
      case Kind::subquery: {
        const auto& s = static_cast<const Subquery&>(e);
        w_.field("type", "subquery").key("expr");
        write(*s.inner);
        duration("range", s.range.get());
        duration("step", s.step.get());
        modifiers(s.modifiers);
        break;
      }
      case Kind::call: call(static_cast<const Call&>(e)); break;
      case Kind::aggregate: aggregate(static_cast<const Aggregate&>(e)); break;
      case Kind::binary: binary(static_cast<const Binary&>(e)); break;
      case Kind::unary: {
        const auto& u = static_cast<const Unary&>(e);
        w_.field("type", "unaryExpr").field("op", spelling(u.op)).key("expr");
        write(*u.inner);
        break;
      }
      case Kind::paren:
        w_.field("type", "parenExpr").key("expr");
        write(*static_cast<const Paren&>(e).inner);
        break;
    }
    w_.end_object();
  }

 private:
  void strings(std::string_view key, const std::vector<std::string>& list) {
    w_.key(key).begin_array();
    for (const std::string& s : list) w_.string(s);
    w_.end_array();
  }
  void number(std::string_view key, std::optional<double> v) {
    w_.key(key);
    if (v)
      w_.number(*v);
    else
      w_.null();
  }
  // In ms. One that needs a running query (step() and its like) is its text: there is no number to tell.
  void duration(std::string_view key, const DurationExpr* d) {
    w_.key(key);
    if (d == nullptr) return static_cast<void>(w_.integer(0));
    const auto ms = is_constant(*d) ? evaluate_duration(*d, 0, 0, false, text_) : Result<std::int64_t>(fail(Code::invalid_input, ""));
    if (ms)
      w_.integer(*ms);
    else
      w_.string(print(*d));
  }
  void modifiers(const Modifiers& m) {
    duration("offset", m.offset.get());
    w_.key("timestamp");
    if (m.at_ms)
      w_.integer(*m.at_ms);
    else
      w_.null();
    w_.key("startOrEnd");
    if (m.at_edge == Tok::eof)
      w_.null();
    else
      w_.string(m.at_edge == Tok::start ? "start" : "end");
  }
  void selector(const Selector& s) {
    w_.field("name", s.name).key("matchers");
    write_matchers(w_, s.matchers);
    modifiers(s.modifiers);
    w_.field("anchored", s.extended == Extended::anchored).field("smoothed", s.extended == Extended::smoothed);
  }
  void call(const Call& c) {
    const Function& f = *c.function;
    w_.field("type", "call").key("func").begin_object().field("name", f.name).key("argTypes").begin_array();
    for (std::size_t i = 0; i < f.arguments.size(); ++i) w_.string(name_of(f.argument(i)));
    w_.end_array().field("variadic", f.variadic).field("returnType", name_of(f.result)).end_object();
    w_.key("args").begin_array();
    for (const ExprPtr& argument : c.arguments) write(*argument);
    w_.end_array();
  }
  void aggregate(const Aggregate& a) {
    w_.field("type", "aggregation").field("op", spelling(a.op)).key("expr");
    write(*a.inner);
    w_.key("param");
    if (a.parameter)
      write(*a.parameter);
    else
      w_.null();
    strings("grouping", a.grouping);
    w_.field("without", a.without);
  }
  void binary(const Binary& b) {
    w_.field("type", "binaryExpr").field("op", spelling(b.op)).key("lhs");
    write(*b.left);
    w_.key("rhs");
    write(*b.right);
    w_.key("matching");
    if (type_of(*b.left) == Type::vector && type_of(*b.right) == Type::vector) {
      w_.begin_object().field("card", name_of(b.matching.card));
      strings("labels", b.matching.labels);
      w_.field("on", b.matching.on);
      strings("include", b.matching.include);
      w_.key("fillValues").begin_object();
      number("lhs", b.matching.fill_left);
      number("rhs", b.matching.fill_right);
      w_.end_object().end_object();
    } else {
      w_.null();
    }
    w_.field("bool", b.return_bool);
  }

  JsonWriter& w_;
  const std::string_view text_;
};

http::Response parse_query(const http::Request& r) {
  const std::string_view text = text_param(r, "query");
  const Result<ExprPtr> expr = parse(text);
  if (!expr) return prometheus_error(bad_parameter("query", expr.error().message));
  std::string data;
  JsonWriter w(data);
  TreeWriter(w, text).write(**expr);
  return prometheus_success(data);
}

}  // namespace

http::Routes parse_query_routes() {
  return {{"GET", "/api/v1/parse_query", parse_query}, {"POST", "/api/v1/parse_query", parse_query}};
}

}  // namespace plumbline::query
