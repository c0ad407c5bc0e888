#include <fmt/format.h>
#include <re2/re2.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>

#include "alerting/template.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

using Values = std::vector<TemplateValue>;

std::string short_g(double v) {
  return std::isnan(v) ? "NaN" : std::isinf(v) ? (v > 0 ? "+Inf" : "-Inf") : fmt::format("{:.4g}", v);
}

// Go's %v: the shortest digits that read back, in exponent form below 1e-4 and from 1e6 on (a value of a
// million prints as 1e+06; rule authors pipe through humanize for that reason).
std::string go_float(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  if (v == 0) return std::signbit(v) ? "-0" : "0";
  char buffer[64];
  const auto done = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
  const std::string scientific(buffer, done.ptr);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (exponent < -4 || exponent >= 6) return scientific;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed);
  return std::string(buffer, fixed.ptr);
}

Result<double> to_number(const TemplateValue& value) {
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* s = std::get_if<std::string>(&value)) {
    if (const auto parsed = parse_number(*s)) return *parsed;
    return fail(Code::execution, fmt::format("{} is not a number", json_quote(*s)));
  }
  return fail(Code::execution, fmt::format("can't convert {} to float", print_value(value)));
}

Result<std::string> to_text(const TemplateValue& value) {
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  return fail(Code::execution, fmt::format("expected string; found {}", print_value(value)));
}

Result<std::unique_ptr<re2::RE2>> regex(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);  // as for matchers: a rule file must not buy memory with a regex
  auto compiled = std::make_unique<re2::RE2>(pattern, options);
  if (!compiled->ok())
    return fail(Code::execution, fmt::format("bad regex {}: {}", json_quote(pattern), compiled->error()));
  return compiled;
}

// Go's replacement text ($1, ${name}, $$) as RE2's (\1). In Go `$1x` is the group named "1x"; so it is here.
std::string rewrite_of(const re2::RE2& re, const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      out += "\\\\";
    } else if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
    } else if (text[i + 1] == '$') {
      out += '$';
      ++i;
    } else {
      const bool braces = text[i + 1] == '{';
      std::size_t from = i + (braces ? 2 : 1), to = from;
      while (to < text.size() && (std::isalnum(static_cast<unsigned char>(text[to])) || text[to] == '_'))
        ++to;
      if (to == from || (braces && (to == text.size() || text[to] != '}'))) {
        out += '$';
        continue;
      }
      const std::string name = text.substr(from, to - from);
      int group = -1;
      if (const auto number = parse_int(name)) {
        group = static_cast<int>(std::min<std::int64_t>(*number, 1000));
      } else if (const auto it = re.NamedCapturingGroups().find(name);
                 it != re.NamedCapturingGroups().end()) {
        group = it->second;
      }
      // RE2 rewrites know \0..\9; a group that is not there is empty, as in Go.
      if (group >= 0 && group <= std::min(9, re.NumberOfCapturingGroups()))
        out += '\\' + std::to_string(group);
      i = braces ? to : to - 1;
    }
  }
  return out;
}

std::string scaled(double v, double base, std::initializer_list<const char*> prefixes, bool up) {
  const char* prefix = "";
  for (const char* p : prefixes) {
    if (up ? std::abs(v) < base : std::abs(v) >= 1) break;
    prefix = p;
    v = up ? v / base : v * base;
  }
  return short_g(v) + prefix;
}

std::string host_of(const std::string& address) {  // net.SplitHostPort, or the text itself when that fails
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return address;
  if (!address.empty() && address.front() == '[') {
    const std::size_t close = address.find(']');
    return close != std::string::npos && close + 1 == colon ? address.substr(1, close - 1) : address;
  }
  return address.find(':') == colon ? address.substr(0, colon) : address;
}

std::string title(std::string text) {
  bool start = true;
  for (char& c : text) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '\'' || (c & 0x80);
    if (letter && start) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    start = !letter;
  }
  return text;
}

std::string timestamp(double seconds) {
  const double whole = std::floor(seconds);
  const auto at = static_cast<std::time_t>(whole);
  std::tm tm{};
  gmtime_r(&at, &tm);
  std::string out = fmt::format("{:04d}-{:02d}-{:02d} {:02d}:{:02d}:{:02d}", tm.tm_year + 1900, tm.tm_mon + 1,
                                tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
  const auto millis = static_cast<int>(std::lround((seconds - whole) * 1000));
  if (millis > 0 && millis < 1000) {
    std::string fraction = fmt::format(".{:03d}", millis);
    while (fraction.back() == '0') fraction.pop_back();
    out += fraction;
  }
  return out + " +0000 UTC";
}

std::string url_escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || c == '-' || c == '_' || c == '.' || c == '~')
      out += c;
    else if (c == ' ')
      out += '+';
    else
      out += fmt::format("%{:02X}", u);
  }
  return out;
}

