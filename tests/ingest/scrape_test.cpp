#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <map>

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "ingest/scrape/scrape_loop.hpp"
#include "ingest/scrape/scrape_request.hpp"
#include "ingest/scrape/target_routes.hpp"
#include "tests/ingest/exemplars.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using model::Labels;
using test::ManualClock;
using test::MemoryStore;

namespace {

using Groups = std::vector<TargetGroup>;

ScrapeJob job_of(std::string name, std::vector<std::string> targets) {
  ScrapeJob job;
  job.job_name = std::move(name);
  job.static_configs.push_back({std::move(targets), {}});
  return job;
}

std::shared_ptr<const ScrapeJobRules> rules_of(ScrapeJob job) {
  auto rules = ScrapeJobRules::make(std::move(job));
  INFO((rules ? "" : rules.error().message));
  REQUIRE(rules);
  return *rules;
}

Target target_of(ScrapeJob job, std::string address = "host:1",
                 std::vector<std::pair<std::string, std::string>> labels = {}) {
  auto target = make_target(rules_of(std::move(job)), address, labels);
  INFO((target ? "" : target.error().message));
  REQUIRE(target);
  REQUIRE(*target);
  return **target;
}

struct FakeClient final : http::Client {
  std::function<Result<http::Response>(const http::ClientRequest&)> answer;
  std::vector<http::ClientRequest> seen;
  Result<http::Response> send(const http::ClientRequest& request) override {
    seen.push_back(request);
    return answer(request);
  }
  void says(std::string body, std::string type = "text/plain; version=0.0.4") {
    answer = [body = std::move(body),
              type = std::move(type)](const http::ClientRequest&) -> Result<http::Response> {
      return http::Response{200, {{"Content-Type", type}}, body};
    };
  }
};

// A loop, its targets and a store; scrapes run where they are due, in the test's thread.
struct Rig {
  ManualClock clock;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  MemoryStore store;
  Sink sink{store, store, clock, *log, registry};
  FakeClient client;
  std::map<std::string, Result<Groups>> files;
  ScrapeLoop loop{sink, client, clock, *log, registry, [this](const std::string& path) -> Result<Groups> {
                    const auto it = files.find(path);
                    if (it == files.end()) return fail(Code::io, "no such file");
                    return it->second;
                  }};

  int step() {
    std::vector<ScrapeTask> tasks;
    loop.step(clock.now_ms(), [&](ScrapeTask& task) {
      tasks.push_back(std::move(task));
      return true;
    });
    for (ScrapeTask& task : tasks) loop.run(std::move(task));
    return static_cast<int>(tasks.size());
  }
  // Steps through the time in seconds; answers how many tasks ran.
  int pass(int seconds) {
    int ran = 0;
    for (int i = 0; i < seconds; ++i) {
      clock.advance(Millis(1000));
      ran += step();
    }
    return ran;
  }
  // metric{labels without job and instance} -> values, stale as "stale".
  std::map<std::string, std::vector<std::string>> stored() {
    std::map<std::string, std::vector<std::string>> out;
    const Status status = store.select({}, [&](const Labels& labels, std::span<const model::Sample> samples) {
      for (const model::Sample& s : samples)
        out[labels.without("job").without("instance").str()].push_back(
            model::is_stale(s.v) ? "stale" : format_number(s.v));
      return true;
    });
    REQUIRE(status);
    return out;
  }
};

using Values = std::vector<std::string>;

}  // namespace

TEST_CASE("target labels are populated as Prometheus does", "[scrape]") {
  ScrapeJob job = job_of("j", {});
  job.params = {{"module", "http_2xx"}, {"a b", "c&d"}};
  const Target t = target_of(job, "example.org:9100", {{"env", "prod"}, {"__meta_x", "y"}});
  CHECK(t.labels.str() == R"({env="prod", instance="example.org:9100", job="j"})");
  CHECK(t.url_text == "http://example.org:9100/metrics?a+b=c%26d&module=http_2xx");
  CHECK(t.discovered.get("__scrape_interval__") == "15s");
  CHECK(t.discovered.get("__param_module") == "http_2xx");
  CHECK(t.discovered.get("__meta_x") == "y");
}

