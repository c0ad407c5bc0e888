#include "query/promql/lexer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "daemon/base/text.hpp"

namespace plumbline::query::promql {

namespace {

struct Word {
  std::string_view text;
  Tok type;
};
constexpr std::array words{
    Word{"and", Tok::land}, Word{"or", Tok::lor}, Word{"unless", Tok::lunless}, Word{"atan2", Tok::atan2},
    Word{"sum", Tok::sum}, Word{"avg", Tok::avg}, Word{"count", Tok::count}, Word{"min", Tok::min},
    Word{"max", Tok::max}, Word{"group", Tok::group}, Word{"stddev", Tok::stddev}, Word{"stdvar", Tok::stdvar},
    Word{"topk", Tok::topk}, Word{"bottomk", Tok::bottomk}, Word{"count_values", Tok::count_values},
    Word{"quantile", Tok::quantile}, Word{"limitk", Tok::limitk}, Word{"limit_ratio", Tok::limit_ratio},
    Word{"offset", Tok::offset}, Word{"smoothed", Tok::smoothed}, Word{"anchored", Tok::anchored}, Word{"by", Tok::by},
    Word{"without", Tok::without}, Word{"on", Tok::on}, Word{"ignoring", Tok::ignoring},
    Word{"group_left", Tok::group_left}, Word{"group_right", Tok::group_right}, Word{"fill", Tok::fill},
    Word{"fill_left", Tok::fill_left}, Word{"fill_right", Tok::fill_right}, Word{"bool", Tok::bool_},
    Word{"start", Tok::start}, Word{"end", Tok::end}, Word{"step", Tok::step}, Word{"range", Tok::range},
    Word{"inf", Tok::number}, Word{"nan", Tok::number}};

constexpr std::array punctuation{
    Word{"(", Tok::left_paren}, Word{")", Tok::right_paren}, Word{"{", Tok::left_brace}, Word{"}", Tok::right_brace},
    Word{"[", Tok::left_bracket}, Word{"]", Tok::right_bracket}, Word{",", Tok::comma}, Word{":", Tok::colon},
    Word{"::", Tok::double_colon}, Word{"=", Tok::assign}, Word{"+", Tok::add}, Word{"-", Tok::sub},
    Word{"*", Tok::mul}, Word{"/", Tok::div}, Word{"%", Tok::mod}, Word{"^", Tok::pow}, Word{"==", Tok::eqlc},
    Word{"!=", Tok::neq}, Word{"<=", Tok::lte}, Word{"<", Tok::lss}, Word{">=", Tok::gte}, Word{">", Tok::gtr},
    Word{"=~", Tok::eql_regex}, Word{"!~", Tok::neq_regex}, Word{"</", Tok::trim_upper}, Word{">/", Tok::trim_lower},
    Word{"@", Tok::at}, Word{"min_of", Tok::min_of}, Word{"max_of", Tok::max_of}};

bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }

// The bytes of the UTF-8 character at `at`; 0 when it is not one.
std::size_t rune_length(std::string_view text, std::size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) return 1;
  const std::size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  return at + n <= text.size() && valid_utf8(text.substr(at, n)) ? n : 0;
}

// Go's %q of one rune.
std::string quote_rune(std::string_view text, std::size_t at) {
  if (at >= text.size()) return "'\\U0000ffff'";
  const std::size_t n = rune_length(text, at);
  if (n == 0) return "'\\ufffd'";
  if (text[at] == '\'') return "'\\''";
  if (text[at] == '"') return "'\"'";
  std::string q = quote(text.substr(at, n));
  q.front() = q.back() = '\'';
  return q;
}

class Lexer {
 public:
  explicit Lexer(std::string_view input) : in_(input) {}

  std::vector<Token> run() {
    while (!done_) {
      if (brace_open_) inside_braces();
      else statement();
    }
    return std::move(tokens_);
  }

 private:
  bool at_end() const { return pos_ >= in_.size(); }
  char peek(std::size_t ahead = 0) const { return pos_ + ahead < in_.size() ? in_[pos_ + ahead] : '\0'; }
  void emit(Tok type, std::size_t length) {
    pos_ = start_ + length;
    tokens_.push_back({type, static_cast<std::uint32_t>(start_), in_.substr(start_, length), {}});
    start_ = pos_;
  }
  void error(std::string message) {
    tokens_.push_back({Tok::error, static_cast<std::uint32_t>(start_), {}, std::move(message)});
    done_ = true;
  }
  void skip_spaces() {
    while (!at_end() && is_space(in_[pos_])) ++pos_;
    start_ = pos_;
  }
  bool comment_or_space() {
    if (at_end()) return false;
    if (is_space(in_[pos_])) {
      skip_spaces();
      return true;
    }
    if (in_[pos_] != '#') return false;
    while (!at_end() && in_[pos_] != '\n' && in_[pos_] != '\r') ++pos_;
    start_ = pos_;
    return true;
  }

