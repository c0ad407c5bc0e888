// That the scripts in tests/scripts/promql leave no word of the language without a checked value: what stands in evaluations that
// were answered as expected is held against the tables of the code.
#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "promql_script.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"

using namespace plumbline;
using namespace plumbline::query::promql;

namespace {

// What an expression uses, in words that stand for themselves: "call rate", "sum by", "+ on group_left(...)", "selector @ end()".
class Words {
 public:
  void of(const Expr& e) {
    switch (e.kind) {
      case Kind::number:
      case Kind::string: break;
      case Kind::selector: of_selector(static_cast<const Selector&>(e), "selector"); break;
      case Kind::matrix: of_selector(*static_cast<const MatrixSelector&>(e).selector, "range"); break;
      case Kind::subquery: of_subquery(static_cast<const Subquery&>(e)); break;
      case Kind::call: {
        const auto& c = static_cast<const Call&>(e);
        seen.insert(fmt::format("call {}", c.function->name));
        if (c.function->variadic > 0 && c.arguments.size() < c.function->arguments.size())
          seen.insert(fmt::format("call {} without its last argument", c.function->name));
        for (const ExprPtr& argument : c.arguments) of(*argument);
        break;
      }
      case Kind::aggregate: {
        const auto& a = static_cast<const Aggregate&>(e);
        const std::string name(spelling(a.op));
        seen.insert(a.without ? name + " without" : a.grouping.empty() ? name : name + " by");
        of(*a.inner);
        if (a.parameter) of(*a.parameter);
        break;
      }
      case Kind::binary: of_binary(static_cast<const Binary&>(e)); break;
      case Kind::unary: {
        const auto& u = static_cast<const Unary&>(e);
        seen.insert(fmt::format("unary {}", spelling(u.op)));
        of(*u.inner);
        break;
      }
      case Kind::paren: of(*static_cast<const Paren&>(e).inner); break;
    }
  }

  std::set<std::string> seen;

