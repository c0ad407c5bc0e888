// Random expressions over the metrics a_total, b_total, g and h_bucket with labels x (1, 2, 3), y (p, q) and le.
#pragma once

#include <random>
#include <string>

#include "query/promql/functions.hpp"

namespace plumbline::test {

class ExpressionGenerator {
 public:
  explicit ExpressionGenerator(unsigned seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }
  template <std::size_t N>
  std::string one_of(const char* const (&texts)[N]) { return texts[below(N)]; }

  std::string selector() {
    static const char* const names[] = {"a_total", "b_total", "g", "h_bucket", "missing", "{__name__=~\"a_total|g\"}"};
    static const char* const matchers[] = {"", "", "{x=\"1\"}", "{x!=\"2\"}", "{y=~\"p|q\"}", "{le!=\"\"}"};
    const std::string name = one_of(names);
    return name[0] == '{' ? name : name + one_of(matchers);
  }
  std::string modifiers() {
    static const char* const texts[] = {"", "", "", " offset 1m", " offset -30s", " @ 300", " @ start()", " @ end()"};
    return one_of(texts);
  }
  std::string vector(int depth) {
    if (depth <= 0) return selector() + modifiers() + (below(8) == 0 ? " smoothed" : "");
    static const char* const aggregations[] = {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"};
    static const char* const groupings[] = {"", " by (x)", " by (x, le)", " without (x)", " by ()"};
    static const char* const operators[] = {"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "atan2",
                                            "== bool", "> bool", "+ on(x)", "* ignoring(y) group_left", "> on(x) group_right(y)",
                                            "+ fill(1)", "< bool fill_left(-2)", "/ ignoring(y) group_left fill_right(0)"};
    static const char* const sets[] = {"and", "or", "unless", "and on(x)", "or ignoring(y)", "unless on()"};
    switch (below(9)) {
      case 0: return one_of(aggregations) + one_of(groupings) + "(" + vector(depth - 1) + ")";
      case 1: return "(" + vector(depth - 1) + " " + one_of(operators) + " " + vector(depth - 1) + ")";
      case 2: return "(" + vector(depth - 1) + " " + one_of(sets) + " " + vector(depth - 1) + ")";
      case 3: {
        static const char* const arithmetic[] = {"+", "-", "*", "/", ">", "<=", "== bool"};
        return "(" + scalar(depth - 1) + " " + one_of(arithmetic) + " " + vector(depth - 1) + ")";
      }
      case 4: return "topk(" + scalar(0) + ", " + vector(depth - 1) + ")";
      case 5: return "-" + vector(depth - 1);
      case 6: return "quantile by (x) (0.3, " + vector(depth - 1) + ")";
      default: return call(depth);
    }
  }
  std::string scalar(int depth) {
    static const char* const literals[] = {"1", "0", "-2.5", "1e300", "Inf", "NaN", "5m", "time()", "pi()"};
    return depth > 0 && below(3) == 0 ? "scalar(" + vector(depth - 1) + ")" : one_of(literals);
  }
  std::string matrix(int depth) {
    static const char* const ranges[] = {"[1m]", "[5m]", "[90s]", "[2m]"};
    static const char* const subqueries[] = {"[5m:1m]", "[3m:17s]", "[10m:]"};
    return below(3) == 0 ? "(" + vector(depth - 1) + ")" + one_of(subqueries) + modifiers()
                         : selector() + one_of(ranges) + modifiers() + extended();
  }
  std::string extended() {
    static const char* const texts[] = {"", "", " anchored", " smoothed"};
    return one_of(texts);
  }
  std::string call(int depth) {
    const auto all = query::promql::functions();
    const auto& f = all[below(all.size())];
    std::string out = std::string(f.name) + "(";
    for (std::size_t i = 0; i < f.arguments.size(); ++i) {
      if (i > 0) out += ", ";
      switch (f.arguments[i]) {
        case 'v': out += f.name == "info" && i == 1 ? "{x=~\"1|2\"}" : vector(depth - 1); break;
        case 'm': out += matrix(depth - 1); break;
        case 's': out += below(2) == 0 ? "0.5" : scalar(depth - 1); break;
        default: out += below(2) == 0 ? "\"x\"" : "\"$1\"";
      }
    }
    return (f.result == query::promql::Type::scalar ? "vector(" + out + "))" : out + ")");
  }
  unsigned raw() { return random_(); }

 private:
  std::mt19937 random_;
};

}  // namespace plumbline::test