  void statement();
  void inside_braces();
  void string(char open);
  bool escape(char open);
  void number_or_duration();
  bool scan_number();
  bool scan_duration();
  void word();
  bool duration_word();

  std::string_view in_;
  std::size_t pos_ = 0;
  std::size_t start_ = 0;
  int parens_ = 0;
  bool brace_open_ = false;
  bool bracket_open_ = false;
  bool got_colon_ = false;
  bool done_ = false;
  std::vector<Token> tokens_;
};

void Lexer::statement() {
  if (comment_or_space()) return;
  start_ = pos_;
  if (at_end()) {
    if (parens_ != 0) return error("unclosed left parenthesis");
    if (bracket_open_) return error("unclosed left bracket");
    emit(Tok::eof, 0);
    done_ = true;
    return;
  }
  const char c = in_[pos_];
  switch (c) {
    case ',': return emit(Tok::comma, 1);
    case '*': return emit(Tok::mul, 1);
    case '/': return emit(Tok::div, 1);
    case '%': return emit(Tok::mod, 1);
    case '+': return emit(Tok::add, 1);
    case '-': return emit(Tok::sub, 1);
    case '^': return emit(Tok::pow, 1);
    case '@': return emit(Tok::at, 1);
    case '=':
      if (peek(1) == '=') return emit(Tok::eqlc, 2);
      if (peek(1) == '~') return error("unexpected character after '=': '~'");
      return emit(Tok::assign, 1);
    case '!':
      if (peek(1) == '=') return emit(Tok::neq, 2);
      return error("unexpected character after '!': " + quote_rune(in_, pos_ + 1));
    case '<':
      if (peek(1) == '=') return emit(Tok::lte, 2);
      if (peek(1) == '/') return emit(Tok::trim_upper, 2);
      return emit(Tok::lss, 1);
    case '>':
      if (peek(1) == '=') return emit(Tok::gte, 2);
      if (peek(1) == '/') return emit(Tok::trim_lower, 2);
      return emit(Tok::gtr, 1);
    case '"':
    case '\'':
    case '`': return string(c);
    case '(':
      ++parens_;
      return emit(Tok::left_paren, 1);
    case ')':
      if (--parens_ < 0) {
        start_ = pos_ + 1;  // upstream reports it behind the parenthesis
        return error("unexpected right parenthesis ')'");
      }
      return emit(Tok::right_paren, 1);
    case '{':
      brace_open_ = true;
      return emit(Tok::left_brace, 1);
    case '[':
      if (bracket_open_) return error("unexpected left bracket '['");
      bracket_open_ = true;
      got_colon_ = false;
      return emit(Tok::left_bracket, 1);
    case ']':
      if (!bracket_open_) return error("unexpected right bracket ']'");
      bracket_open_ = false;
      return emit(Tok::right_bracket, 1);
    default: break;
  }
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number_or_duration();
  if (is_alpha(c) || c == ':') {
    if (!bracket_open_) return word();
    if (c == ':') {
      if (got_colon_) return error("unexpected colon ':'");
      got_colon_ = true;
      return peek(1) == ':' ? emit(Tok::double_colon, 2) : emit(Tok::colon, 1);
    }
    if (duration_word()) return;
    return error("unexpected character: " + quote_rune(in_, pos_) + ", expected ':'");
  }
  error("unexpected character: " + quote_rune(in_, pos_));
}