 private:
  void of_modifiers(const Modifiers& m, const std::string& where) {
    if (m.at_ms) seen.insert(where + " @");
    if (m.at_edge == Tok::start) seen.insert(where + " @ start()");
    if (m.at_edge == Tok::end) seen.insert(where + " @ end()");
    if (!m.offset) return;
    seen.insert(where + (m.offset->op == DurationExpr::Op::negate || m.offset->seconds < 0 ? " offset -" : " offset"));
    if (m.has_at()) seen.insert(where + " @ and offset");
  }
  void of_selector(const Selector& s, const std::string& where) {
    of_modifiers(s.modifiers, where);
    if (s.extended == Extended::anchored) seen.insert(where + " anchored");
    if (s.extended == Extended::smoothed) seen.insert(where + " smoothed");
    static constexpr const char* ops[] = {"=", "!=", "=~", "!~"};
    for (const model::Matcher& m : s.matchers) seen.insert(fmt::format("matcher {}", ops[static_cast<int>(m.op())]));
  }
  void of_subquery(const Subquery& s) {
    seen.insert(s.step ? "subquery with a step" : "subquery without a step");
    of_modifiers(s.modifiers, "subquery");
    of(*s.inner);
  }
  void of_binary(const Binary& b) {
    const Matching& m = b.matching;
    const std::string op(spelling(b.op));
    const bool left = type_of(*b.left) == Type::vector, right = type_of(*b.right) == Type::vector;
    const std::string suffix = b.return_bool ? " bool" : "";
    seen.insert(fmt::format("{}{} of {}", op, suffix,
                            left && right ? "vectors" : left ? "vector and scalar" : right ? "scalar and vector" : "scalars"));
    if (left && right) {
      const std::string kind = is_set_operator(b.op) ? op : is_comparison(b.op) ? "comparison" + suffix : "arithmetic";
      const std::string matching = m.on ? "on" : m.labels.empty() ? "all labels" : "ignoring";
      const bool grouped = m.card == Card::many_to_one || m.card == Card::one_to_many;
      const std::string group = !grouped ? "" : fmt::format(" group_{}{}", m.card == Card::many_to_one ? "left" : "right",
                                                            m.include.empty() ? "" : "(labels)");
      seen.insert(fmt::format("{} {}{}", kind, matching, group));
      if (m.fills()) seen.insert(fmt::format("{}{}", m.fill_left && m.fill_right ? "fill" : m.fill_left ? "fill_left" : "fill_right", group));
    }
    of(*b.left);
    of(*b.right);
  }
};

std::set<std::string> wanted() {
  std::set<std::string> out;
  for (const Function& f : functions()) {
    if (f.id == Fn::start_timestamp) continue;  // answers an error: start timestamps are not stored
    out.insert(fmt::format("call {}", f.name));
    // Another number of arguments means something else; not so where they may be repeated.
    if (f.variadic == 1) out.insert(fmt::format("call {} without its last argument", f.name));
  }
  for (int t = static_cast<int>(Tok::avg); t <= static_cast<int>(Tok::topk); ++t)
    for (const char* grouping : {"", " by", " without"}) out.insert(std::string(spelling(static_cast<Tok>(t))) + grouping);
  for (const Tok t : {Tok::add, Tok::sub, Tok::mul, Tok::div, Tok::mod, Tok::pow, Tok::atan2})
    for (const char* operands : {"scalars", "vector and scalar", "scalar and vector", "vectors"})
      out.insert(fmt::format("{} of {}", spelling(t), operands));
  for (int t = static_cast<int>(Tok::eqlc); t <= static_cast<int>(Tok::gtr); ++t)
    for (const char* operands : {"vector and scalar", "scalar and vector", "vectors", "scalars"})
      for (const char* suffix : {"", " bool"})
        if (*suffix != '\0' || std::string_view(operands) != "scalars")  // which have to be compared with bool
          out.insert(fmt::format("{}{} of {}", spelling(static_cast<Tok>(t)), suffix, operands));
  for (const char* word : {"</ of vector and scalar", ">/ of vector and scalar", "unary +", "unary -"}) out.insert(word);
  for (const char* kind : {"and", "or", "unless", "arithmetic", "comparison", "comparison bool"})
    for (const char* matching : {"all labels", "on", "ignoring"}) out.insert(fmt::format("{} {}", kind, matching));
  for (const char* kind : {"arithmetic", "comparison", "comparison bool"})
    for (const char* matching : {"on", "ignoring"})
      for (const char* group : {"group_left", "group_left(labels)", "group_right", "group_right(labels)"})
        out.insert(fmt::format("{} {} {}", kind, matching, group));
  for (const char* fill : {"fill", "fill_left", "fill_right"})
    for (const char* group : {"", " group_left", " group_right", " group_left(labels)", " group_right(labels)"})
      out.insert(std::string(fill) + group);
  for (const char* where : {"selector", "range", "subquery"})
    for (const char* modifier : {" @", " @ start()", " @ end()", " offset", " offset -", " @ and offset"}) out.insert(std::string(where) + modifier);
  for (const char* word : {"range anchored", "range smoothed", "selector smoothed", "subquery with a step", "subquery without a step",
                           "matcher =", "matcher !=", "matcher =~", "matcher !~"})
    out.insert(word);
  return out;
}

// What takes native histograms, or passes over them with a note: it stands in the script of its own for them.
std::set<std::string> wanted_of_histograms() {
  std::set<std::string> out;
  for (const char* function :
       {"absent", "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "first_over_time", "histogram_avg", "histogram_count",
        "histogram_fraction", "histogram_quantile", "histogram_quantiles", "histogram_stddev", "histogram_stdvar", "histogram_sum", "idelta",
        "increase", "irate", "label_join", "label_replace", "last_over_time", "max_over_time", "min_over_time", "present_over_time", "rate", "resets",
        "scalar", "sort_by_label", "sort_by_label_desc", "sum_over_time", "timestamp", "ts_of_first_over_time", "ts_of_last_over_time",
        "ts_of_max_over_time", "ts_of_min_over_time"})
    out.insert(fmt::format("call {}", function));
  for (const char* word : {"sum", "avg", "count", "group", "max", "min", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "limitk",
                           "limit_ratio", "+ of vectors", "- of vectors", "* of vector and scalar", "* of scalar and vector",
                           "/ of vector and scalar", "== of vectors", "!= of vectors", "== bool of vectors", "!= bool of vectors",
                           "and all labels", "or all labels", "unless all labels", "</ of vector and scalar", ">/ of vector and scalar",
                           "unary -", "unary +"})
    out.insert(word);
  return out;
}

std::string missing(const std::set<std::string>& words, const std::set<std::string>& seen) {
  std::string out;
  for (const std::string& word : words)
    if (!seen.contains(word)) out += (out.empty() ? "" : "; ") + word;
  return out;
}

}  // namespace

TEST_CASE("the scripts have a value for every function, operator, matching and modifier", "[coverage]") {
  Words all, of_histograms;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(PLUMBLINE_SOURCE_DIR) + "/tests/scripts/promql")) {
    const test::ScriptResult result = test::run_script(entry.path().string());
    for (const std::string& text : result.answered) {
      const auto tree = parse(text);
      REQUIRE(tree);
      all.of(**tree);
      if (entry.path().filename() == "native_histograms.test") of_histograms.of(**tree);
    }
  }
  CHECK(missing(wanted(), all.seen) == "");
  CHECK(missing(wanted_of_histograms(), of_histograms.seen) == "");
}
