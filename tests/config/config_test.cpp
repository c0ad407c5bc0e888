#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "config/loader.hpp"
#include "config/options.hpp"

using namespace plumbline;
using namespace plumbline::config;

namespace {

const std::filesystem::path root = PLUMBLINE_SOURCE_DIR;

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// A folder that is gone at the end.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "plumbline-config-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
  std::filesystem::path path;
};

Config load(const std::string& yaml, const Overrides& overrides = {}) {
  auto config = load_text(yaml, "f", overrides);
  INFO((config ? std::string() : text_of(config.error())));
  REQUIRE(config);
  return std::move(*config);
}

std::string errors(const std::string& yaml, const Overrides& overrides = {}) {
  const auto config = load_text(yaml, "f", overrides);
  return config ? "" : text_of(config.error());
}

}  // namespace

TEST_CASE("the structs' defaults are the table's", "[config]") {
  const auto defaults = load_defaults();
  REQUIRE(defaults);
  CHECK(*defaults == Config{});

  const Config config = load(R"(
scrape_configs: [{job_name: j, authorization: {credentials_file: /f}, basic_auth: }]
groups: [{name: g, rules: [{alert: a, expr: e}]}]
slos: [{name: n, service: s, objective: 99, sli: {error_query: e, total_query: t}}]
drift: [{name: n, model: m, reference: r}]
receivers: [{name: r, webhook_configs: [{url: "http://h"}]}]
route: {receiver: r}
)");
  ScrapeConfig job;
  job.job_name = "j";
  job.place = config.scrape_configs[0].place;
  job.authorization.emplace();
  job.authorization->credentials_file = "/f";
  job.authorization->place = config.scrape_configs[0].authorization->place;
  CHECK(config.scrape_configs[0] == job);
  Rule rule;
  rule.alert = "a";
  rule.expr = "e";
  rule.place = config.groups[0].rules[0].place;
  rule.expr_place = config.groups[0].rules[0].expr_place;
  CHECK(config.groups[0].rules[0] == rule);
  Drift drift;
  drift.name = "n";
  drift.model = "m";
  drift.reference = "r";
  drift.place = config.drift[0].place;
  drift.where_place = config.drift[0].where_place;
  CHECK(config.drift[0] == drift);
  Webhook webhook;
  webhook.url = "http://h";
  webhook.place = config.receivers[0].webhook_configs[0].place;
  CHECK(config.receivers[0].webhook_configs[0] == webhook);
  CHECK_FALSE(config.route->group_wait);
  CHECK(config.slos[0].windows.empty());
  CHECK(config.slos[0].window == Slo{}.window);
}