void Lexer::inside_braces() {
  if (comment_or_space()) return;
  start_ = pos_;
  if (at_end()) return error("unexpected end of input inside braces");
  const char c = in_[pos_];
  if (is_alpha(c)) {
    std::size_t n = 1;
    while (is_alnum(peek(n))) ++n;
    return emit(Tok::identifier, n);
  }
  switch (c) {
    case ',': return emit(Tok::comma, 1);
    case '"':
    case '\'':
    case '`': return string(c);
    case '=': return peek(1) == '~' ? emit(Tok::eql_regex, 2) : emit(Tok::assign, 1);
    case '!':
      if (peek(1) == '~') return emit(Tok::neq_regex, 2);
      if (peek(1) == '=') return emit(Tok::neq, 2);
      return error("unexpected character after '!' inside braces: " + quote_rune(in_, pos_ + 1));
    case '{': return error("unexpected left brace '{'");
    case '}':
      brace_open_ = false;
      return emit(Tok::right_brace, 1);
    default: return error("unexpected character inside braces: " + quote_rune(in_, pos_));
  }
}

void Lexer::string(char open) {
  pos_ = start_ + 1;
  for (;;) {
    if (at_end()) return error(open == '`' ? "unterminated raw string" : "unterminated quoted string");
    const char c = in_[pos_];
    if (c == open) return emit(Tok::string, pos_ + 1 - start_);
    if (open != '`') {
      if (c == '\n') return error("unterminated quoted string");
      if (c == '\\') {
        if (!escape(open)) return;
        continue;
      }
    }
    const std::size_t n = rune_length(in_, pos_);
    if (n == 0) return error("invalid UTF-8 rune");
    pos_ += n;
  }
}

// At a backslash; steps behind the sequence.
bool Lexer::escape(char open) {
  ++pos_;
  if (at_end()) return error("escape sequence not terminated"), false;
  const char c = in_[pos_];
  if (c == open || std::string_view("abfnrtv\\").find(c) != std::string_view::npos) {
    ++pos_;
    return true;
  }
  std::size_t digits = 0;
  std::uint32_t base = 16, max = 0x10ffff;
  if (c >= '0' && c <= '7') {
    digits = 3, base = 8, max = 255;
  } else if (c == 'x') {
    digits = 2, max = 255;
    ++pos_;
  } else if (c == 'u' || c == 'U') {
    digits = c == 'u' ? 4 : 8;
    ++pos_;
  } else {
    const auto byte = static_cast<unsigned char>(c);
    return error(byte < 0x80 ? fmt::format("unknown escape sequence U+{:04X} '{}'", byte, c)
                             : std::string("unknown escape sequence")),
           false;
  }
  std::uint64_t value = 0;
  for (; digits > 0; --digits, ++pos_) {
    if (at_end()) return error("escape sequence not terminated"), false;
    const char d = in_[pos_];
    const std::uint32_t v = is_digit(d) ? static_cast<std::uint32_t>(d - '0')
                            : d >= 'a' && d <= 'f' ? static_cast<std::uint32_t>(d - 'a' + 10)
                            : d >= 'A' && d <= 'F' ? static_cast<std::uint32_t>(d - 'A' + 10)
                                                   : 16;
    if (v >= base)
      return error(fmt::format("illegal character U+{:04X} '{}' in escape sequence", static_cast<unsigned char>(d), d)),
             false;
    value = value * base + v;
  }
  if (value > max || (value >= 0xd800 && value < 0xe000))
    return error("escape sequence is an invalid Unicode code point"), false;
  return true;
}

void Lexer::number_or_duration() {
  if (scan_number()) return emit(Tok::number, pos_ - start_);
  if (scan_duration()) return emit(Tok::duration, pos_ - start_);
  error("bad number or duration syntax: " + quote(in_.substr(start_, pos_ - start_)));
}

// Stands behind what was read, also when it was not a number: a duration goes on from there.
bool Lexer::scan_number() {
  bool hex = false;
  if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
    hex = true;
    pos_ += 2;
    if (peek() == '_') ++pos_;
  }
  const auto digit = [&](char c) {
    return is_digit(c) || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
  };
  const auto exponent = [&](char c) { return !hex && (c == 'e' || c == 'E'); };
  const auto accept = [&](std::string_view set) {
    const bool yes = !at_end() && set.find(in_[pos_]) != std::string_view::npos;
    pos_ += yes;
    return yes;
  };
  bool dot = false, exponent_seen = false;
  if (peek() == '.') ++pos_, dot = true;
  if (!at_end() && digit(in_[pos_])) ++pos_;
  while (!at_end()) {
    const char c = in_[pos_];
    if (c == '.') {
      ++pos_;
      if (dot || accept("_.") || hex) return false;
      dot = true;
    } else if (exponent(c)) {
      ++pos_;
      if (exponent_seen) return false;
      exponent_seen = true;
      accept("+-");
      if (accept("._eE") || at_end()) return false;
    } else if (c == '_') {
      ++pos_;
      if (accept("._eE") || at_end()) return false;
    } else if (digit(c)) {
      ++pos_;
    } else {
      break;
    }
  }
  return pos_ > start_ && !is_alnum(peek());
}