// One verb of printf with its flags and width; a value of the wrong type prints as Go prints it:
// %!d(float64=0.5).
std::string format_verb(const std::string& flags, char verb, const TemplateValue& value) {
  const auto padded = [&](const std::string& text) {
    std::string spec;
    for (const char c : flags) {
      if (c == '.') break;
      if (std::isdigit(static_cast<unsigned char>(c)) || c == '-') spec += c;
    }
    const bool left = !spec.empty() && spec.front() == '-';
    const auto width = parse_int(left ? std::string_view(spec).substr(1) : std::string_view(spec));
    if (!width || *width < 0 || *width > 1000) return text;
    return left ? fmt::format("{:<{}}", text, *width) : fmt::format("{:>{}}", text, *width);
  };
  const auto c_format = [&](const char* length, auto number) {
    char buffer[512];
    const std::string spec = "%" + flags + length + verb;
    const int n = std::snprintf(buffer, sizeof buffer, spec.c_str(), number);
    return std::string(buffer, n < 0 ? 0 : std::min(static_cast<std::size_t>(n), sizeof buffer - 1));
  };
  const double* real = std::get_if<double>(&value);
  const auto* whole = std::get_if<std::int64_t>(&value);
  const auto* text = std::get_if<std::string>(&value);
  const std::string type = real                                  ? "float64"
                           : whole                               ? "int"
                           : text                                ? "string"
                           : std::holds_alternative<bool>(value) ? "bool"
                                                                 : "map[string]string";
  const std::string mismatch = fmt::format("%!{}({}={})", verb, type, print_value(value));
  switch (verb) {
    case 'v':
      return real && flags.find('.') != std::string::npos ? format_verb(flags, 'g', value)
                                                          : padded(print_value(value));
    case 's': {
      if (!text) return mismatch;
      const std::size_t dot = flags.find('.');
      const auto precision =
          dot == std::string::npos ? std::nullopt : parse_int(std::string_view(flags).substr(dot + 1));
      return padded(precision ? text->substr(0, static_cast<std::size_t>(*precision)) : *text);
    }
    case 'q':
      return text ? padded(json_quote(*text)) : mismatch;
    case 't':
      return std::holds_alternative<bool>(value) ? padded(print_value(value)) : mismatch;
    case 'd':
      return whole ? c_format("l", static_cast<long>(*whole)) : mismatch;
    case 'x':
    case 'X':
    case 'o':
      return whole ? c_format("l", static_cast<long>(*whole)) : mismatch;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      if (!real) return mismatch;
      if (!std::isfinite(*real)) return padded(go_float(*real));
      return (verb == 'g' || verb == 'G') && flags.find('.') == std::string::npos ? padded(go_float(*real))
                                                                                  : c_format("", *real);
    default:
      return fmt::format("%!{}({}={})", verb, type, print_value(value));
  }
}

Result<TemplateValue> printf_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const std::string format, to_text(a[0]));
  std::string out;
  std::size_t next = 1;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    std::string flags;
    for (++i;
         i < format.size() && std::string_view("+-# 0123456789.").find(format[i]) != std::string_view::npos;
         ++i)
      flags += format[i];
    if (flags.size() > 8) return fail(Code::execution, "printf: width or precision is too long");
    if (i == format.size()) {
      out += "%!(NOVERB)";
    } else if (format[i] == '%') {
      out += '%';
    } else if (next == a.size()) {
      out += fmt::format("%!{}(MISSING)", format[i]);
    } else {
      out += format_verb(flags, format[i], a[next++]);
    }
  }
  if (next < a.size()) out += fmt::format("%!(EXTRA {} arguments)", a.size() - next);
  return out;
}

template <std::string (*form)(double)>
Result<TemplateValue> number_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const double v, to_number(a[0]));
  return form(v);
}

template <std::string (*form)(std::string)>
Result<TemplateValue> text_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(std::string text, to_text(a[0]));
  return form(std::move(text));
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}
std::string lower(std::string text) {
  return to_lower(text);
}
std::string same(std::string text) {
  return text;
}
std::string strip_port(std::string text) {
  return host_of(text);
}
std::string strip_domain(std::string text) {
  const std::string host = host_of(text);
  const bool address =
      host.find(':') != std::string::npos || host.find_first_not_of("0123456789.") == std::string::npos;
  if (address) return text;
  const std::string port = text.size() > host.size() ? text.substr(host.size()) : "";
  return host.substr(0, host.find('.')) + port;
}
std::string query_escape(std::string text) {
  return url_escape(text);
}
std::string human_time(double v) {
  return std::isfinite(v) && std::abs(v) < 1e11 ? timestamp(v) : short_g(v);
}

