// Runs tests/scripts/alerts/*.at: series, rules and what must be seen when, against the real PromQL engine.
//
//   series every 1m                      promtool's notation: 1x3 (four ones), 0+10x4, _ and stale
//     up{job="a"} 1x3 0x10
//   alert Down expr up == 0              then indented: for, keep_firing_for, label NAME VALUE, annotation
//   NAME VALUE record job:up:sum expr sum by (job) (up) limit 5 restart at 6m at 5m expect pending|firing
//   {alertname="Down", job="a"} [VALUE] at 5m expect no alert at 5m expect annotation NAME TEXT at 5m expect
//   series {__name__="x"} VALUE|stale|none at 5m expect health ok|err [TEXT]
// The group is evaluated once a minute; times count from the first sample.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/base/text.hpp"
#include "query/query.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;
using model::Labels;

namespace {

[[noreturn]] void bad(const std::string& line) {
  throw std::runtime_error("bad script line: " + line);
}

std::int64_t duration(const std::string& text) {
  const auto ms = parse_duration_ms(text);
  if (!ms) bad(text);
  return *ms;
}

// {a="b", c="d"}, with or without a metric name before it; advances `text` behind it.
Labels labels_of(std::string_view& text) {
  std::vector<model::Label> out;
  const std::size_t open = text.find('{'), space = text.find(' ');
  const bool braces = open != std::string_view::npos && (space == std::string_view::npos || open < space);
  const std::string name(text.substr(0, braces ? open : std::min(space, text.size())));
  if (!name.empty()) out.push_back({"__name__", name});
  if (!braces) {
    text.remove_prefix(name.size());
    return Labels::trusted(out);
  }
  const std::size_t close = text.find('}');
  const auto matchers = parse_matchers(text.substr(open, close - open + 1));
  if (!matchers) bad(std::string(text));
  for (const auto& m : *matchers) out.push_back({m.name(), m.value()});
  text.remove_prefix(close + 1);
  return Labels::trusted(out);
}

std::vector<std::optional<double>> values_of(std::string_view text) {
  std::vector<std::optional<double>> out;
  std::istringstream in{std::string(text)};
  for (std::string word; in >> word;) {
    if (word == "stale") {
      out.push_back(model::stale_nan);
      continue;
    }
    int times = 0;
    if (const std::size_t x = word.find('x'); x != std::string::npos) {
      times = std::stoi(word.substr(x + 1));
      word.erase(x);
    }
    if (word == "_") {
      for (int i = 0; i < std::max(times, 1); ++i) out.push_back(std::nullopt);
      continue;
    }
    const std::size_t sign = word.find_first_of("+-", 1);
    const double first = std::stod(word.substr(0, sign));
    const double by = sign == std::string::npos ? 0 : std::stod(word.substr(sign));
    for (int i = 0; i <= times; ++i) out.push_back(first + by * i);
  }
  return out;
}

struct Expectation {
  std::int64_t at_ms;
  std::string text;
};

void run(const std::string& path) {
  INFO(path);
  test::MemoryStore store;
  RuleSet rules;
  GroupSpec group;
  group.name = "script";
  group.file = "script";
  std::vector<Expectation> expectations;
  std::int64_t every = 60'000;
  std::set<std::int64_t> restarts;
  // Time zero is a slot of the group, so that minute n of the script is its n-th evaluation.
  const std::int64_t zero = slot_at_ms(1'700'000'000'000, 60'000, slot_offset_ms("script", "script", 60'000));

