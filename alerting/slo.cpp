#include "alerting/slo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "alerting/template.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

struct Placeholder {
  std::size_t from = std::string_view::npos;
  std::size_t to = 0;
};

Placeholder find_placeholder(std::string_view query, std::size_t at) {
  for (std::size_t open = query.find("{{", at); open != std::string_view::npos;
       open = query.find("{{", open + 2)) {
    std::size_t i = open + 2;
    const auto skip = [&] {
      while (i < query.size() && std::isspace(static_cast<unsigned char>(query[i]))) ++i;
    };
    skip();
    if (query.substr(i, 7) != ".window") continue;
    i += 7;
    skip();
    if (query.substr(i, 2) == "}}") return {open, i + 2};
  }
  return {};
}

storage::SeriesSamples series(std::string_view metric, const SloSpec& slo, std::optional<Millis> window,
                              double value, std::int64_t ts_ms) {
  std::vector<model::Label> labels{{std::string(model::metric_name_label), std::string(metric)},
                                   {"slo", slo.name},
                                   {"service", slo.service}};
  if (window) labels.push_back({"window", format_duration_ms(window->count())});
  return {model::Labels::trusted(std::move(labels)), {{ts_ms, value}}};
}

// Read by people: four digits, and large ones as they are written, not 2e+04.
std::string number(double v) {
  return std::abs(v) >= 1000 && std::abs(v) < 1e15 ? fmt::format("{:.0f}", v) : fmt::format("{:.4g}", v);
}
std::string percentage(double ratio) { return number(ratio * 100) + "%"; }

}  // namespace

std::vector<BurnWindow> workbook_windows(Millis period) {
  using namespace std::chrono_literals;
  struct Row {
    const char* severity;
    Millis long_window, short_window;
    double factor;
  };
  // SRE Workbook, chapter 5, table for 30 days: 2 % of the budget in 1h, 5 % in 6h, 10 % in 1d, 10 % in 3d.
  const Row rows[] = {
      {"page", 1h, 5min, 14.4}, {"page", 6h, 30min, 6}, {"ticket", 24h, 2h, 3}, {"ticket", 72h, 6h, 1}};
  const Millis month = 24h * 30;
  // The windows scale and the factors stay, so each pair means the same share of the budget whatever the
  // period is. Whole seconds, because window labels and PromQL ranges are read by people.
  const auto scaled = [&](Millis window) {
    const double seconds =
        std::round(static_cast<double>(window.count()) * static_cast<double>(period.count()) /
                   static_cast<double>(month.count()) / 1000);
    return Millis(std::max<std::int64_t>(1, static_cast<std::int64_t>(seconds)) * 1000);
  };
  std::vector<BurnWindow> out;
  for (const Row& row : rows)
    out.push_back({row.severity, scaled(row.long_window), scaled(row.short_window), row.factor});
  return out;
}

Result<Budget> parse_objective(std::string_view objective) {
  std::string_view text = trim(objective);
  if (text.ends_with('%')) text = trim(text.substr(0, text.size() - 1));
  const auto bad = [&](std::string_view why) {
    return fail(Code::invalid_input,
                fmt::format("objective {} {}; write a percentage such as 99.9", json_quote(objective), why));
  };
  std::int64_t mantissa = 0, scale = 1;
  bool point = false, digits = false;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      digits = true;
      if (mantissa > 100'000'000'000'000)
        return bad("has too many digits");  // 15 digits stay exact in 64 bits
      // Before the product: leading zeros keep the mantissa small while the scale grows.
      if (point && scale >= 1'000'000'000'000) return bad("has more than 12 decimals");
      mantissa = mantissa * 10 + (c - '0');
      if (point) scale *= 10;
    } else {
      return bad("is not a number");
    }
  }
  if (!digits) return bad("is not a number");
  if (mantissa <= 0 || mantissa >= 100 * scale) return bad("is not between 0 and 100, both excluded");
  return Budget{100 * scale - mantissa, 100 * scale};
}

bool has_window_placeholder(std::string_view query) {
  return find_placeholder(query, 0).from != std::string_view::npos;
}

std::string with_window(std::string_view query, Millis window) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const Placeholder p = find_placeholder(query, at);
    if (p.from == std::string_view::npos) break;
    out += query.substr(at, p.from - at);
    out += format_duration_ms(window.count());
    at = p.to;
  }
  out += query.substr(at);
  return out;
}

std::optional<double> error_ratio(const WindowReading& reading) {
  if (!reading.total || std::isnan(*reading.total) || *reading.total == 0) return std::nullopt;
  if (!reading.errors || std::isnan(*reading.errors)) return 0.0;
  return *reading.errors / *reading.total;
}

std::vector<BurnWindow> windows_of(const SloSpec& slo) {
  return slo.windows.empty() ? workbook_windows(slo.window) : slo.windows;
}

std::vector<Millis> windows_needed(const SloSpec& slo) {
  std::set<Millis> out{slo.window};
  for (const BurnWindow& w : windows_of(slo)) {
    out.insert(w.long_window);
    out.insert(w.short_window);
  }
  return {out.begin(), out.end()};
}

