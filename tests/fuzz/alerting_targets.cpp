// Alerting: templates, matchers, objectives, what receivers answer, and the state it keeps in the store.
#include "alerting/outbox.hpp"
#include "alerting/records.hpp"
#include "alerting/routing.hpp"
#include "alerting/slo.hpp"
#include "alerting/template.hpp"
#include "daemon/base/text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace plumbline::fuzz {
namespace {

using namespace alerting;

void expand(std::string_view text) {
  static const model::Labels labels = model::Labels::of({{"instance", "h:80"}, {"job", "api"}, {"n", "12.5"}});
  static const StringPairs external{{"region", "eu"}};
  const auto parsed = Template::parse(text);
  if (!parsed) return;
  for (const double value : {0.95, -1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const auto out = parsed->expand({&labels, &external, "http://h/", value});
    if (out) PLUMBLINE_CHECK(out->size() <= 1 << 20, "the limit holds");
  }
}

void matchers(std::string_view text) {
  const auto parsed = parse_matchers(text);
  if (!parsed) return;
  const model::Labels labels = model::Labels::of({{"severity", "page"}, {"team", "a"}});
  (void)model::matches_all(*parsed, labels);
}

// A route: receiver, matchers and group_by as lines.
void route(std::string_view bytes) {
  RouteSpec root;
  root.receiver = "r";
  RouteSpec* at = &root;
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
    if (line.starts_with('+')) {
      at->routes.emplace_back();
      at = &at->routes.back();
    } else if (line.starts_with('g')) {
      at->group_by.emplace_back(line.substr(1));
    } else {
      at->matchers.emplace_back(line);
    }
  }
  std::vector<std::string> errors;
  const RouteTree tree = RouteTree::make(root, errors);
  if (!errors.empty() || tree.empty()) return;
  const model::Labels labels = model::Labels::of({{"alertname", "x"}, {"severity", "page"}});
  for (const std::size_t node : tree.match(labels)) (void)group_key(tree.node(node), group_labels(tree.node(node), labels));
}

void objective(std::string_view text) {
  if (const auto budget = parse_objective(text)) {
    PLUMBLINE_CHECK(budget->numerator > 0 && budget->numerator < budget->denominator, "a budget is between 0 and 1");
    (void)budget->can_fire(14.4);
  }
  if (has_window_placeholder(text)) (void)with_window(text, Millis(300'000));
  (void)parse_retry_after(text, 1'700'000'000'000);
}

// Whatever decodes, encodes to something that decodes to the same.
template <class T>
void stored(std::string_view bytes, Result<T> (*decode)(std::string_view)) {
  const auto record = decode(bytes);
  if (!record) return;
  const std::string canonical = encode(*record);
  const auto again = decode(canonical);
  PLUMBLINE_CHECK(again && encode(*again) == canonical, "stored state reads back");
}
void state(std::string_view bytes) {
  stored<RuleRecord>(bytes, decode_rule);
  stored<AlertGroup>(bytes, decode_group);
  stored<Delivery>(bytes, decode_delivery);
  stored<DeadLetter>(bytes, decode_dead_letter);
  stored<HistoryRow>(bytes, decode_history);
  (void)seq_of(bytes, outbox_prefix);
}

std::vector<std::string> state_seeds() {
  const model::Labels labels = model::Labels::of({{"alertname", "x"}});
  RuleRecord rule{5, {}, {{"age", 2}}};
  rule.alerts[labels] = {labels, {{"a", "b"}}, AlertState::firing, 1.5, 1, 2, 3};
  AlertGroup group{.receiver = "r", .key = "{}:{}", .labels = labels};
  group.alerts[labels] = {labels, {{"a", "b"}}, 1, 2, "http://h"};
  group.told_firing = {"0123456789abcdef"};
  const Delivery delivery{7, "id", "r", 0, "k", "{}", 1, 2, 3, "no"};
  return {encode(rule), encode(group), encode(delivery), encode(DeadLetter{delivery, 9, "gone"}),
          encode(HistoryRow{1, Change::fired, "x", labels, 2.5}), seq_key(outbox_prefix, 12)};
}

}  // namespace

Targets alerting_targets() {
  return {
      {"template", expand, [] {
         return std::vector<std::string>{
             "{{ $labels.instance }} is at {{ $value | humanizePercentage }}{{ if gt $value 0.9 }}, now{{ else }}{{ end }}",
             "{{ printf \"%.2f %v %s %d\" $value $labels.job \"x\" 3 }}{{ with $labels.n }}{{ . | toUpper }}{{ end }}",
             "{{ $x := 1 }}{{ humanizeDuration 3661 }}{{ reReplaceAll \"(a)\" \"$1$1\" \"banana\" }}{{- \"t\" -}} {{ externalURL }}"};
       }},
      {"matchers", matchers, [] { return std::vector<std::string>{"{severity=\"page\", team=~\"a|b\",c!=d}", "a!~`x`"}; }},
      {"route", route, [] { return std::vector<std::string>{"ga\ng...\n+\nseverity=\"page\"\n+\nteam=~a|b\ngteam"}; }},
      {"objective", objective, [] {
         return std::vector<std::string>{"99.9%", "0.001", "x{{.window}}y{{ .window }}", "120", "Wed, 21 Oct 2026 07:28:00 GMT"};
       }},
      {"alert_state", state, state_seeds},
  };
}

}  // namespace plumbline::fuzz