TEST_CASE("values arrive where they belong", "[config]") {
  const std::string path = root / "tests/scripts/config/good/full.yaml";
  const auto loaded = load_file(path);
  REQUIRE(loaded);
  const Config& c = *loaded;
  CHECK(c.server.http_listen == std::vector<std::string>{"127.0.0.1:9471", "[::1]:9471"});
  CHECK(c.server.limits.body_bytes_max == 16u << 20);
  CHECK(c.server.limits.inflated_bytes_max == 48u << 20);
  CHECK(c.storage.retention == std::chrono::hours(24 * 90));
  CHECK(c.journal.sync.mode == JournalSync::Mode::always);
  CHECK(c.global.external_labels == StringPairs{{"site", "here"}});
  REQUIRE(c.scrape_configs.size() == 2);
  CHECK(c.scrape_configs[0].params == StringPairs{{"module", "a"}, {"module", "b"}, {"x", "1"}});
  CHECK(c.scrape_configs[0].basic_auth->password_file == (root / "tests/scripts/config/good/secret.txt").string());
  CHECK(c.scrape_configs[1].scrape_interval == Millis(15'000));
  CHECK(c.scrape_configs[1].authorization->credentials_file == "/run/token");
  CHECK(c.rule_files == std::vector<std::string>{(root / "tests/scripts/config/good/rules/*.yaml").string()});
  REQUIRE(c.groups.size() == 1);
  CHECK(c.groups[0].query_offset == Millis(5000));
  CHECK(c.groups[0].rules[1].hold == Millis(300'000));
  CHECK(c.groups[0].rules[1].annotations == StringPairs{{"summary", "{{ $labels.job }} is slow"}});
  REQUIRE(c.slos.size() == 1);
  CHECK(c.slos[0].objective == "99.9");
  CHECK(c.slos[0].windows[0].factor == 14.4);
  CHECK(c.slos[0].alert_name == "CreditBurns");
  REQUIRE(c.drift.size() == 1);
  CHECK(c.drift[0].features == std::vector<std::string>{"income", "age"});
  CHECK(c.drift[0].consecutive == 3);
  REQUIRE(c.route);
  CHECK(c.route->group_wait == Millis(10'000));
  CHECK(c.route->routes[0].continue_matching);
  CHECK(c.route->routes[0].routes[0].group_by == std::vector<std::string>{"..."});
}

TEST_CASE("expressions keep the place where their text begins", "[config]") {
  const Config config = load(
      "groups:\n"
      "- name: g\n"
      "  rules:\n"
      "  - {record: a, expr: plain}\n"
      "  - {record: b, expr: \"quoted\"}\n"
      "  - record: c\n"
      "    expr: |\n"
      "      block\n"
      "  - record: d\n"
      "    expr: >-\n"
      "\n"
      "       folded\n");
  const auto& rules = config.groups[0].rules;
  CHECK(rules[0].expr_place == Place{"f", 4, 23});
  CHECK(rules[1].expr_place == Place{"f", 5, 24});
  CHECK(rules[2].expr_place == Place{"f", 8, 7});
  CHECK(rules[3].expr_place == Place{"f", 12, 8});
  CHECK(rules[2].expr == "block\n");
  CHECK(rules[3].place.str() == "f:9:5");
}

TEST_CASE("overrides obey the same rules as the file", "[config]") {
  const std::string yaml = "storage: {retention: 1d}\nscrape_configs: [{job_name: a}]\n";
  const Config config = load(yaml, {{"storage.retention", "90d"},
                                    {"server.http_listen", "[127.0.0.1:0]"},
                                    {"server.grpc_listen", ""},
                                    {"scrape_configs[0].scrape_interval", "20s"},
                                    {"log.level", "debug"}});
  CHECK(config.storage.retention == std::chrono::hours(24 * 90));
  CHECK(config.server.http_listen == std::vector<std::string>{"127.0.0.1:0"});
  CHECK(config.server.grpc_listen.empty());
  CHECK(config.scrape_configs[0].scrape_interval == Millis(20'000));
  CHECK(config.log.level == "debug");
  CHECK(errors("", {{"storage.retenton", "1d"}}) ==
        "--set storage.retenton: unknown option 'retenton'; did you mean 'retention'?\n");
  CHECK(errors("", {{"storage.retention", "soon"}}) ==
        "--set storage.retention: 'retention' is \"soon\"; write a duration such as 5m\n");
  CHECK(errors(yaml, {{"scrape_configs[1].job_name", "x"}}).find("there is nothing at this path") != std::string::npos);
  CHECK(errors(yaml, {{"storage..x", "x"}}).find("there is nothing at this path") != std::string::npos);
  CHECK(parse_override("a.b=c=d") == std::pair<std::string, std::string>("a.b", "c=d"));
  CHECK_FALSE(parse_override("a.b"));
  CHECK_FALSE(parse_override("=b"));
}

TEST_CASE("a configuration is shown as it was loaded, without its secrets", "[config][shown]") {
  const Config config = load(
      "# a comment\n"
      "external_url: https://me:hunter2@plumbline.example/base\n"
      "query: {timeout: 30s}\n"
      "global: {external_labels: {site: here, b: \"1\"}}\n"
      "rule_files: []\n"
      "scrape_configs:\n"
      "- job_name: 'true'\n"
      "  params: {module: [a, \"b c\"]}\n"
      "  static_configs: [{targets: [\"h:1\"]}, {targets: []}]\n"
      "  relabel_configs:\n"
      "receivers:\n"
      "- name: hook\n"
      "  webhook_configs: [{url: \"http://h/T0KEN\", headers: {X-Token: hunter2}}]\n"
      "route: {receiver: hook}\n",
      {{"query.timeout", "40s"}, {"storage.path", "/srv/x y"}});
  CHECK(config.shown.yaml ==
        "external_url: \"https://me:<secret>@plumbline.example/base\"\n"
        "query:\n"
        "  timeout: 40s\n"
        "global:\n"
        "  external_labels:\n"
        "    site: here\n"
        "    b: \"1\"\n"
        "rule_files: []\n"
        "scrape_configs:\n"
        "  - job_name: \"true\"\n"
        "    params:\n"
        "      module:\n"
        "        - a\n"
        "        - \"b c\"\n"
        "    static_configs:\n"
        "      - targets:\n"
        "          - \"h:1\"\n"
        "      - targets: []\n"
        "    relabel_configs:\n"
        "receivers:\n"
        "  - name: hook\n"
        "    webhook_configs:\n"
        "      - url: \"<secret>\"\n"
        "        headers:\n"
        "          X-Token: \"<secret>\"\n"
        "route:\n"
        "  receiver: hook\n"
        "storage:\n"
        "  path: \"/srv/x y\"\n");
  const std::map<std::string, std::string> options(config.shown.options.begin(), config.shown.options.end());
  CHECK(options.at("query.timeout") == "40s");
  CHECK(options.at("storage.path") == "/srv/x y");
  CHECK(options.at("storage.retention") == "30d");  // the default
  CHECK(options.at("server.http_listen") == "127.0.0.1:9470,127.0.0.1:4318");
  CHECK(options.at("global.external_labels") == "site=here,b=1");
  CHECK(options.at("external_url") == "https://me:<secret>@plumbline.example/base");
  CHECK_FALSE(options.contains("receivers"));
}

TEST_CASE("what stands before the host of a URL is not shown, with or without a password", "[config][shown]") {
  const auto shown = [](const std::string& url) {
    const Config config = load("external_url: \"" + url + "\"\n");
    const std::map<std::string, std::string> options(config.shown.options.begin(), config.shown.options.end());
    CHECK(config.shown.yaml == "external_url: \"" + options.at("external_url") + "\"\n");
    return options.at("external_url");
  };
  CHECK(shown("https://hunter2@plumbline.example/base") == "https://<secret>@plumbline.example/base");
  CHECK(shown("https://hunter2@plumbline.example:8443/base") == "https://<secret>@plumbline.example:8443/base");
  CHECK(shown("https://me:hunter2@plumbline.example:8443/") == "https://me:<secret>@plumbline.example:8443/");
  CHECK(shown("https://plumbline.example:8443/a@b") == "https://plumbline.example:8443/a@b");
}

TEST_CASE("what is shown reads back to the same", "[config][shown]") {
  const auto loaded = load_file((root / "tests/scripts/config/good/full.yaml").string());
  REQUIRE(loaded);
  // A secret is no URL.
  std::string yaml = loaded->shown.yaml;
  const std::string secret = "url: \"<secret>\"";
  REQUIRE(yaml.find(secret) != std::string::npos);
  CHECK(yaml.find("abc") == std::string::npos);
  yaml.replace(yaml.find(secret), secret.size(), "url: \"http://h\"");
  const auto again = load_text(yaml, "full.yaml");
  INFO((again ? "" : text_of(again.error())));
  REQUIRE(again);
  CHECK(again->shown.yaml == loaded->shown.yaml);
  CHECK(again->shown.options == loaded->shown.options);
  CHECK(again->groups.at(0).rules.at(0).expr == loaded->groups.at(0).rules.at(0).expr);
  CHECK(again->slos.at(0).total_query == loaded->slos.at(0).total_query);
}

TEST_CASE("errors are bounded, in the order of the file, and do not repeat a shared default", "[config]") {
  std::string many;
  for (int i = 0; i < 80; ++i) many += "x" + std::to_string(i) + ": 1\n";
  const auto config = load_text(many, "f");
  REQUIRE_FALSE(config);
  CHECK(config.error().size() == 50);
  CHECK(errors("global: {evaluation_interval: 5 min}\ngroups: [{name: a}, {name: b}]\n") ==
        "f:1:31: 'evaluation_interval' is \"5 min\"; write a duration such as 5m\n");
}

TEST_CASE("windows that are longer than what they look at is kept are warned of", "[config]") {
  const std::string yaml =
      "storage: {retention: 15d, retention_events: 2d}\n"
      "slos:\n"
      "  - {name: a, service: s, objective: 99.9, window: 30d, sli: {error_query: 'e[{{.window}}]', total_query: 't[{{.window}}]'}}\n"
      "  - name: b\n"
      "    service: s\n"
      "    objective: 99.9\n"
      "    window: 15d\n"
      "    sli: {error_query: 'e[{{.window}}]', total_query: 't[{{.window}}]'}\n"
      "    windows:\n"
      "      - {severity: page, long: 16d, short: 1h, factor: 2}\n"
      "drift:\n"
      "  - {name: d, model: m, reference: r, window: 3d}\n"
      "  - {name: e, model: m, reference: r, window: 2d}\n";
  CHECK(text_of(warnings_of(load(yaml))) ==
        "f:3:5: the SLO 'a' looks back 30d, and 'storage.retention' is 15d: it sees no more than that; shorten the window, or lengthen the retention\n"
        "f:10:9: this window of the SLO 'b' looks back 16d, and 'storage.retention' is 15d: it sees no more than that; shorten the window, or lengthen the retention\n"
        "f:12:5: the drift rule 'd' looks back 3d, and 'storage.retention_events' is 2d: it sees no more than that; shorten the window, or lengthen the retention\n");
}

TEST_CASE("nothing is compared with a retention that does not read", "[config]") {
  CHECK(errors("storage: {retention: soon, retention_overrides: [{match: a, keep: 60d}], downsample_1h_retention: 1d}") ==
        "f:1:22: 'retention' is \"soon\"; write a duration such as 5m\n");
}

TEST_CASE("an option that moved says where it went", "[config]") {
  CHECK(errors("server: {limits: {query_threads: 4}}\n") ==
        "f:1:19: unknown option 'query_threads': write 'concurrency' under 'query'\n");
}

TEST_CASE("a file of too many values or bytes is refused", "[config]") {
  std::string nodes = "rule_files: [";
  for (int i = 0; i < 100'001; ++i) nodes += "a,";
  CHECK(errors(nodes + "]\n").find("more than 100000 values") != std::string::npos);
  CHECK(errors("# " + std::string(5u << 20, 'x')).find("larger than 4 MiB") != std::string::npos);
  std::string bomb = "a: &a [x,x]\n";
  for (char c = 'b'; c < 'z'; ++c) bomb += std::string(1, c) + ": &" + c + " [*" + char(c - 1) + ",*" + char(c - 1) + "]\n";
  CHECK(errors(bomb).find("anchors and aliases (&name, *name) written out are more than 100000 values") != std::string::npos);
  // Few values of much text are no better.
  const std::string big = "global: {scrape_interval: &a '" + std::string(1u << 20, 'x') + "'}\nrule_files: [*a,*a,*a,*a,*a]\n";
  CHECK(errors(big).find("or 4 MiB of text") != std::string::npos);
  std::string deep = "a: &a " + std::string(40, '[') + std::string(40, ']') + "\nb: " + std::string(30, '[') + "*a" + std::string(30, ']');
  CHECK(errors(deep).find("nested deeper than 64 levels") != std::string::npos);
}

TEST_CASE("anchors, aliases and merge keys are written out", "[config]") {
  const Config config = load("global: {scrape_interval: &t 7s, evaluation_interval: *t}\n"
                             "scrape_configs:\n"
                             "  - &base {job_name: a, scrape_timeout: 3s, static_configs: &s [{targets: ['h:1']}]}\n"
                             "  - {<<: *base, job_name: b}\n"
                             "  - {job_name: c, <<: [{scrape_timeout: 2s}, *base]}\n");
  CHECK(config.global.evaluation_interval == Millis(7000));
  REQUIRE(config.scrape_configs.size() == 3);
  CHECK(config.scrape_configs[1].job_name == "b");
  CHECK(config.scrape_configs[1].scrape_timeout == Millis(3000));
  CHECK(config.scrape_configs[2].job_name == "c");
  CHECK(config.scrape_configs[2].scrape_timeout == Millis(2000));
  CHECK(config.scrape_configs[2].static_configs.size() == 1);
  CHECK(errors("scrape_configs: [{<<: 5}]\n") == "f:1:23: '<<' takes a mapping or a list of mappings\n");
  // What is wrong in a repeated value is told where it is written, and a wrong kind of value where it is repeated.
  CHECK(errors("rule_files: &a [x]\nglobal: *a\n").starts_with("f:2:9: "));
  CHECK(errors("rule_files: *a\n").starts_with("f:1:13: not valid YAML: "));
}

TEST_CASE("a missing file is named", "[config]") {
  const auto config = load_file("/nonexistent/plumbline.yaml");
  REQUIRE_FALSE(config);
  CHECK(text_of(config.error()).starts_with("/nonexistent/plumbline.yaml: cannot open"));
}

TEST_CASE("rule files are read as promtool reads them", "[config][rules]") {
  const auto groups = load_rule_text("groups:\n- name: g\n  rules:\n  - {alert: A, expr: up == 0}\n", "r", Millis(7000));
  REQUIRE(groups);
  CHECK((*groups)[0].interval == Millis(7000));
  CHECK((*groups)[0].file == "r");
  CHECK(load_rule_text("", "r", Millis(1000))->empty());
  const auto config_key = load_rule_text("storage: {}\n", "r", Millis(1000));
  REQUIRE_FALSE(config_key);
  CHECK(text_of(config_key.error()).starts_with("r:1:1: unknown option 'storage'"));
  const auto wrong = load_rule_text("groups:\n- name: g\n  interval: 5 min\n  rules:\n  - {alert: A}\n", "r", Millis(1000));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().size() == 2);
}

TEST_CASE("rule files are found by their globs", "[config][rules]") {
  Folder folder;
  folder.write("rules/b.yaml", "groups: [{name: b}]\n");
  folder.write("rules/a.yaml", "groups: [{name: a}]\n");
  folder.write("rules/c.txt", "no\n");
  const std::string main = folder.write("main.yaml", "rule_files: [rules/*.yaml, rules/a.yaml, none/*.yaml]\n");
  const auto config = load_file(main);
  REQUIRE(config);
  const auto groups = load_rule_files(*config);
  REQUIRE(groups);
  REQUIRE(groups->size() == 2);
  CHECK((*groups)[0].name == "a");
  CHECK((*groups)[1].file == (folder.path / "rules/b.yaml").string());
  const auto missing = load_file(folder.write("missing.yaml", "rule_files: [nowhere.yaml]\n"));
  const auto none = load_rule_files(*missing);
  REQUIRE_FALSE(none);
  CHECK(text_of(none.error()).find("missing.yaml:1:13: the rule file") != std::string::npos);
}

TEST_CASE("target files are JSON or YAML", "[config][targets]") {
  Folder folder;
  const auto json = read_target_file(folder.write("t.json", R"([{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}])"));
  REQUIRE(json);
  CHECK((*json)[0].targets == std::vector<std::string>{"a:1", "b:2"});
  CHECK((*json)[0].labels == StringPairs{{"env", "x"}});
  const auto yaml = read_target_file(folder.write("t.yaml", "- targets: [a:1]\n- targets: [c:3]\n"));
  REQUIRE(yaml);
  CHECK(yaml->size() == 2);
  CHECK(read_target_file(folder.write("e.json", "[]"))->empty());
  const auto bad = read_target_file(folder.write("b.json", R"([{"tragets": []}])"));
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message.find("b.json:1:3: unknown option 'tragets'; did you mean 'targets'?") != std::string::npos);
  CHECK_FALSE(read_target_file(folder.write("o.json", "{}")));
  CHECK(read_target_file((folder.path / "gone.json").string()).error().code == Code::not_found);
}

TEST_CASE("the reference is the table's, and the full example names every option", "[config][reference]") {
  const std::filesystem::path reference = root / "config/reference.md";
  if (std::getenv("PLUMBLINE_UPDATE") != nullptr) std::ofstream(reference, std::ios::binary) << render_reference();
  INFO("run this test with PLUMBLINE_UPDATE=1 to write it anew");
  CHECK(slurp(reference) == render_reference());

  const std::string example = slurp(root / "tests/scripts/config/good/full.yaml");
  for (const Option& option : options()) {
    const std::string_view path = option.path;
    const std::string name(path.substr(path.find_last_of('.') == std::string_view::npos ? 0 : path.find_last_of('.') + 1));
    INFO(path);
    CHECK(example.find(name + ":") != std::string::npos);
  }
}