std::vector<std::string> severities_of(const std::vector<BurnWindow>& windows) {
  std::vector<std::string> out;
  for (const BurnWindow& w : windows)
    if (std::find(out.begin(), out.end(), w.severity) == out.end()) out.push_back(w.severity);
  return out;
}

std::optional<double> ratio_over(const Burns& burns, Millis window) {
  const auto it = burns.find(window);
  return it == burns.end() ? std::nullopt : it->second.ratio;
}

std::vector<BurnWindow> burning(const std::vector<BurnWindow>& windows, std::string_view severity,
                                const Budget& budget, const Burns& burns) {
  std::vector<BurnWindow> out;
  for (const BurnWindow& w : windows) {
    if (w.severity != severity) continue;
    const auto over = [&](Millis window) {
      const auto ratio = ratio_over(burns, window);
      return ratio && *ratio > budget.threshold(w.factor);
    };
    if (over(w.long_window) && over(w.short_window)) out.push_back(w);
  }
  return out;
}

std::optional<double> budget_remaining(const Budget& budget, std::optional<double> period_ratio) {
  if (!period_ratio) return std::nullopt;
  return 1 - *period_ratio / budget.value();
}

std::vector<storage::SeriesSamples> slo_series(const SloSpec& slo, const Budget& budget, const Burns& burns,
                                               std::int64_t ts_ms) {
  std::vector<storage::SeriesSamples> out;
  for (const auto& [window, burn] : burns) {
    // No events: no sample, and the series goes stale. A zero would claim that requests were served well.
    if (!burn.ratio) continue;
    out.push_back(series("plumbline_slo_error_ratio", slo, window, *burn.ratio, ts_ms));
    out.push_back(series("plumbline_slo_burn_rate", slo, window, *burn.burn, ts_ms));
  }
  const double objective =
      static_cast<double>(budget.denominator - budget.numerator) / static_cast<double>(budget.denominator);
  out.push_back(series("plumbline_slo_objective", slo, std::nullopt, objective, ts_ms));
  const auto remaining = budget_remaining(budget, ratio_over(burns, slo.window));
  if (remaining) out.push_back(series("plumbline_slo_error_budget_remaining_ratio", slo, std::nullopt, *remaining, ts_ms));
  return out;
}

StringPairs slo_annotations(const SloSpec& slo, const Budget& budget, const Burns& burns,
                            const BurnWindow& pair) {
  const auto burn = [&](Millis window) {
    const auto it = burns.find(window);
    return it != burns.end() && it->second.burn ? *it->second.burn : 0.0;
  };
  const double fast = burn(pair.long_window), now = burn(pair.short_window);
  const double remaining = budget_remaining(budget, ratio_over(burns, slo.window)).value_or(1);
  // At burn rate k the whole budget lasts period/k; what is left of it lasts that share. Old errors that roll
  // out of the window are ignored, so this is the pessimistic end.
  const std::string exhausted =
      remaining <= 0 ? "now"
      : now <= 0     ? "never"
                     : humanize_duration(remaining * static_cast<double>(slo.window.count()) / 1000 / now);
  const std::string l = format_duration_ms(pair.long_window.count()),
                    s = format_duration_ms(pair.short_window.count());
  StringPairs out;
  out.emplace_back("summary", fmt::format("{} {} burns its error budget {}x too fast", slo.service, slo.name,
                                          number(fast)));
  out.emplace_back(
      "description",
      fmt::format(
          "Burn rate {}x over {} and {}x over {} (limit {}x) of the objective {}%; {} of the {} budget is "
          "consumed, exhausted in {}.",
          number(fast), l, number(now), s, number(pair.factor), std::string(trim(slo.objective)),
          percentage(1 - remaining), format_duration_ms(slo.window.count()), exhausted));
  out.emplace_back("burn_rate_long", number(fast));
  out.emplace_back("burn_rate_short", number(now));
  out.emplace_back("burn_rate_limit", number(pair.factor));
  out.emplace_back("short_window", s);
  out.emplace_back("budget_consumed", percentage(1 - remaining));
  out.emplace_back("budget_exhausted_in", exhausted);
  return out;
}

std::string slo_expression(const SloSpec& slo, const std::vector<BurnWindow>& windows,
                           std::string_view severity) {
  const auto side = [&](Millis window, double factor) {
    return fmt::format("plumbline_slo_burn_rate{{service={},slo={},window=\"{}\"}} > {}",
                       json_quote(slo.service), json_quote(slo.name), format_duration_ms(window.count()),
                       format_number(factor));
  };
  std::string out;
  for (const BurnWindow& w : windows) {
    if (w.severity != severity) continue;
    if (!out.empty()) out += " or ";
    out += fmt::format("({} and ignoring(window) {})", side(w.long_window, w.factor),
                       side(w.short_window, w.factor));
  }
  return out;
}

Millis period_refresh(Millis period, Millis interval) {
  // 1/8640 of the window: the remaining budget of 30 days cannot move by more than 0.012 % of its traffic in
  // between.
  return std::max(interval, Millis(period.count() / 8640));
}

}  // namespace plumbline::alerting
