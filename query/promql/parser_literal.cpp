// Strings, numbers and duration expressions.
#include <charconv>
#include <cmath>

#include "query/promql/parser.hpp"

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/functions.hpp"

namespace plumbline::query::promql {

namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

}  // namespace

std::string unquote(std::string_view token) {
  const char open = token[0];
  const std::string_view body = token.substr(1, token.size() - 2);
  if (open == '`') {
    std::string raw;
    for (const char c : body)
      if (c != '\r') raw += c;
    return raw;
  }
  std::string out;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    const char c = body[++i];
    static constexpr std::string_view from = "abfnrtv", to = "\a\b\f\n\r\t\v";
    if (const std::size_t k = from.find(c); k != std::string_view::npos) {
      out += to[k];
    } else if (c == 'x' || c == 'u' || c == 'U' || is_digit(c)) {
      const std::size_t skip = is_digit(c) ? 0 : 1;
      const std::size_t digits = is_digit(c) ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : 8;
      std::uint32_t value = 0;
      std::from_chars(body.data() + i + skip, body.data() + i + skip + digits, value, is_digit(c) ? 8 : 16);
      if (c == 'u' || c == 'U') append_utf8(out, value);
      else out += static_cast<char>(value);
      i += skip + digits - 1;
    } else {
      out += c;
    }
  }
  return out;
}

Result<double> Parser::number(const Token& token) {
  // Underscores separate digits and say nothing.
  std::string digits;
  for (const char c : token.text)
    if (c != '_') digits += c;
  const auto integer = [&](std::size_t skip, int base) -> std::optional<double> {
    std::int64_t n = 0;
    const auto [stop, ec] = std::from_chars(digits.data() + skip, digits.data() + digits.size(), n, base);
    if (ec != std::errc{} || stop != digits.data() + digits.size()) return std::nullopt;
    return static_cast<double>(n);
  };
  if (digits.size() > 2 && (digits[1] == 'x' || digits[1] == 'X')) {
    if (const auto v = integer(2, 16)) return *v;
  } else {
    // A leading zero makes an octal number, as in Go; what is none reads as a decimal.
    if (digits.size() > 1 && digits[0] == '0')
      if (const auto v = integer(1, 8)) return *v;
    if (const auto v = parse_number(digits)) {
      if (!std::isinf(*v) || to_lower(digits) == "inf") return *v;
      return fail_at(token.pos, fmt::format("error parsing number: strconv.ParseFloat: parsing {}: value out of range",
                                            quote(token.text)));
    }
  }
  return fail_at(token.pos,
                 fmt::format("error parsing number: strconv.ParseFloat: parsing {}: invalid syntax", quote(token.text)));
}

Result<double> Parser::duration_literal(const Token& token) {
  const Result<std::int64_t> ms = parse_duration_ms(token.text);
  if (!ms)
    return fail_at(token.pos, ms.error().message == "duration out of range"
                                  ? ms.error().message
                                  : "not a valid duration string: " + quote(token.text));
  return static_cast<double>(*ms) / 1000;
}

Result<std::unique_ptr<DurationExpr>> Parser::duration(int lowest, std::string_view context, std::string_view expected) {
  using Op = DurationExpr::Op;
  const Nested nested(depth_);
  if (depth_ > depth_max) return fail_at(peek().pos, fmt::format("duration is nested deeper than {} levels", depth_max));
  std::unique_ptr<DurationExpr> left;
  if (is(Tok::add) || is(Tok::sub)) {
    const Token sign = take();
    left = std::make_unique<DurationExpr>();
    left->op = sign.type == Tok::sub ? Op::negate : Op::plus;
    left->pos = {sign.pos, sign.end()};
    PLUMBLINE_TRY(left->right, duration(unary_precedence + 1, context, expected));
  } else {
    PLUMBLINE_TRY(left, duration_primary(context, expected));
  }
  int links = 0;
  for (;;) {
    const Tok t = peek().type;
    const Op op = t == Tok::add   ? Op::add
                  : t == Tok::sub ? Op::sub
                  : t == Tok::mul ? Op::mul
                  : t == Tok::div ? Op::div
                  : t == Tok::mod ? Op::mod
                  : t == Tok::pow ? Op::pow
                                  : Op::literal;
    const int level = op == Op::literal ? 0 : precedence(t);
    if (level == 0 || level < lowest) return left;
    if (++links > depth_max) return fail_at(peek().pos, fmt::format("duration has more than {} operators", depth_max));
    take();
    auto node = std::make_unique<DurationExpr>();
    node->op = op;
    node->pos = left->pos;
    PLUMBLINE_TRY(node->right, duration(t == Tok::pow ? level : level + 1, context, expected));
    node->left = std::move(left);
    left = std::move(node);
  }
}

Result<std::unique_ptr<DurationExpr>> Parser::duration_primary(std::string_view context, std::string_view expected) {
  auto node = std::make_unique<DurationExpr>();
  const Token token = peek();
  node->pos = {token.pos, token.end()};
  switch (token.type) {
    case Tok::number:
    case Tok::duration: {
      take();
      node->number = token.type == Tok::number;
      PLUMBLINE_TRY(node->seconds, node->number ? number(token) : duration_literal(token));
      return node;
    }
    case Tok::left_paren: {
      take();
      PLUMBLINE_TRY(node, duration(1, context, expected));
      if (!accept(Tok::right_paren)) return unexpected(context, expected);
      node->wrapped = true;
      return node;
    }
    case Tok::step:
    case Tok::range:
      take();
      node->op = token.type == Tok::step ? DurationExpr::Op::step : DurationExpr::Op::range;
      if (!accept(Tok::left_paren) || !accept(Tok::right_paren)) return unexpected(context, expected);
      return node;
    case Tok::min_of:
    case Tok::max_of:
    case Tok::identifier: {
      if (token.type == Tok::identifier && token.text != "min_of" && token.text != "max_of") break;
      take();
      node->op = token.type == Tok::min_of || token.text == "min_of" ? DurationExpr::Op::min_of
                                                                     : DurationExpr::Op::max_of;
      if (!accept(Tok::left_paren)) return unexpected(context, expected);
      PLUMBLINE_TRY(node->left, duration(1, context, expected));
      if (!accept(Tok::comma)) return unexpected(context, expected);
      PLUMBLINE_TRY(node->right, duration(1, context, expected));
      if (!accept(Tok::right_paren)) return unexpected(context, expected);
      return node;
    }
    default: break;
  }
  return unexpected(context, expected);
}

}  // namespace plumbline::query::promql
