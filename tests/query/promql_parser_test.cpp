#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"
#include "query/query.hpp"

using namespace plumbline;

namespace {

struct Case {
  std::string text;
  std::string wanted;
};

}  // namespace

TEST_CASE("good expressions have one canonical form") {
  const std::vector<Case> cases{
      {"1", "1"},
      {"+Inf", "+Inf"},
      {"-inf", "-Inf"},
      {"NaN", "NaN"},
      {".5", "0.5"},
      {"5.", "5"},
      {"1e-3", "0.001"},
      {"0x1F", "31"},
      {"0755", "493"},
      {"1_000_000", "1000000"},
      {"5m", "5m"},
      {"1h30m", "1h30m"},
      {"-5m", "-5m"},
      {"-0h", "-0s"},
      {"1+2*3^2^-1", "1 + 2 * 3 ^ 2 ^ -1"},
      {"-1^2", "-1 ^ 2"},
      {"inf^1", "Inf ^ 1"},  // "+Inf ^ 1" would be read as +(Inf ^ 1)
      {"2^+inf^1", "2 ^ +Inf ^ 1"},
      {"-inf^2", "-Inf ^ 2"},
      {"(+inf)^2", "(+Inf) ^ 2"},
      {"(1 + 2)*3", "(1 + 2) * 3"},
      {"foo", "foo"},
      {"a:b:c", "a:b:c"},
      {"sum", "sum"},
      {"by + without", "by + without"},
      {"foo{}", "foo"},
      {"foo{a=\"b\",}", "foo{a=\"b\"}"},
      {"foo{b!='x', a=~`y.*`}", "foo{a=~\"y.*\",b!=\"x\"}"},
      {"{\"my.metric\",\"la bel\"=\"x\"}", "{\"la bel\"=\"x\",__name__=\"my.metric\"}"},
      {"foo{on=\"1\",sum=\"2\"}", "foo{on=\"1\",sum=\"2\"}"},
      {"foo offset 5m", "foo offset 5m"},
      {"foo offset -1w", "foo offset -1w"},
      {"foo offset 300", "foo offset 5m"},
      {"foo @ 123.5 offset 1m", "foo @ 123.500 offset 1m"},
      {"foo offset 1m @ end()", "foo @ end() offset 1m"},
      {"foo @ -1", "foo @ -1.000"},
      {"foo @ 1m40s", "foo @ 100.000"},
      {"foo @ -1s500ms", "foo @ -1.500"},
      {"foo[300]", "foo[5m]"},
      {"foo[5m] @ start()", "foo[5m] @ start()"},
      {"foo[5m] anchored", "foo[5m] anchored"},
      {"foo[5m] @ 1 SMOOTHED offset 1m", "foo[5m] smoothed @ 1.000 offset 1m"},
      {"rate(foo[5m] offset 1m anchored anchored)", "rate(foo[5m] anchored offset 1m)"},
      {"foo anchored [5m]", "foo[5m] anchored"},
      {"foo smoothed @ 1 offset 1m", "foo @ 1.000 smoothed offset 1m"},
      {"-foo smoothed + anchored smoothed", "-foo smoothed + anchored smoothed"},
      {"smoothed", "smoothed"},
      {"foo[5m*2]", "foo[5m * 2]"},
      {"foo[(1m + 30s)*2]", "foo[(1m + 30s) * 2]"},
      {"foo[step()*2:range()]", "foo[step() * 2:range()]"},
      {"foo[min_of(5m, step())]", "foo[min_of(5m, step())]"},
      {"rate(foo[5m])[1h:] offset 1d", "rate(foo[5m])[1h:] offset 1d"},
      {"foo[10m:6s][1h:1m]", ""},
      {"(foo+bar)[5m:1m]", "(foo + bar)[5m:1m]"},
      {"sum by (a,\"b c\") (foo)", "sum by (a, \"b c\") (foo)"},
      {"sum(foo) without (a)", "sum without (a) (foo)"},
      {"sum by () (foo)", "sum(foo)"},
      {"topk(3, foo) by (on, sum)", "topk by (on, sum) (3, foo)"},
      {"count_values(\"v\", foo)", "count_values(\"v\", foo)"},
      {"limitk(1, foo)", "limitk(1, foo)"},
      {"foo and on(a) bar", "foo and on (a) bar"},
      {"foo UNLESS ignoring(a,b) bar OR baz", "foo unless ignoring (a, b) bar or baz"},
      {"foo / on(a) group_left bar", "foo / on (a) group_left () bar"},
      {"foo / ignoring(a) group_right(b,c) bar", "foo / ignoring (a) group_right (b, c) bar"},
      {"foo > bool 1", "foo > bool 1"},
      {"foo == bool on() bar", "foo == bool on () bar"},
      {"foo + fill(0) bar", "foo + fill (0) bar"},
      {"foo > bool on(a) fill_left (-1) bar", "foo > bool on (a) fill_left (-1) bar"},
      {"foo + fill_right(2) fill_left(1) bar", "foo + fill_left (1) fill_right (2) bar"},
      {"foo + fill_right(2) fill_left(2) bar", "foo + fill (2) bar"},
      {"foo + on(a) group_left fill(NaN) bar", "foo + on (a) group_left () fill_left (NaN) fill_right (NaN) bar"},
      {"foo / on(a) group_right(b) FILL(+inf) bar", "foo / on (a) group_right (b) fill (+Inf) bar"},
      {"foo + fill(1m) fill", "foo + fill (60) fill"},
      {"fill + fill_left * fill_right", "fill + fill_left * fill_right"},
      {"info(foo, {})", "info(foo, {})"},
      {"info(foo, {__name__=~\"a|b\",c!=\"\"})", "info(foo, {__name__=~\"a|b\",c!=\"\"})"},
      {"foo atan2 bar", "foo atan2 bar"},
      {"foo # a comment\n + bar", "foo + bar"},
      {"\"a\\tb\"", "\"a\\tb\""},
      {"'\\x41\\u00e9\\101'", "\"A\xc3\xa9" "A\""},
      {"`a\\n`", "\"a\\\\n\""},
      {"label_join(foo, \"d\", \"-\", \"a\", \"b\")", "label_join(foo, \"d\", \"-\", \"a\", \"b\")"},
      {"time() - timestamp(foo)", "time() - timestamp(foo)"},
      {"- foo", "-foo"},
      {"start", "start"},
      {"day_of_week()", "day_of_week()"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto printed = query::format_promql(c.text);
    if (c.wanted.empty()) {  // refused: a subquery of a range vector
      CHECK_FALSE(printed);
      continue;
    }
    if (!printed) {
      FAIL_CHECK(printed.error().message);
      continue;
    }
    CHECK(*printed == c.wanted);
    CHECK(query::format_promql(*printed) == c.wanted);
  }
}

TEST_CASE("errors name the place and what was unexpected") {
  const std::vector<Case> cases{
      {"", "unknown position: parse error: no expression found in input"},
      {"# only", "unknown position: parse error: no expression found in input"},
      {"1 +", "1:4: parse error: unexpected end of input"},
      {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
      {"foo\n  bar", "2:3: parse error: unexpected identifier \"bar\""},
      {"1 2", "1:3: parse error: unexpected number \"2\""},
      {"* 1", "1:1: parse error: unexpected <op:*>"},
      {"(1", "1:3: parse error: unclosed left parenthesis"},
      {"foo)", "1:5: parse error: unexpected right parenthesis ')'"},
      {"foo[5m", "1:7: parse error: unclosed left bracket"},
      {"foo{a=\"b\"", "1:10: parse error: unexpected end of input inside braces"},
      {"foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"},
      {"foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"},
      {"foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"},
      {"foo{a=\"b\" c=\"d\"}", "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
      {"foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
      {"\"abc", "1:1: parse error: unterminated quoted string"},
      {"`abc", "1:1: parse error: unterminated raw string"},
      {"\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"},
      {"0x", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"0x\": invalid syntax"},
      {"1..2", "1:1: parse error: bad number or duration syntax: \"1..\""},
      {"5mm", "1:1: parse error: bad number or duration syntax: \"5mm\""},
      {"foo[1s1m]", "1:5: parse error: not a valid duration string: \"1s1m\""},
      {"foo[0m]", "1:5: parse error: duration must be greater than 0"},
      {"foo ! bar", "1:5: parse error: unexpected character after '!': ' '"},
      {"foo & bar", "1:5: parse error: unexpected character: '&'"},
      {"sum(foo bar)", "1:9: parse error: unexpected identifier \"bar\" in aggregation"},
      {"MIN keep_common (foo)", "1:5: parse error: unexpected identifier \"keep_common\" in aggregation"},
      {"sum(foo) by test", "1:13: parse error: unexpected identifier \"test\" in grouping opts, expected \"(\""},
      {"sum(foo) by (test) without (x)", "1:20: parse error: unexpected <without>"},
      {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
      {"topk(foo)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
      {"topk(foo, bar)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"},
      {"sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
      {"rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"},
      {"floor()", "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0"},
      {"round(foo, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
      {"label_join(foo)", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"},
      {"non_existent(foo)", "1:1: parse error: unknown function with name \"non_existent\""},
      {"holt_winters(foo[5m], 0.1, 0.1)", "1:1: parse error: unknown function with name \"holt_winters\""},
      {"rate(foo[5m],)", "1:13: parse error: trailing commas not allowed in function call args"},
      {"foo offset", "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()"},
      {"1 offset 1m", "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector "
                      "or a subquery"},
      {"foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"},
      {"foo @ bar", "1:7: parse error: unexpected identifier \"bar\" in @, expected timestamp"},
      {"foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
      {"(foo)[5m]", "1:6: parse error: ranges only allowed for vector selectors"},
      {"foo offset 1m [5m]", "1:15: parse error: no offset modifiers allowed before range"},
      {"foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"},
      {"foo @ -Inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf"},
      {"foo @ NaN", "1:1: parse error: timestamp out of bounds for @ modifier: NaN"},
      {"foo[5m] anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
      {"foo[5m:] smoothed", "1:1: parse error: smoothed modifier is not supported for subqueries"},
      {"1 + (foo) smoothed", "1:5: parse error: smoothed modifier not implemented"},
      {"foo + fill() bar", "1:12: parse error: unexpected \")\""},
      {"foo + fill(a) bar", "1:12: parse error: unexpected identifier \"a\""},
      {"foo + fill(1", "1:13: parse error: unclosed left parenthesis"},
      {"foo + fill(0) fill_left(0) bar", "1:24: parse error: unexpected \"(\""},
      {"foo + fill(0) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"},
      {"1 + fill(0) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"},
      {"foo or fill_right(0) bar", "1:1: parse error: filling in missing series not allowed for set operators"},
      {"info(foo, bar)", "1:11: parse error: expected label selectors only, got vector selector instead"},
      {"foo[5m][5m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
      {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"},
      {"1 and foo", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
      {"foo and on(a) group_left(b) bar", "1:1: parse error: no grouping allowed for \"and\" operation"},
      {"foo + on(a) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
      {"foo + on(a) group_left(a) bar", "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
      {"foo[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"},
      {"-\"a\"", "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\""},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
      {"foo{a=~\"(\"}", ""},
      {"\xff", "1:1: parse error: unexpected character: '\\ufffd'"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const Status checked = query::check_promql(c.text);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == Code::invalid_input);
    if (!c.wanted.empty()) CHECK(checked.error().message == c.wanted);
  }
}

TEST_CASE("long and deep texts are refused, not followed") {
  CHECK_FALSE(query::check_promql(std::string(17'000, ' ') + "1"));
  CHECK_FALSE(query::check_promql(std::string(5'000, '(') + "1" + std::string(5'000, ')')));
  CHECK_FALSE(query::check_promql(std::string(8'000, '-') + "1"));
  std::string chain = "1";
  for (int i = 0; i < 5'000; ++i) chain += "+1";
  CHECK_FALSE(query::check_promql(chain));
  std::string power = "1";
  for (int i = 0; i < 5'000; ++i) power += "^1";
  CHECK_FALSE(query::check_promql(power));
  std::string brackets = "foo";
  for (int i = 0; i < 1'500; ++i) brackets += "[5m:1m]";
  CHECK_FALSE(query::check_promql(brackets));
  CHECK_FALSE(query::check_promql("foo[" + std::string(5'000, '(') + "5m" + std::string(5'000, ')') + "]"));
  std::string ladder = "1";  // a little of both: chains inside of parentheses inside of chains
  for (int i = 0; i < 20; ++i) {
    ladder = "(" + ladder + ")";
    for (int k = 0; k < 100; ++k) ladder += "+1";
  }
  CHECK_FALSE(query::check_promql(ladder));
  CHECK(query::check_promql(std::string(100, '(') + "1" + std::string(100, ')')));
  std::string alternatives = "a";
  for (int i = 0; i < 300; ++i) alternatives += " or a";
  CHECK(query::check_promql(alternatives));
}

TEST_CASE("every function of the table can be called by its arity") {
  for (const auto& f : query::promql::functions()) {
    std::string text = std::string(f.name) + "(";
    for (std::size_t i = 0; i < f.arguments.size(); ++i) {
      if (i > 0) text += ", ";
      text += f.arguments[i] == 'v' ? (f.name == "info" && i == 1 ? "{a=\"b\"}" : "foo")
              : f.arguments[i] == 'm' ? "foo[5m]"
              : f.arguments[i] == 's' ? "0.5"
                                      : "\"x\"";
    }
    text += ")";
    INFO(text);
    CHECK(query::format_promql(text) == text);
    if (f.arguments.size() > 0 && f.variadic == 0) CHECK_FALSE(query::check_promql(std::string(f.name) + "()"));
  }
}