Result<TemplateValue> replace_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const std::string pattern, to_text(a[0]));
  PLUMBLINE_TRY(const std::string replacement, to_text(a[1]));
  PLUMBLINE_TRY(std::string text, to_text(a[2]));
  PLUMBLINE_TRY(const auto re, regex(pattern));
  re2::RE2::GlobalReplace(&text, *re, rewrite_of(*re, replacement));
  return text;
}

Result<TemplateValue> match_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const std::string pattern, to_text(a[0]));
  PLUMBLINE_TRY(const std::string text, to_text(a[1]));
  PLUMBLINE_TRY(const auto re, regex(pattern));
  return re2::RE2::PartialMatch(text, *re);
}

Result<int> compare(const TemplateValue& x, const TemplateValue& y) {
  const auto* s = std::get_if<std::string>(&x);
  const auto* t = std::get_if<std::string>(&y);
  if (s && t) return s->compare(*t) < 0 ? -1 : *s == *t ? 0 : 1;
  if (s || t) return fail(Code::execution, "incompatible types for comparison");
  if (std::holds_alternative<bool>(x) && std::holds_alternative<bool>(y))
    return std::get<bool>(x) == std::get<bool>(y) ? 0 : 1;
  PLUMBLINE_TRY(const double v, to_number(x));
  PLUMBLINE_TRY(const double w, to_number(y));
  return v < w ? -1 : v == w ? 0 : 1;  // NaN compares as greater, and unequal to itself
}

Result<TemplateValue> eq_call(const Values& a, const TemplateData&) {
  for (std::size_t i = 1; i < a.size(); ++i) {
    PLUMBLINE_TRY(const int order, compare(a[0], a[i]));
    if (order == 0) return true;
  }
  return false;
}
template <bool (*accept)(int)>
Result<TemplateValue> order_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const int order, compare(a[0], a[1]));
  return accept(order);
}

Result<TemplateValue> and_call(const Values& a, const TemplateData&) {
  for (const TemplateValue& v : a)
    if (!is_true(v)) return v;
  return a.back();
}
Result<TemplateValue> or_call(const Values& a, const TemplateData&) {
  for (const TemplateValue& v : a)
    if (is_true(v)) return v;
  return a.back();
}
Result<TemplateValue> not_call(const Values& a, const TemplateData&) {
  return !is_true(a[0]);
}
Result<TemplateValue> len_call(const Values& a, const TemplateData&) {
  if (const auto* s = std::get_if<std::string>(&a[0])) return static_cast<std::int64_t>(s->size());
  if (const auto* m = std::get_if<StringMap>(&a[0])) return static_cast<std::int64_t>(m->size());
  return fail(Code::execution, "len of " + print_value(a[0]));
}
Result<TemplateValue> index_call(const Values& a, const TemplateData&) {
  const auto* map = std::get_if<StringMap>(&a[0]);
  if (!map) return fail(Code::execution, "index of " + print_value(a[0]));
  PLUMBLINE_TRY(const std::string key, to_text(a[1]));
  const auto it = map->find(key);
  return it == map->end() ? std::string() : it->second;
}
Result<TemplateValue> print_call(const Values& a, const TemplateData&) {
  std::string out;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i > 0 && !std::holds_alternative<std::string>(a[i]) && !std::holds_alternative<std::string>(a[i - 1]))
      out += ' ';
    out += print_value(a[i]);
  }
  return out;
}
Result<TemplateValue> url_call(const Values&, const TemplateData& data) {
  return std::string(data.external_url);
}
Result<TemplateValue> path_call(const Values&, const TemplateData& data) {
  const std::size_t host = data.external_url.find("://");
  const std::size_t path = host == std::string_view::npos ? host : data.external_url.find('/', host + 3);
  return path == std::string_view::npos ? std::string() : std::string(data.external_url.substr(path));
}
Result<TemplateValue> duration_call(const Values& a, const TemplateData&) {
  PLUMBLINE_TRY(const std::string text, to_text(a[0]));
  PLUMBLINE_TRY(const std::int64_t ms, parse_duration_ms(text));
  return static_cast<double>(ms) / 1000;
}

bool less(int o) {
  return o < 0;
}
bool less_equal(int o) {
  return o <= 0;
}
bool greater(int o) {
  return o > 0;
}
bool greater_equal(int o) {
  return o >= 0;
}
bool unequal(int o) {
  return o != 0;
}