  std::ifstream in(path);
  bool in_series = false;
  for (std::string line; std::getline(in, line);) {
    const std::string_view text = trim(line);
    if (text.empty() || text[0] == '#') continue;
    const bool indented = line[0] == ' ';
    std::istringstream words{std::string(text)};
    std::string first, second;
    words >> first >> second;
    if (indented && in_series) {
      std::string_view rest = text;
      const Labels labels = labels_of(rest);
      storage::WriteBatch batch;
      batch.series.push_back({labels, {}});
      std::int64_t t = zero;
      for (const auto& v : values_of(rest)) {
        if (v) batch.series[0].samples.push_back({t, *v});
        t += every;
      }
      REQUIRE(store.write(batch));
    } else if (indented) {
      if (group.rules.empty()) bad(line);
      RuleSpec& rule = group.rules.back();
      std::string rest;
      if (first == "for")
        rule.hold = Millis(duration(second));
      else if (first == "keep_firing_for")
        rule.keep_firing_for = Millis(duration(second));
      else if (std::getline(words, rest); first == "label")
        rule.labels.emplace_back(second, trim(rest));
      else if (first == "annotation")
        rule.annotations.emplace_back(second, trim(rest));
      else
        bad(line);
    } else {
      in_series = first == "series";
      if (in_series) {
        words >> second;
        every = duration(second);
      } else if (first == "alert" || first == "record") {
        RuleSpec rule;
        (first == "alert" ? rule.alert : rule.record) = second;
        std::string rest;
        std::getline(words, rest);
        const std::string_view expr = trim(rest);
        if (!expr.starts_with("expr ")) bad(line);
        rule.expr = trim(expr.substr(5));
        group.rules.push_back(rule);
      } else if (first == "limit") {
        group.limit = static_cast<std::uint64_t>(std::stoi(second));
      } else if (first == "restart") {
        words >> second;
        restarts.insert(duration(second));
      } else if (first == "at") {
        std::string expect, rest;
        words >> expect;
        std::getline(words, rest);
        if (expect != "expect") bad(line);
        expectations.push_back({duration(second), std::string(trim(rest))});
      } else {
        bad(line);
      }
    }
  }
  rules.groups = {group};
  test::ManualClock clock(zero);
  const query::Engine engine(store, clock, {});
  Sources sources;
  sources.query = [&](std::string_view expression, std::int64_t t) -> Result<query::Vector> {
    auto answer = engine.instant(expression, t);
    if (!answer) return fail(answer.error());
    return std::get<query::Vector>(answer->value);
  };
  auto rig = std::make_unique<Rig>(sources, store, clock);
  REQUIRE(rig->core.start(rules));
  std::int64_t now = 0;
  for (const Expectation& e : expectations) {
    for (; now < e.at_ms; now += 1000) {
      clock.advance(Millis(1000));
      if (restarts.contains(now + 1000)) {
        rig = std::make_unique<Rig>(sources, store, clock);
        REQUIRE(rig->core.start(rules));
      }
      rig->step();
    }
    INFO("at " << format_duration_ms(e.at_ms) << " expect " << e.text);
    const View view = rig->core.view();
    std::vector<Alert> alerts;
    for (const RuleRuntime& r : view.units[0].rules)
      for (const auto& [labels, alert] : r.alerts) alerts.push_back(alert);
    std::string seen;
    for (const Alert& a : alerts) seen += std::string(name_of(a.state)) + a.labels.str() + " ";
    INFO("alerts: " << seen);
    std::istringstream words(e.text);
    std::string what, rest;
    words >> what;
    std::getline(words, rest);
    std::string_view left = trim(rest);
    if (what == "no") {
      CHECK(alerts.empty());
    } else if (what == "pending" || what == "firing") {
      const Labels labels = labels_of(left);
      left = trim(left);
      const auto it =
          std::find_if(alerts.begin(), alerts.end(), [&](const Alert& a) { return a.labels == labels; });
      REQUIRE(it != alerts.end());
      CHECK(name_of(it->state) == what);
      if (!left.empty()) CHECK(format_number(it->value) == std::string(left));
    } else if (what == "annotation") {
      const std::size_t space = left.find(' ');
      REQUIRE(!alerts.empty());
      bool found = false;
      for (const auto& [name, value] : alerts[0].annotations) {
        if (name != left.substr(0, space)) continue;
        found = true;
        CHECK(value == std::string(trim(left.substr(space))));
      }
      CHECK(found);
    } else if (what == "series") {
      const Labels labels = labels_of(left);
      std::string value = "none";
      for (const model::Sample& s : samples_of(store, labels))
        if (s.t == zero + e.at_ms) value = model::is_stale(s.v) ? "stale" : format_number(s.v);
      CHECK(value == std::string(trim(left)));
    } else if (what == "health") {
      bool good = true;
      std::string errors;
      for (const RuleRuntime& r : view.units[0].rules) {
        good = good && r.health == Health::ok;
        errors += r.last_error;
      }
      INFO(errors);
      CHECK((good ? "ok" : "err") == std::string(left.substr(0, left.find(' '))));
      if (const std::size_t space = left.find(' '); space != std::string_view::npos)
        CHECK(errors.find(std::string(trim(left.substr(space)))) != std::string::npos);
    } else {
      bad(e.text);
    }
  }
}

}  // namespace

TEST_CASE("alert scripts", "[alerting][scripts]") {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(PLUMBLINE_SOURCE_DIR "/tests/scripts/alerts"))
    if (entry.path().extension() == ".at") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  REQUIRE(paths.size() >= 8);
  for (const std::string& path : paths) run(path);
}
