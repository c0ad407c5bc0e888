#include "daemon/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

namespace plumbline {

char* put_number(double v, char* to) {
  const auto put_text = [&](std::string_view text) { return std::ranges::copy(text, to).out; };
  if (std::isnan(v)) return put_text("NaN");
  if (std::isinf(v)) return put_text(v > 0 ? "+Inf" : "-Inf");
  if (v == 0) return put_text(std::signbit(v) ? "-0" : "0");
  char* const last = to + number_bytes_max;
  const double a = std::fabs(v);
  // Below 2^53 an integer's shortest digits are all of them, and so are the digits of what has a fraction.
  if (a < 0x1p53 && std::trunc(v) == v) return std::to_chars(to, last, static_cast<std::int64_t>(v)).ptr;
  if (a < 0x1p53 && a >= 1e-6) return std::to_chars(to, last, v, std::chars_format::fixed).ptr;
  char* const end = std::to_chars(to, last, v, std::chars_format::scientific).ptr;
  if (a < 1e-6 || a >= 1e21) return end;
  // Go's `f` form: the shortest digits that read back, then zeros (2^64 is 18446744073709552000), where to_chars' fixed form
  // would print every digit of the exact value. From 2^53 on no digit is behind the point.
  const char* const e = std::find(to, end, 'e');
  int exponent = 0;
  std::from_chars(e + 2, end, exponent);  // e+15
  int digits = 0;
  char* put = to + (v < 0 ? 1 : 0);
  for (const char* c = put; c != e; ++c)
    if (*c != '.') *put++ = *c, ++digits;
  return std::fill_n(put, exponent + 1 - digits, '0');
}

std::string format_number(double v) {
  std::array<char, number_bytes_max> text;
  return {text.data(), put_number(v, text.data())};
}

std::string json_number(double v) {
  if (!std::isfinite(v)) return "null";
  std::array<char, 40> buffer;
  const auto [end, ec] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), v);
  return {buffer.data(), end};
}

