#include "alerting/rule_test_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <tuple>

#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

// Go's 'E' form with the fewest digits that read back: 1.5E+01.
std::string exponent_form(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, v, std::chars_format::scientific).ptr;
  std::string out(text, end);
  std::ranges::replace(out, 'e', 'E');
  return out;
}

template <class Pairs>
std::string pairs_text(const Pairs& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs)
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", name, json_quote(value));
  return "{" + out + "}";
}

bool same_value(double a, double b, bool fuzzy) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return a == b || (fuzzy && (std::nextafter(a, -infinity) == b || std::nextafter(a, infinity) == b));
}

auto key(const ExpectedAlert& alert) {
  return std::tie(alert.labels, alert.annotations);
}

}  // namespace

std::string go_duration(std::int64_t ms) {
  if (ms == 0) return "0s";
  if (ms < 1000) return fmt::format("{}ms", ms);
  std::string out;
  const std::int64_t hours = ms / 3'600'000, minutes = ms / 60'000 % 60;
  if (hours > 0) out += fmt::format("{}h", hours);
  if (hours > 0 || minutes > 0) out += fmt::format("{}m", minutes);
  return out + fmt::format("{}s", static_cast<double>(ms % 60'000) / 1000);
}

bool same_samples(const std::vector<TestSample>& a, const std::vector<TestSample>& b, bool fuzzy) {
  return std::ranges::equal(a, b, [fuzzy](const TestSample& x, const TestSample& y) {
    return x.labels == y.labels && x.histogram == y.histogram && same_value(x.value, y.value, fuzzy);
  });
}

void sort_samples(std::vector<TestSample>& samples) {
  std::ranges::stable_sort(samples, {}, &TestSample::labels);
}

std::string samples_text(const std::vector<TestSample>& samples) {
  if (samples.empty()) return "nil";
  std::string out;
  for (const TestSample& s : samples)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", pairs_text(s.labels),
                       s.histogram.empty() ? exponent_form(s.value) : s.histogram);
  return out;
}

void sort_alerts(std::vector<ExpectedAlert>& alerts) {
  for (ExpectedAlert& alert : alerts) {
    std::ranges::sort(alert.labels);
    std::ranges::sort(alert.annotations);
  }
  std::ranges::sort(alerts, [](const auto& a, const auto& b) { return key(a) < key(b); });
}

bool same_alerts(const std::vector<ExpectedAlert>& a, const std::vector<ExpectedAlert>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return key(x) == key(y); });
}

std::string alerts_text(const std::vector<ExpectedAlert>& alerts) {
  if (alerts.empty()) return "[]";
  const std::string indent(12, ' ');
  std::string out = "[";
  for (std::size_t i = 0; i < alerts.size(); ++i) {
    if (i > 0) out += ",";
    out += fmt::format("\n{0}{1}:\n{0}  Labels:{2}\n{0}  Annotations:{3}", indent, i, pairs_text(alerts[i].labels),
                       pairs_text(alerts[i].annotations));
  }
  return out + "\n" + indent + "]";
}

}  // namespace plumbline::alerting