constexpr std::size_t many = 64;
const TemplateFunction functions[] = {
    {"printf", 1, many, printf_call},
    {"humanize", 1, 1, number_call<humanize>},
    {"humanize1024", 1, 1, number_call<humanize1024>},
    {"humanizeDuration", 1, 1, number_call<humanize_duration>},
    {"humanizePercentage", 1, 1, number_call<humanize_percentage>},
    {"humanizeTimestamp", 1, 1, number_call<human_time>},
    {"toUpper", 1, 1, text_call<upper>},
    {"toLower", 1, 1, text_call<lower>},
    {"title", 1, 1, text_call<title>},
    {"stripPort", 1, 1, text_call<strip_port>},
    {"stripDomain", 1, 1, text_call<strip_domain>},
    {"safeHtml", 1, 1, text_call<same>},
    {"urlQueryEscape", 1, 1, text_call<query_escape>},
    {"reReplaceAll", 3, 3, replace_call},
    {"match", 2, 2, match_call},
    {"parseDuration", 1, 1, duration_call},
    {"externalURL", 0, 0, url_call},
    {"pathPrefix", 0, 0, path_call},
    {"eq", 2, many, eq_call},
    {"ne", 2, 2, order_call<unequal>},
    {"lt", 2, 2, order_call<less>},
    {"le", 2, 2, order_call<less_equal>},
    {"gt", 2, 2, order_call<greater>},
    {"ge", 2, 2, order_call<greater_equal>},
    {"and", 1, many, and_call},
    {"or", 1, many, or_call},
    {"not", 1, 1, not_call},
    {"len", 1, 1, len_call},
    {"index", 2, 2, index_call},
    {"print", 0, many, print_call},
};

constexpr std::string_view unsupported[] = {"query",  "first",      "label",     "value",     "strvalue",
                                            "args",   "tmpl",       "graphLink", "tableLink", "sortByLabel",
                                            "toTime", "toDuration", "now",       "println",   "html",
                                            "js",     "urlquery",   "slice",     "call"};

}  // namespace

const TemplateFunction* find_template_function(std::string_view name) {
  for (const TemplateFunction& f : functions)
    if (f.name == name) return &f;
  return nullptr;
}

bool is_unsupported_template_function(std::string_view name) {
  for (const std::string_view f : unsupported)
    if (f == name) return true;
  return false;
}

std::string print_value(const TemplateValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return go_float(*d);
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  if (const auto* m = std::get_if<StringMap>(&value)) {
    std::string out = "map[";
    for (const auto& [key, text] : *m) out += (out.back() == '[' ? "" : " ") + key + ":" + text;
    return out + "]";
  }
  return "<no value>";
}

bool is_true(const TemplateValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return *i != 0;
  if (const auto* d = std::get_if<double>(&value)) return *d != 0;
  if (const auto* s = std::get_if<std::string>(&value)) return !s->empty();
  if (const auto* m = std::get_if<StringMap>(&value)) return !m->empty();
  return false;
}

std::string humanize(double v) {
  if (v == 0 || !std::isfinite(v)) return short_g(v);
  return std::abs(v) >= 1 ? scaled(v, 1000, {"k", "M", "G", "T", "P", "E", "Z", "Y"}, true)
                          : scaled(v, 1000, {"m", "u", "n", "p", "f", "a", "z", "y"}, false);
}

std::string humanize1024(double v) {
  if (std::abs(v) <= 1 || !std::isfinite(v)) return short_g(v);
  return scaled(v, 1024, {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"}, true);
}

std::string humanize_duration(double v) {
  if (!std::isfinite(v)) return short_g(v);
  if (v == 0) return "0s";
  if (std::abs(v) < 1) return scaled(v, 1000, {"m", "u", "n", "p", "f", "a", "z", "y"}, false) + "s";
  const std::string sign = v < 0 ? "-" : "";
  v = std::min(std::abs(v), 1e15);
  const auto whole = static_cast<std::int64_t>(v);
  const std::int64_t s = whole % 60, m = whole / 60 % 60, h = whole / 3600 % 24, d = whole / 86400;
  if (d != 0) return fmt::format("{}{}d {}h {}m {}s", sign, d, h, m, s);
  if (h != 0) return fmt::format("{}{}h {}m {}s", sign, h, m, s);
  if (m != 0) return fmt::format("{}{}m {}s", sign, m, s);
  return sign + short_g(v) + "s";
}

std::string humanize_percentage(double ratio) {
  return short_g(ratio * 100) + "%";
}

}  // namespace plumbline::alerting
