#include "config/values.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/base/text.hpp"

namespace plumbline::config {

bool valid_metric_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
  });
}
bool valid_label_name(std::string_view name) {
  return valid_metric_name(name) && name.find(':') == std::string_view::npos;
}

bool valid_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.find(':') != std::string_view::npos && !(host.starts_with('[') && host.ends_with(']'))) return false;
  if (host.find_first_of(" /@") != std::string_view::npos) return false;
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return *parse_int(port) <= 65535;
}

// Edit distance with swaps of neighbours; names here are short, so the plain table will do.
std::string closest(std::string_view name, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, std::min<std::size_t>(3, name.size() / 3)) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t n = name.size(), m = candidate.size();
    if (n > 64 || m > 64) continue;
    std::vector<std::vector<std::size_t>> d(n + 1, std::vector<std::size_t>(m + 1));
    for (std::size_t i = 0; i <= n; ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= m; ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= n; ++i) {
      for (std::size_t j = 1; j <= m; ++j) {
        const std::size_t change = name[i - 1] == candidate[j - 1] ? 0 : 1;
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
        if (i > 1 && j > 1 && name[i - 1] == candidate[j - 2] && name[i - 2] == candidate[j - 1])
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
    if (d[n][m] < best_distance) {
      best_distance = d[n][m];
      best = candidate;
    }
  }
  return std::string(best);
}

std::string size_text(double bytes) {
  static constexpr std::string_view units[] = {"", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; unit < 3 && bytes >= 1024 && std::fmod(bytes, 1024) == 0; ++unit) bytes /= 1024;
  return std::to_string(static_cast<std::uint64_t>(bytes)) + std::string(units[unit]);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const std::optional<std::int64_t> number = parse_int(text.substr(0, digits));
  if (digits == 0 || !number) return std::nullopt;
  std::string_view unit = text.substr(digits);
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  int shift = 0;
  if (unit == "KiB" || unit == "KB") shift = 10;
  else if (unit == "MiB" || unit == "MB") shift = 20;
  else if (unit == "GiB" || unit == "GB") shift = 30;
  else if (unit == "TiB" || unit == "TB") shift = 40;
  else if (!unit.empty() && unit != "B") return std::nullopt;
  const auto value = static_cast<std::uint64_t>(*number);
  if (value > (1ull << 62) >> shift) return std::nullopt;
  return value << shift;
}

bool valid_url(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  else if (rest.starts_with("https://")) rest.remove_prefix(8);
  else return false;
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (host.empty() || host.front() == ':') return false;
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace plumbline::config
