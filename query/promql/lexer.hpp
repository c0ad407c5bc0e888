// Text to tokens. The states are those of upstream's scanner (inside braces, inside brackets, elsewhere), because its error
// messages and positions follow from them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::query::promql {

enum class Tok : std::uint8_t {
  eof, error, identifier, metric_identifier, number, duration, string,
  left_paren, right_paren, left_brace, right_brace, left_bracket, right_bracket, comma, colon, double_colon, assign,
  // operators
  add, sub, mul, div, mod, pow, atan2, eqlc, neq, lte, lss, gte, gtr, eql_regex, neq_regex, trim_upper, trim_lower,
  land, lor, lunless, at,
  // aggregators
  avg, bottomk, count, count_values, group, limit_ratio, limitk, max, min, quantile, stddev, stdvar, sum, topk,
  // keywords
  anchored, bool_, by, fill, fill_left, fill_right, group_left, group_right, ignoring, offset, on, smoothed, without,
  // preprocessors
  start, end, step, range, min_of, max_of,
};

inline bool is_operator(Tok t) { return t >= Tok::add && t <= Tok::at; }
inline bool is_aggregator(Tok t) { return t >= Tok::avg && t <= Tok::topk; }
inline bool is_keyword(Tok t) { return t >= Tok::anchored && t <= Tok::without; }
inline bool is_preprocessor(Tok t) { return t >= Tok::start; }
inline bool is_comparison(Tok t) { return t >= Tok::eqlc && t <= Tok::gtr; }
inline bool is_set_operator(Tok t) { return t == Tok::land || t == Tok::lor || t == Tok::lunless; }
inline bool takes_parameter(Tok t) {
  return t == Tok::topk || t == Tok::bottomk || t == Tok::count_values || t == Tok::quantile || t == Tok::limitk ||
         t == Tok::limit_ratio;
}

struct Token {
  Tok type = Tok::eof;
  std::uint32_t pos = 0;  // byte offset of its first character
  std::string_view text;  // in the input; for Tok::error see `message`
  std::string message;
  std::uint32_t end() const { return pos + static_cast<std::uint32_t>(text.size()); }
};

// Ends with one eof or one error token. Comments are left out.
std::vector<Token> lex(std::string_view input);

// The canonical spelling of an operator, aggregator or keyword.
std::string_view spelling(Tok type);
// How an error message names a token: identifier "foo", <op:+>, <aggr:sum>, <by>, end of input.
std::string describe(const Token& token);

bool is_space(char c);
bool is_alpha(char c);
bool is_digit(char c);
// [a-zA-Z_][a-zA-Z0-9_]*
bool is_legacy_label_name(std::string_view name);
// Go's strconv.Quote.
std::string quote(std::string_view text);

}  // namespace plumbline::query::promql
