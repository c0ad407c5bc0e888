#include <catch2/catch.hpp>

#include "alerting/template.hpp"

using namespace plumbline;
using namespace plumbline::alerting;

namespace {

std::string expand(const std::string& text, double value = 0) {
  const model::Labels labels =
      model::Labels::of({{"instance", "db-1.example.org:9100"}, {"job", "node"}, {"mode", "a b"}});
  const StringPairs external{{"cluster", "eu"}};
  const auto parsed = Template::parse(text);
  if (!parsed) return "parse: " + parsed.error().message;
  const auto out = parsed->expand({&labels, &external, "http://plumb.example/x", value});
  return out ? *out : "expand: " + out.error().message;
}

}  // namespace

TEST_CASE("templates print labels, values and pipes as Go does", "[alerting][template]") {
  struct Row {
    std::string text;
    double value;
    std::string expected;
  };
  const Row rows[] = {
      {"plain", 0, "plain"},
      {"{{ $labels.job }} on {{$labels.instance}}", 0, "node on db-1.example.org:9100"},
      {"{{ .Labels.job }} {{ .Value }}", 2.5, "node 2.5"},
      {"{{ $labels.absent }}|", 0, "|"},
      {"{{ $labels }}", 0, "map[instance:db-1.example.org:9100 job:node mode:a b]"},
      {"{{ $externalLabels.cluster }}", 0, "eu"},
      {"{{ $externalURL }} {{ externalURL }} {{ pathPrefix }}", 0,
       "http://plumb.example/x http://plumb.example/x /x"},
      {"{{ $value }}", 0.95, "0.95"},
      {"{{ $value }}", 1000000, "1e+06"},
      {"{{ $value }}", 123456, "123456"},
      {"{{ $value }}", 0.00001, "1e-05"},
      {"{{ $value | humanize }}", 1234567, "1.235M"},
      {"{{ humanize $value }}", 0.00123, "1.23m"},
      {"{{ $value | humanize }}", 0, "0"},
      {"{{ $value | humanize1024 }}", 1048576, "1Mi"},
      {"{{ $value | humanizeDuration }}", 93784, "1d 2h 3m 4s"},
      {"{{ $value | humanizeDuration }}", 0.1234, "123.4ms"},
      {"{{ $value | humanizeDuration }}", -65, "-1m 5s"},
      {"{{ $value | humanizePercentage }}", 0.9512, "95.12%"},
      {"{{ $value | humanizeTimestamp }}", 1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"},
      {"{{ printf \"%.2f%%\" $value }}", 12.345, "12.35%"},
      {"{{ $value | printf \"%.1f\" }}", 12.34, "12.3"},
      {"{{ printf \"%s/%s\" $labels.job $labels.mode }}", 0, "node/a b"},
      {"{{ printf \"%d\" $value }}", 3, "%!d(float64=3)"},
      {"{{ printf \"%q %v %5.1f|%-4s|\" $labels.job $value $value \"x\" }}", 1.25,
       "\"node\" 1.25   1.2|x   |"},
      {"{{ $labels.job | toUpper }} {{ \"ABC\" | toLower }} {{ title \"ab cd\" }}", 0, "NODE abc Ab Cd"},
      {"{{ $labels.instance | stripPort }} {{ $labels.instance | stripDomain }}", 0,
       "db-1.example.org db-1:9100"},
      {"{{ reReplaceAll \"(.*):(.*)\" \"$2-${1}\" $labels.instance }}", 0, "9100-db-1.example.org"},
      {"{{ $labels.instance | reReplaceAll \"\\\\..*\" \"\" }}", 0, "db-1"},
      {"{{ if match \"^db\" $labels.instance }}db{{ else }}other{{ end }}", 0, "db"},
      {"{{ if gt $value 0.9 }}hot{{ else if gt $value 0.5 }}warm{{ else }}cold{{ end }}", 0.7, "warm"},
      {"{{ if gt $value 0.9 }}hot{{ else if gt $value 0.5 }}warm{{ else }}cold{{ end }}", 0.1, "cold"},
      {"{{ if and (eq $labels.job \"node\") (lt $value 5.0) }}y{{ end }}", 1, "y"},
      {"{{ with $labels.job }}job {{ . }}{{ else }}none{{ end }}", 0, "job node"},
      {"{{ $x := printf \"%v\" $value }}{{ $x }}-{{ $x }}", 4, "4-4"},
      {"a  {{- $labels.job -}}  b", 0, "anodeb"},
      {"a{{/* a comment */}}b", 0, "ab"},
      {"{{ \"a{{b\" }} {{ `raw\\n` }}", 0, "a{{b raw\\n"},
      {"{{ index $labels \"job\" }} {{ len $labels }} {{ not true }}", 0, "node 3 false"},
      {"{{ parseDuration \"1h\" }}", 0, "3600"},
      {"{{ \"x\" | humanize }}", 0, "expand: error calling humanize: \"x\" is not a number"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(expand(row.text, row.value) == row.expected);
  }
}

TEST_CASE("templates that cannot run are refused with their position", "[alerting][template]") {
  struct Row {
    std::string text, message;
  };
  const Row rows[] = {
      {"x {{ query \"up\" | first | value }}", "1:6: function \"query\" is not supported"},
      {"{{ range $i, $e := query \"up\" }}{{ end }}", "1:4: {{range}} is not supported"},
      {"a\nb {{ foo }}", "2:6: function \"foo\" not defined"},
      {"{{ $foo }}", "1:4: undefined variable \"$foo\""},
      {"{{ $value", "1:3: unclosed action: }} is missing"},
      {"{{ if $value }}x", "1:4: this block has no {{end}}"},
      {"{{ end }}", "1:3: unexpected {{end}}"},
      {"{{ }}", "1:4: missing value for command"},
      {"{{ humanize }}", "1:4: wrong number of arguments for humanize: 0"},
      {"{{ $value | }}", "1:13: missing value for command"},
      {"{{ \"abc }}", "1:4: unterminated quoted string"},
      {"{{ ($value }}", "1:4: unclosed parenthesis"},
      {"{{ $labels.a $value }}", "1:4: only a function can take arguments"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(expand(row.text) == "parse: " + row.message);
  }
  std::string deep = "{{ ";
  for (int i = 0; i < 100'000 / 2; ++i) deep += '(';
  CHECK(Template::parse(deep).error().code == Code::too_large);
  std::string blocks;
  for (int i = 0; i < 60; ++i) blocks += "{{if true}}";
  CHECK(Template::parse(blocks).error().code == Code::too_large);
  std::string chain = "{{if false}}";
  for (int i = 0; i < 3'000; ++i) chain += "{{else if false}}";
  CHECK_FALSE(Template::parse(chain + "{{end}}"));
}