bool Lexer::scan_duration() {
  const auto unit = [&](std::string_view units) {
    if (at_end() || units.find(in_[pos_]) == std::string_view::npos) return false;
    ++pos_;
    if (peek() == 's') ++pos_;
    return true;
  };
  if (!unit("smhdwy")) return false;
  while (is_digit(peek())) {
    while (is_digit(peek())) ++pos_;
    if (!unit("smhdw")) return false;
  }
  if (!is_alnum(peek())) return true;
  ++pos_;
  return false;
}

void Lexer::word() {
  std::size_t n = 1;
  bool colon = in_[pos_] == ':';
  while (is_alnum(peek(n)) || peek(n) == ':') colon |= peek(n++) == ':';
  const std::string lower = to_lower(in_.substr(pos_, n));
  Tok type = colon ? Tok::metric_identifier : Tok::identifier;
  for (const Word& w : words)
    if (w.text == lower) type = w.type;
  if (type == Tok::fill || type == Tok::fill_left || type == Tok::fill_right) {
    // A modifier only in front of a parenthesis, so that these stay usable as metric names.
    std::size_t next = pos_ + n;
    while (next < in_.size() && is_space(in_[next])) ++next;
    if (next >= in_.size() || in_[next] != '(') type = Tok::identifier;
  }
  emit(type, n);
}

bool Lexer::duration_word() {
  std::size_t n = 0;
  while (is_alpha(peek(n))) ++n;
  const std::string lower = to_lower(in_.substr(pos_, n));
  const std::optional<Tok> type = lower == "step"                        ? std::optional(Tok::step)
                                  : lower == "range"                     ? std::optional(Tok::range)
                                  : lower == "min_of" || lower == "min" ? std::optional(Tok::min_of)
                                  : lower == "max_of" || lower == "max" ? std::optional(Tok::max_of)
                                                                         : std::nullopt;
  if (!type) return false;
  emit(*type, n);
  return true;
}

}  // namespace

std::vector<Token> lex(std::string_view input) { return Lexer(input).run(); }

std::string_view spelling(Tok type) {
  for (const Word& w : punctuation)
    if (w.type == type) return w.text;
  for (const Word& w : words)
    if (w.type == type && type != Tok::number) return w.text;
  return "";
}

std::string describe(const Token& token) {
  if (token.type == Tok::eof) return "end of input";
  if (token.type == Tok::error) return token.message;
  if (is_keyword(token.type)) return fmt::format("<{}>", token.text);
  if (is_operator(token.type)) return fmt::format("<op:{}>", token.text);
  if (is_aggregator(token.type)) return fmt::format("<aggr:{}>", token.text);
  std::string quoted = quote(token.text);
  if (token.type != Tok::identifier && token.type != Tok::metric_identifier && token.text.size() > 10) {
    // Go's %.10q cuts after ten characters.
    std::size_t bytes = 0;
    for (int i = 0; i < 10 && bytes < token.text.size(); ++i)
      bytes += std::max<std::size_t>(1, rune_length(token.text, bytes));
    quoted = quote(token.text.substr(0, bytes)) + "...";
  }
  switch (token.type) {
    case Tok::identifier: return "identifier " + quoted;
    case Tok::metric_identifier: return "metric identifier " + quoted;
    case Tok::string: return "string " + quoted;
    case Tok::number: return "number " + quoted;
    case Tok::duration: return "duration " + quoted;
    default: return quoted;
  }
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_alpha(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_legacy_label_name(std::string_view name) {
  return !name.empty() && is_alpha(name[0]) && std::all_of(name.begin(), name.end(), is_alnum);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t n = rune_length(text, i);
    if (n == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      ++i;
      continue;
    }
    static constexpr std::string_view from = "\a\b\f\n\r\t\v\\\"", to = "abfnrtv\\\"";
    if (const std::size_t k = from.find(c); n == 1 && k != std::string_view::npos) {
      out += '\\';
      out += to[k];
    } else if (n == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += text.substr(i, n);
    }
    i += n;
  }
  return out + "\"";
}

}  // namespace plumbline::query::promql
