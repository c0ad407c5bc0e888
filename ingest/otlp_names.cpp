#include "ingest/otlp_names.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

using Word = std::pair<std::string_view, std::string_view>;

// "TiBy" and "KBy" are as Prometheus spells them, not as UCUM does: dashboards know these names.
constexpr std::array<Word, 27> unit_words{{
    {"d", "days"},       {"h", "hours"},       {"min", "minutes"},    {"s", "seconds"},      {"ms", "milliseconds"},
    {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},   {"KiBy", "kibibytes"}, {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},  {"TiBy", "tibibytes"}, {"KBy", "kilobytes"}, {"MBy", "megabytes"}, {"GBy", "gigabytes"},
    {"TBy", "terabytes"},   {"m", "meters"},       {"V", "volts"},       {"A", "amperes"},     {"J", "joules"},
    {"W", "watts"},         {"g", "grams"},        {"Cel", "celsius"},   {"Hz", "hertz"},      {"1", ""},
    {"%", "percent"},       {"", ""},
}};
constexpr std::array<Word, 7> per_words{
    {{"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"}, {"w", "week"}, {"mo", "month"}, {"y", "year"}}};

template <std::size_t N>
std::string_view word_of(const std::array<Word, N>& words, std::string_view unit) {
  for (const Word& w : words)
    if (w.first == unit) return w.second;
  return unit;  // an unknown unit names itself
}

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':';
}
bool digit(char c) { return c >= '0' && c <= '9'; }

std::vector<std::string> tokens_of(std::string_view name) {
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : name) {
    if (name_char(c)) {
      token += c;
    } else if (!token.empty()) {
      tokens.push_back(std::exchange(token, {}));
    }
  }
  if (!token.empty()) tokens.push_back(std::move(token));
  return tokens;
}

// Foreign characters of a unit become one underscore; none in front.
std::string cleaned(std::string_view unit) {
  std::string out;
  for (const char c : unit) {
    if (name_char(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  return out;
}

struct UnitSuffixes {
  std::string main;
  std::string per;  // with "per_"
};

UnitSuffixes suffixes_of(std::string_view unit) {
  const auto usable = [](std::string_view part) {
    return !part.empty() && part.find_first_of("{}") == std::string_view::npos;
  };
  const std::size_t slash = unit.find('/');
  const std::string_view main = trim(unit.substr(0, slash));
  UnitSuffixes out;
  if (usable(main)) out.main = cleaned(word_of(unit_words, main));
  if (slash == std::string_view::npos) return out;
  const std::string_view per = trim(unit.substr(slash + 1));
  if (!usable(per)) return out;
  const std::string word = cleaned("per_" + std::string(word_of(per_words, per)));
  if (word != "per_" && word != "per") out.per = word;
  return out;
}

void trim_underscore(std::string& text) {
  if (text.ends_with('_')) text.pop_back();
}

bool has(const std::vector<std::string>& tokens, std::string_view token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

void move_to_end(std::vector<std::string>& tokens, std::string_view token) {
  std::erase(tokens, token);
  tokens.emplace_back(token);
}

std::string joined(const std::vector<std::string>& tokens) {
  std::string out;
  for (const std::string& t : tokens) out += (out.empty() ? "" : "_") + t;
  return out;
}

bool only_underscores(std::string_view text) { return text.find_first_not_of('_') == std::string_view::npos; }

void add_unit(std::vector<std::string>& tokens, UnitSuffixes suffixes) {
  if (has(tokens, suffixes.main)) suffixes.main.clear();
  trim_underscore(suffixes.per);
  if (has(tokens, suffixes.per)) suffixes.per.clear();
  if (!suffixes.per.empty()) trim_underscore(suffixes.main);
  if (!suffixes.main.empty()) tokens.push_back(std::move(suffixes.main));
  if (!suffixes.per.empty()) tokens.push_back(std::move(suffixes.per));
}

}  // namespace

std::string metric_name(std::string_view name, std::string_view unit, OtlpKind kind) {
  std::vector<std::string> tokens = tokens_of(name);
  add_unit(tokens, suffixes_of(unit));
  if (kind == OtlpKind::counter) move_to_end(tokens, "total");
  // Gauges alone: instruments that count things carry the unit "1" too, and are no ratios.
  if (kind == OtlpKind::gauge && unit == "1") move_to_end(tokens, "ratio");
  std::string out = joined(tokens);
  if (!out.empty() && digit(out.front())) out.insert(out.begin(), '_');
  return only_underscores(out) ? std::string() : out;
}

std::string unit_name(std::string_view unit) {
  std::vector<std::string> tokens;
  add_unit(tokens, suffixes_of(unit));
  return joined(tokens);
}

std::string label_name(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    // A character of several bytes becomes one underscore: its continuation bytes add nothing.
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80 && i > 0) continue;
    out += name_char(c) && c != ':' ? c : '_';
  }
  if (!out.empty() && digit(out.front())) out = "key_" + out;
  if (out.starts_with('_') && !out.starts_with("__")) out = "key" + out;
  return only_underscores(out) && out != name ? std::string() : out;
}

std::string bound_text(double bound) {
  if (std::isnan(bound)) return "NaN";
  if (std::isinf(bound)) return bound > 0 ? "+Inf" : "-Inf";
  std::array<char, 400> buffer;  // the longest double in 'f' form has 1 + 309 digits, or 0. and 324
  const bool large = std::abs(bound) >= 1e17;
  const auto form = large ? std::chars_format::scientific : std::chars_format::fixed;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), bound, form);
  const std::string text(buffer.data(), end.ptr);
  if (!large) return text;
  // std::to_chars prints every digit of a large integer's exact value; the shortest ones are padded with zeros instead.
  const std::size_t e = text.find('e');
  const auto exponent = static_cast<std::size_t>(std::stoi(text.substr(e + 1)));
  std::string digits;
  for (const char c : text.substr(0, e))
    if (digit(c)) digits += c;
  digits.resize(std::max(digits.size(), exponent + 1), '0');
  return (bound < 0 ? "-" : "") + digits;
}

}  // namespace plumbline::ingest