std::optional<double> parse_number(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  if (at == end) return std::nullopt;
  if (*at == '+') {
    ++at;
    if (at == end || *at == '-' || *at == '+') return std::nullopt;
  }
  double v = 0;
  const auto [stop, ec] = std::from_chars(at, end, v);  // takes inf, infinity and nan in any case
  if (stop != end || at == end) return std::nullopt;
  if (ec == std::errc::result_out_of_range) {
    // Too large reads as an infinity, too small as zero, like strconv without its range error.
    const std::string copy(at, end);
    return std::strtod(copy.c_str(), nullptr);
  }
  if (ec != std::errc{}) return std::nullopt;
  if (text.find('(') != std::string_view::npos) return std::nullopt;  // C's nan(payload)
  return v;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t v = 0;
  const auto [stop, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || ec != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return v;
}

namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 7> units{{{"y", 365ll * 86'400'000},
                                     {"w", 7ll * 86'400'000},
                                     {"d", 86'400'000},
                                     {"h", 3'600'000},
                                     {"m", 60'000},
                                     {"s", 1'000},
                                     {"ms", 1}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  const auto bad = [whole = text.substr(0, 64)] {
    return fail(Code::invalid_input, fmt::format("not a valid duration string: \"{}\"", whole));
  };
  if (text.empty()) return fail(Code::invalid_input, "empty duration string");
  if (text == "0") return 0;
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    std::int64_t n = 0;
    const auto [stop, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (!is_digit(text[0]) || ec != std::errc{}) return bad();
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    std::size_t letters = 0;
    while (letters < text.size() && !is_digit(text[letters])) ++letters;
    std::size_t u = next_unit;
    while (u < units.size() && units[u].name != text.substr(0, letters)) ++u;
    if (u == units.size()) return bad();
    std::int64_t part = 0;
    if (__builtin_mul_overflow(n, units[u].ms, &part) || __builtin_add_overflow(total, part, &total) ||
        total > std::numeric_limits<std::int64_t>::max() / 1'000'000)
      return fail(Code::invalid_input, "duration out of range");
    next_unit = u + 1;
    text.remove_prefix(letters);
  }
  return total;
}

std::string format_duration_ms(std::int64_t ms) {
  if (ms == 0) return "0s";
  std::string out;
  for (const Unit& u : units) {
    // Weeks and years only when the duration is made of nothing else, as Prometheus prints it.
    if ((u.name == "y" || u.name == "w") && ms % u.ms != 0) continue;
    if (const std::int64_t n = ms / u.ms; n > 0) {
      fmt::format_to(std::back_inserter(out), "{}{}", n, u.name);
      ms -= n * u.ms;
    }
  }
  return out;
}

namespace {

// Howard Hinnant's days_from_civil, public domain: proleptic Gregorian days since 1970-01-01.
std::int64_t days_from_civil(std::int64_t y, int m, int d) {
  y -= m <= 2;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<std::int64_t>(y - era * 400);
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const std::int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146'097 + doe - 719'468;
}

struct Civil {
  std::int64_t year;
  int month, day;
};
Civil civil_from_days(std::int64_t z) {
  z += 719'468;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const std::int64_t doe = z - era * 146'097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const int day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  return {yoe + era * 400 + (month <= 2), month, day};
}

int days_in(std::int64_t year, int month) {
  static constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

// `per_second` units of time; any number of them.
std::string format_rfc3339(std::int64_t unix_time, std::int64_t per_second, int digits) {
  const std::int64_t per_day = 86'400 * per_second;
  std::int64_t days = unix_time / per_day;
  std::int64_t rest = unix_time % per_day;
  if (rest < 0) {
    rest += per_day;
    --days;
  }
  rest *= 1'000'000'000 / per_second;
  const Civil c = civil_from_days(days);
  const std::int64_t seconds = rest / 1'000'000'000;
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day, seconds / 3600,
                                seconds / 60 % 60, seconds % 60);
  const std::int64_t fraction = rest % 1'000'000'000;
  if (digits == 3) out += fmt::format(".{:03}", fraction / 1'000'000);
  else if (fraction != 0) {
    std::string f = fmt::format(".{:09}", fraction);
    while (f.back() == '0') f.pop_back();
    out += f;
  }
  return out + "Z";
}

}  // namespace

std::string format_rfc3339_ms(std::int64_t unix_ms) { return format_rfc3339(unix_ms, 1'000, 3); }
std::string format_rfc3339_ns(std::int64_t unix_ns) { return format_rfc3339(unix_ns, 1'000'000'000, 9); }

Result<std::int64_t> parse_rfc3339_ns(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_input,
                fmt::format("\"{}\" is not an RFC 3339 time; write 2024-05-01T10:00:00Z", text.substr(0, 64)));
  };
  std::string_view rest = text;
  const auto number = [&](std::size_t digits) -> int {
    if (rest.size() < digits) return -1;
    int v = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(rest[i])) return -1;
      v = v * 10 + (rest[i] - '0');
    }
    rest.remove_prefix(digits);
    return v;
  };
  const auto expect = [&](std::string_view any) {
    if (rest.empty() || any.find(rest[0]) == std::string_view::npos) return false;
    rest.remove_prefix(1);
    return true;
  };
  const int year = number(4);
  if (year < 0 || !expect("-")) return bad();
  const int month = number(2);
  if (month < 1 || month > 12 || !expect("-")) return bad();
  const int day = number(2);
  if (day < 1 || day > days_in(year, month) || !expect("Tt ")) return bad();
  const int hour = number(2);
  if (hour < 0 || hour > 23 || !expect(":")) return bad();
  const int minute = number(2);
  if (minute < 0 || minute > 59 || !expect(":")) return bad();
  const int second = number(2);
  if (second < 0 || second > 60) return bad();  // 60: a leap second reads as the next second
  std::int64_t fraction = 0;
  if (expect(".")) {
    std::int64_t scale = 100'000'000;
    std::size_t digits = 0;
    for (; !rest.empty() && is_digit(rest[0]); rest.remove_prefix(1), ++digits) {
      fraction += (rest[0] - '0') * scale;
      scale /= 10;
    }
    if (digits == 0 || digits > 18) return bad();
  }
  std::int64_t offset_s = 0;
  if (!expect("Zz")) {
    const bool minus = !rest.empty() && rest[0] == '-';
    if (!expect("+-")) return bad();
    const int oh = number(2);
    if (oh < 0 || oh > 23 || !expect(":")) return bad();
    const int om = number(2);
    if (om < 0 || om > 59) return bad();
    offset_s = (oh * 3600 + om * 60) * (minus ? -1 : 1);
  }
  if (!rest.empty()) return bad();
  const std::int64_t seconds =
      days_from_civil(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second - offset_s;
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(seconds, 1'000'000'000ll, &ns) || __builtin_add_overflow(ns, fraction, &ns))
    return fail(Code::invalid_input, fmt::format("\"{}\" is outside the years 1677 to 2262", text));
  return ns;
}

Result<std::int64_t> parse_api_time_ms(std::string_view text) {
  if (const std::optional<double> seconds = parse_number(text)) {
    if (!std::isfinite(*seconds) || std::fabs(*seconds) > 9e15)
      return fail(Code::invalid_input, fmt::format("cannot parse \"{}\" to a valid timestamp", text.substr(0, 64)));
    return static_cast<std::int64_t>(std::llround(*seconds * 1000.0));
  }
  const Result<std::int64_t> ns = parse_rfc3339_ns(text);
  if (!ns) return fail(Code::invalid_input, fmt::format("cannot parse \"{}\" to a valid timestamp", text.substr(0, 64)));
  const std::int64_t ms = *ns / 1'000'000;
  return *ns % 1'000'000 < 0 ? ms - 1 : ms;
}

std::int64_t unix_ns_by_magnitude(double value) {
  const double a = std::fabs(value);
  const double scale = a < 1e11 ? 1e9 : a < 1e14 ? 1e6 : a < 1e17 ? 1e3 : 1;
  const double ns = value * scale;
  if (!(std::fabs(ns) < 9.2e18)) return ns > 0 ? std::numeric_limits<std::int64_t>::max() : 0;
  // Whole part and fraction apart: 1.7e9 seconds times 1e9 has lost the nanoseconds that the text had.
  // A double near 1.7e9 s (or 1.7e12 ms) is exact to some 0.2 us: the fraction is taken to the microsecond that was meant.
  const double whole = std::floor(value);
  const double step = scale > 1e3 ? 1e3 : 1;
  return static_cast<std::int64_t>(whole) * static_cast<std::int64_t>(scale) +
         static_cast<std::int64_t>(std::llround((value - whole) * scale / step) * static_cast<std::int64_t>(step));
}

bool valid_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::string hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += digits[static_cast<std::uint8_t>(c) >> 4];
    out += digits[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

namespace {
constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::optional<std::string> from_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    if (c == '-') c = '+';  // the URL alphabet reads too
    if (c == '_') c = '/';
    const std::size_t v = base64_alphabet.find(c);
    if (v == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(v);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xff);
    }
  }
  return out;
}

std::string to_base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t v = 0;
    for (std::size_t k = 0; k < 3; ++k)
      v = v << 8 | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k > bytes.size() ? '=' : base64_alphabet[v >> (18 - 6 * k) & 63];
  }
  return out;
}

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  const bool utf8 = valid_utf8(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else if (c >= 0x80 && !utf8) {
      // Byte by byte only in a text that is broken anyway: keep the sequences that are whole.
      std::size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
      if (c >= 0xc2 && i + n <= text.size() && valid_utf8(text.substr(i, n))) {
        out += text.substr(i, n);
        i += n - 1;
      } else {
        out += "\xef\xbf\xbd";
      }
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace plumbline