TEST_CASE("relabelling decides address, path, scheme, pace and labels of a target", "[scrape]") {
  ScrapeJob job = job_of("j", {});
  const auto replace = [](std::string source, std::string target, std::string replacement) {
    RelabelRule r;
    if (!source.empty()) r.source_labels = {std::move(source)};
    r.target_label = std::move(target);
    r.replacement = std::move(replacement);
    return r;
  };
  // the blackbox pattern
  job.relabel = {replace("__address__", "__param_target", "$1"),
                 replace("__param_target", "instance", "$1"),
                 replace("", "__address__", "blackbox:9115"),
                 replace("", "__metrics_path__", "/probe"),
                 replace("", "__scheme__", "https"),
                 replace("", "__scrape_interval__", "1m"),
                 replace("__meta_x", "x", "$1"),
                 replace("", "job", "renamed")};
  const Target t = target_of(job, "https://example.org", {{"__meta_x", "y"}});
  CHECK(t.url_text == "https://blackbox:9115/probe?target=https%3A%2F%2Fexample.org");
  CHECK(t.labels.str() == R"({instance="https://example.org", job="renamed", x="y"})");
  CHECK(t.interval == Millis(60000));

  RelabelRule drop;
  drop.action = RelabelAction::drop;
  drop.source_labels = {"__address__"};
  drop.regex = "host:1";
  ScrapeJob dropping = job_of("j", {});
  dropping.relabel = {drop};
  const auto dropped = make_target(rules_of(dropping), "host:1", {});
  REQUIRE(dropped);
  CHECK_FALSE(*dropped);
}

TEST_CASE("targets that cannot be are refused", "[scrape]") {
  CHECK_FALSE(make_target(rules_of(job_of("j", {})), "http://host/metrics", {}));
  CHECK_FALSE(make_target(rules_of(job_of("j", {})), "", {}));
  CHECK_FALSE(make_target(rules_of(job_of("j", {})), "host:1", {{"__scrape_interval__", "soon"}}));
  CHECK_FALSE(make_target(rules_of(job_of("j", {})), "host:1", {{"__scrape_timeout__", "1h"}}));
  CHECK_FALSE(make_target(rules_of(job_of("j", {})), "host:1", {{"__scheme__", "ftp"}}));
  ScrapeJob slow = job_of("j", {});
  slow.timeout = Millis(20'000);
  CHECK_FALSE(ScrapeJobRules::make(slow));
}

TEST_CASE("a target keeps its own offset in the interval", "[scrape]") {
  CHECK(next_scrape_ms(7, Millis(10), 100) == 107);
  CHECK(next_scrape_ms(7, Millis(10), 107) == 107);
  CHECK(next_scrape_ms(7, Millis(10), 108) == 117);
  CHECK(next_scrape_ms(0, Millis(10), -5) == 0);
  CHECK(next_scrape_ms(7, Millis(10), -5) == -3);
  for (std::uint64_t hash : {0ull, 1ull, 12345678901234567ull, ~0ull})
    for (std::int64_t at : {0ll, 1ll, 1'700'000'000'123ll}) {
      const std::int64_t next = next_scrape_ms(hash, Millis(15'000), at);
      CHECK(next >= at);
      CHECK(next < at + 15'000);
      CHECK(next % 15'000 == static_cast<std::int64_t>(hash % 15'000));
    }
  CHECK(sample_time_ms(1000, 1002, Millis(15'000)) == 1000);
  CHECK(sample_time_ms(1000, 1003, Millis(15'000)) == 1003);
  CHECK(sample_time_ms(1000, 999, Millis(15'000)) == 999);
}

TEST_CASE("labels of sample and target are merged", "[scrape]") {
  const Labels target = Labels::of({{"job", "j"}, {"instance", "i"}});
  const auto merged = [&](std::vector<model::Label> exposed, bool honor) {
    return Labels::make(with_target_labels(std::move(exposed), target, honor))->str();
  };
  CHECK(merged({{"__name__", "m"}, {"a", "b"}}, false) == R"(m{a="b", instance="i", job="j"})");
  CHECK(merged({{"__name__", "m"}, {"job", "x"}}, false) == R"(m{exported_job="x", instance="i", job="j"})");
  CHECK(merged({{"__name__", "m"}, {"job", "x"}, {"exported_job", "y"}}, false) ==
        R"(m{exported_exported_job="x", exported_job="y", instance="i", job="j"})");
  CHECK(merged({{"__name__", "m"}, {"job", ""}}, false) == R"(m{instance="i", job="j"})");
  CHECK(merged({{"__name__", "m"}, {"job", "x"}}, true) == R"(m{instance="i", job="x"})");
  CHECK(merged({{"__name__", "m"}, {"instance", ""}}, true) == R"(m{job="j"})");
}

TEST_CASE("a scrape stores its samples and reports", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  rig.client.says("# TYPE a counter\na 1\nb{x=\"y\"} 2\n");
  CHECK(rig.pass(15) == 1);
  const auto stored = rig.stored();
  CHECK(stored.at("a") == Values{"1"});
  CHECK(stored.at(R"(b{x="y"})") == Values{"2"});
  CHECK(stored.at("up") == Values{"1"});
  CHECK(stored.at("scrape_samples_scraped") == Values{"2"});
  CHECK(stored.at("scrape_samples_post_metric_relabeling") == Values{"2"});
  CHECK(stored.at("scrape_series_added") == Values{"2"});
  CHECK(stored.contains("scrape_duration_seconds"));
  CHECK(rig.store.metadata("a")->at(0).type == "counter");
  CHECK(rig.pass(15) == 1);
  CHECK(rig.stored().at("scrape_series_added") == Values{"2", "0"});
  REQUIRE(rig.loop.targets().size() == 1);
  CHECK(rig.loop.targets()[0].health == "up");
}

TEST_CASE("the request says what Prometheus says", "[scrape]") {
  test::TempDir dir;
  std::ofstream(dir.path("token")) << "s3cret\n";
  ScrapeJob job = job_of("j", {});
  job.authorization_credentials_file = dir.path("token");
  auto request = scrape_request(target_of(job));
  REQUIRE(request);
  const auto header = [&](std::string_view name) {
    for (const auto& [n, v] : request->headers)
      if (n == name) return v;
    return std::string("<absent>");
  };
  CHECK(header("Accept").starts_with("application/openmetrics-text;version=1.0.0"));
  CHECK(header("Accept-Encoding") == "gzip");
  CHECK(header("X-Prometheus-Scrape-Timeout-Seconds") == "10");
  CHECK(header("Authorization") == "Bearer s3cret");
  CHECK(request->timeout == Millis(10'000));

  ScrapeJob basic = job_of("j", {});
  basic.basic_auth_user = "u";
  basic.basic_auth_password_file = dir.path("token");
  request = scrape_request(target_of(basic));
  REQUIRE(request);
  CHECK(header("Authorization") == "Basic dTpzM2NyZXQ=");
  std::ofstream(dir.path("token")) << "two\nlines";
  request = scrape_request(target_of(basic));
  REQUIRE_FALSE(request);
  CHECK(request.error().message.find("two") == std::string::npos);
  basic.basic_auth_password_file = dir.path("absent");
  CHECK_FALSE(scrape_request(target_of(basic)));
}

TEST_CASE("gzip answers are inflated within the limit", "[scrape]") {
  ScrapeJob job = job_of("j", {});
  job.body_bytes_max = 1000;
  const Target t = target_of(job);
  const auto answer = [&](std::string body, std::string encoding) {
    return read_answer(
        t, http::Response{200,
                          {{"content-encoding", std::move(encoding)}, {"Content-Type", "text/plain"}},
                          std::move(body)});
  };
  CHECK(answer(gzip("a 1\n"), "gzip")->body == "a 1\n");
  CHECK_FALSE(answer(gzip(std::string(2000, ' ')), "gzip"));
  CHECK_FALSE(answer(std::string(2000, ' '), ""));
  CHECK_FALSE(answer("not gzip", "gzip"));
  const auto refused = read_answer(t, http::Response{503, {}, "a 1\n"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "server returned HTTP status 503");
}

TEST_CASE("a series that vanishes gets a stale marker, once", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  rig.client.says("a 1\nb 1\nt 1 1700000000000\n");
  rig.pass(15);
  rig.client.says("a 2\n");
  rig.pass(30);
  const auto stored = rig.stored();
  CHECK(stored.at("a") == Values{"1", "2", "2"});
  CHECK(stored.at("b") == Values{"1", "stale"});
  // a sample with its own timestamp ends without a marker
  CHECK(stored.at("t") == Values{"1"});
}

TEST_CASE("a scraped exemplar is stored once, however often the target repeats it", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  const auto says = [&](const std::string& id) {
    rig.client.says("a_total 1 # {trace_id=\"" + id + "\"} 0.5\nb_total 1\n# EOF\n", "application/openmetrics-text; version=1.0.0");
  };
  says("x");
  rig.pass(15);
  const std::int64_t first = rig.clock.now_ms();
  rig.pass(15);
  says("y");
  rig.pass(15);
  const auto found = test::exemplars(rig.store);
  REQUIRE(found.size() == 2);
  CHECK(found[0].first == R"(a_total{instance="host:1", job="j"})");
  CHECK(found[0].second.time_ns <= first * 1'000'000);
  CHECK(found[0].second.fields == std::vector<model::Field>{{"value", 0.5}, {"trace_id", std::string("x")}});
  CHECK(found[1].second.fields.back().value == model::Value(std::string("y")));
}

TEST_CASE("a failing target goes down and its series stale", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  rig.client.says("a 1\n");
  rig.pass(15);
  SECTION("it does not answer") {
    rig.client.answer = [](const http::ClientRequest&) -> Result<http::Response> {
      return fail(Code::timeout, "timed out");
    };
  }
  SECTION("it answers with an error") {
    rig.client.answer = [](const http::ClientRequest&) -> Result<http::Response> {
      return http::Response{500, {}, "a 5\n"};
    };
  }
  SECTION("one of its lines is broken") {
    rig.client.says("a 2\nfresh 1\nbroken{ 1\n");
  }
  SECTION("its OpenMetrics is cut off") {
    rig.client.says("a 2\nfresh 1\n", "application/openmetrics-text");
  }
  SECTION("a label comes twice") {
    rig.client.says("a{x=\"1\",x=\"2\"} 2\n");
  }
  rig.pass(30);
  auto stored = rig.stored();
  CHECK(stored.at("a") == Values{"1", "stale"});
  CHECK(stored.at("up") == Values{"1", "0", "0"});
  CHECK_FALSE(stored.contains("fresh"));
  CHECK(rig.loop.targets()[0].health == "down");
  CHECK_FALSE(rig.loop.targets()[0].last_error.empty());
  rig.client.says("a 3\n");
  rig.pass(15);
  stored = rig.stored();
  CHECK(stored.at("a") == Values{"1", "stale", "3"});
  CHECK(stored.at("scrape_series_added").back() == "0");
  CHECK(rig.loop.targets()[0].last_error.empty());
}

TEST_CASE("a target that is gone leaves stale markers for everything", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1", "host:2"})}));
  rig.client.says("a 1\n");
  CHECK(rig.pass(15) == 2);
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:2"})}));
  CHECK(rig.pass(15) == 2);  // the last task of host:1 and a scrape of host:2
  std::map<std::string, std::vector<bool>> up;
  REQUIRE(rig.store.select({}, [&](const Labels& l, std::span<const model::Sample> samples) {
    if (l.metric() == "up" || l.metric() == "a")
      for (const model::Sample& s : samples)
        up[std::string(l.metric()) + " " + std::string(l.get("instance"))].push_back(model::is_stale(s.v));
    return true;
  }));
  CHECK(up["up host:1"] == std::vector<bool>{false, true});
  CHECK(up["a host:1"] == std::vector<bool>{false, true});
  CHECK(up["up host:2"] == std::vector<bool>{false, false});
  CHECK(rig.loop.targets().size() == 1);
}

TEST_CASE("limits, metric relabelling and honor options", "[scrape]") {
  Rig rig;
  ScrapeJob job = job_of("j", {"host:1"});
  SECTION("sample_limit") {
    job.sample_limit = 2;
    REQUIRE(rig.loop.set_jobs({job}));
    rig.client.says("a 1\nb 1\nc 1\nd 1\n");
    rig.pass(15);
    CHECK(rig.stored().at("up") == Values{"0"});
    CHECK(rig.stored().at("scrape_samples_scraped") == Values{"4"});
    CHECK_FALSE(rig.stored().contains("a"));
    CHECK(rig.loop.targets()[0].last_error == "sample limit exceeded");
  }
  SECTION("metric_relabel") {
    RelabelRule drop;
    drop.action = RelabelAction::drop;
    drop.source_labels = {"__name__"};
    drop.regex = "go_.*";
    job.metric_relabel = {drop};
    REQUIRE(rig.loop.set_jobs({job}));
    rig.client.says("go_a 1\nb 1\n");
    rig.pass(15);
    CHECK(rig.stored().at("scrape_samples_scraped") == Values{"2"});
    CHECK(rig.stored().at("scrape_samples_post_metric_relabeling") == Values{"1"});
    CHECK_FALSE(rig.stored().contains("go_a"));
  }
  SECTION("honor_timestamps off") {
    job.honor_timestamps = false;
    REQUIRE(rig.loop.set_jobs({job}));
    rig.client.says("a 1 1000\n");
    rig.pass(15);
    rig.client.says("");
    rig.pass(15);
    CHECK(rig.stored().at("a") == Values{"1", "stale"});
  }
  SECTION("a series twice in one answer keeps the first") {
    REQUIRE(rig.loop.set_jobs({job}));
    rig.client.says("a 1\na 2\n");
    rig.pass(15);
    CHECK(rig.stored().at("a") == Values{"1"});
    CHECK(rig.stored().at("up") == Values{"1"});
  }
}

TEST_CASE("when the store refuses, the next scrape writes what is missing", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  rig.client.says("a 1\nb 1\n");
  rig.pass(15);
  rig.client.says("a 2\n");
  rig.store.fail_writes(Error{Code::unavailable, "disk full"});
  rig.pass(15);
  CHECK(rig.loop.targets()[0].health == "down");
  rig.store.fail_writes(std::nullopt);
  rig.pass(15);
  CHECK(rig.stored().at("a") == Values{"1", "2"});
  CHECK(rig.stored().at("b") == Values{"1", "stale"});
}

TEST_CASE("busy workers make scrapes be left out, not late", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  int offered = 0;
  for (int i = 0; i < 15; ++i) {
    rig.clock.advance(Millis(1000));
    rig.loop.step(rig.clock.now_ms(), [&](ScrapeTask&) {
      ++offered;
      return false;
    });
  }
  CHECK(offered == 1);
  CHECK(rig.registry
            .counter("plumbline_scrapes_skipped_total", "Scrapes that were due and left out.",
                     {{"reason", "workers_busy"}})
            .value() == 1);
}

TEST_CASE("a clock that is set back does not stop scraping", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  rig.client.says("a 1\n");
  rig.pass(15);
  rig.clock.jump(Millis(-3'600'000));
  CHECK(rig.pass(16) >= 1);
}

TEST_CASE("file_sd targets come, change and go with their files", "[scrape]") {
  test::TempDir dir;
  Rig rig;
  const auto write = [&](const std::string& name, Result<Groups> groups) {
    std::ofstream(dir.path(name)) << "x";
    rig.files.insert_or_assign(dir.path(name), std::move(groups));
  };
  ScrapeJob job;
  job.job_name = "files";
  job.file_sd_files = {dir.path("*.json")};
  write("one.json", Groups{{{"host:1"}, {{"env", "prod"}}}});
  REQUIRE(rig.loop.set_jobs({job}));
  rig.client.says("a 1\n");
  REQUIRE(rig.loop.targets().size() == 1);
  CHECK(rig.loop.targets()[0].labels.str() == R"({env="prod", instance="host:1", job="files"})");
  CHECK(rig.loop.targets()[0].discovered.get("__meta_filepath") == dir.path("one.json"));
  write("two.json", Groups{{{"host:2", "host:3"}, {}}});
  rig.pass(31);
  CHECK(rig.loop.targets().size() == 3);
  // unreadable: what it said before stays
  write("two.json", fail(Code::invalid_input, "bad YAML"));
  rig.pass(31);
  CHECK(rig.loop.targets().size() == 3);
  std::filesystem::remove(dir.path("two.json"));
  rig.pass(31);
  CHECK(rig.loop.targets().size() == 1);
}

TEST_CASE("jobs are changed as a whole or not at all", "[scrape]") {
  Rig rig;
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"})}));
  ScrapeJob bad = job_of("k", {"host:2"});
  bad.relabel.emplace_back().regex = "(";
  const Status status = rig.loop.set_jobs({job_of("l", {"host:3"}), bad});
  REQUIRE_FALSE(status);
  CHECK(status.error().message.find("scrape job \"k\": relabel_configs: relabel rule 1") == 0);
  CHECK_FALSE(rig.loop.set_jobs({job_of("a", {}), job_of("a", {})}));
  REQUIRE(rig.loop.targets().size() == 1);
  CHECK(rig.loop.targets()[0].job == "j");
}

TEST_CASE("the targets page has Prometheus' shape", "[scrape]") {
  Rig rig;
  RelabelRule drop;
  drop.action = RelabelAction::drop;
  drop.source_labels = {"__address__"};
  drop.regex = "host:2";
  ScrapeJob job = job_of("j", {"host:1", "host:2"});
  job.relabel = {drop};
  REQUIRE(rig.loop.set_jobs({job}));
  const std::string json = targets_json(rig.loop.targets(), rig.loop.dropped_targets(), rig.loop.pools(), "any", "");
  CHECK(
      json ==
      R"({"status":"success","data":{"activeTargets":[{"discoveredLabels":{"__address__":"host:1","__metrics_path__":"/metrics",)"
      R"("__scheme__":"http","__scrape_interval__":"15s","__scrape_timeout__":"10s","job":"j"},"labels":{"instance":"host:1","job":"j"},)"
      R"("scrapePool":"j","scrapeUrl":"http://host:1/metrics","globalUrl":"http://host:1/metrics","lastError":"",)"
      R"("lastScrape":"0001-01-01T00:00:00Z","lastScrapeDuration":0,"health":"unknown","scrapeInterval":"15s","scrapeTimeout":"10s"}],)"
      R"("droppedTargets":[{"discoveredLabels":{"__address__":"host:2","__metrics_path__":"/metrics","__scheme__":"http",)"
      R"("__scrape_interval__":"15s","__scrape_timeout__":"10s","job":"j"},"scrapePool":"j"}],"droppedTargetCounts":{"j":1}}})");
  const auto asked = [&](std::string_view state, std::string_view pool) {
    return targets_json(rig.loop.targets(), rig.loop.dropped_targets(), rig.loop.pools(), state, pool);
  };
  CHECK(asked("", "") == json);
  CHECK(asked("ANY", "j") == json);
  const std::string active = asked("active", "j");
  CHECK(active.find(R"("scrapeUrl":"http://host:1/metrics")") != std::string::npos);
  CHECK(active.ends_with(R"("droppedTargets":[],"droppedTargetCounts":null}})"));
  CHECK(asked("dropped", "other") ==
        R"({"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{"j":1}}})");
  CHECK(asked("none of them", "") ==
        R"({"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}})");
  CHECK(scrape_pools_json(rig.loop.pools()) == R"({"status":"success","data":{"scrapePools":["j"]}})");
}

TEST_CASE("targets tell the metadata of their last good scrape", "[scrape]") {
  Rig rig;
  rig.client.says("# HELP b Bees.\n# TYPE b gauge\nb 1\n# TYPE a_total counter\na_total 2\n");
  REQUIRE(rig.loop.set_jobs({job_of("j", {"host:1"}), job_of("k", {"host:2"})}));
  const auto ask = [&](TargetMetadataQuery query) { return target_metadata_json(rig.loop.targets(), query); };
  const Result<std::string> early = ask({});
  REQUIRE_FALSE(early);
  CHECK(early.error() == Error{Code::not_found, "specified metadata not found"});

  rig.pass(15);
  const std::string j = R"("target":{"instance":"host:1","job":"j"},)", k = R"("target":{"instance":"host:2","job":"k"},)";
  const std::string a = R"("metric":"a_total","type":"counter","help":"","unit":""})",
                    b = R"("metric":"b","type":"gauge","help":"Bees.","unit":""})";
  const std::string begin = R"({"status":"success","data":[)";
  CHECK(*ask({}) == begin + "{" + j + a + ",{" + j + b + ",{" + k + a + ",{" + k + b + "]}");
  // The limit is looked at before a target is begun, as upstream does.
  CHECK(*ask({{}, "", 1}) == begin + "{" + j + a + ",{" + j + b + "]}");
  CHECK(*ask({{model::Matcher::equal("job", "k")}, "b", -1}) ==
        begin + "{" + k + R"("type":"gauge","help":"Bees.","unit":""}]})");
  CHECK_FALSE(ask({{}, "c", -1}));

  // Kept over a failed scrape, replaced by a good one.
  rig.client.answer = [](const http::ClientRequest&) -> Result<http::Response> { return fail(Code::io, "gone"); };
  rig.pass(15);
  CHECK(ask({{}, "b", -1}));
  rig.client.says("# TYPE c gauge\nc 1\n");
  rig.pass(15);
  CHECK_FALSE(ask({{}, "b", -1}));
  CHECK(ask({{}, "c", -1}));
}
