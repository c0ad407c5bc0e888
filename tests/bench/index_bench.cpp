// index_bench [SERIES]: bytes and nanoseconds per series of the label index, for series as Kubernetes and as node_exporter
// make them. Requests of 2,000 series, as remote write sends them. Checks what it finds; prints one line per number.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "storage/model/wire_labels.hpp"
#include "storage/series/label_index.hpp"

using namespace plumbline;
using model::Labels;
using storage::series::LabelIndex;
using storage::series::no_series;

namespace {

constexpr std::size_t request = 2000;
bool failed = false;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::size_t rss_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t heap_bytes() {
  const struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

void expect(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "wrong: %s\n", what);
  failed = true;
}

std::string hex_of(std::uint64_t v, int digits) {
  char buffer[17];
  std::snprintf(buffer, sizeof buffer, "%0*llx", digits, static_cast<unsigned long long>(v));
  return std::string(buffer).substr(0, static_cast<std::size_t>(digits));
}

std::uint64_t scrambled(std::uint64_t v) {
  v = (v ^ (v >> 31)) * 0x9e3779b97f4a7c15;
  return v ^ (v >> 29);
}

// 11 or 12 labels, some 270 bytes, one value that only this series has, and in half of the series a second one.
Labels k8s(std::size_t i) {
  const std::size_t pod = i / 40;
  const std::uint64_t r = scrambled(i + 1);
  std::vector<model::Label> l{{"__name__", "container_metric_name_total_" + std::to_string(i % 40)},
                              {"cluster", "prod-eu-west-1"},
                              {"container", "app-" + std::to_string(pod % 50)},
                              {"endpoint", "https-metrics"},
                              {"instance", "10.12." + std::to_string(pod / 250 % 250) + "." + std::to_string(pod % 250) + ":10250"},
                              {"job", "kubelet"},
                              {"namespace", "team-" + std::to_string(pod % 97)},
                              {"node", "ip-10-12-" + std::to_string(pod % 500) + ".internal"},
                              {"pod", "app-" + std::to_string(pod % 50) + "-7d9f8c-" + hex_of(scrambled(pod), 5) + std::to_string(pod)},
                              {"service", "kubelet"},
                              {"uid", hex_of(r, 8) + "-" + hex_of(r >> 8, 4) + "-4" + hex_of(i, 7) + "-" + hex_of(r * 3, 12)}};
  if (i % 2 == 0) l.push_back({"id", "slice-" + hex_of(r * 7, 12) + std::to_string(i)});
  return Labels::trusted(std::move(l));
}

// 3 to 6 labels, some 110 bytes, no value of its own: 1,000 series per host.
Labels node(std::size_t i) {
  const std::size_t metric = i % 1000;
  std::vector<model::Label> l{{"__name__", "node_some_subsystem_things_total_" + std::to_string(metric / 4)},
                              {"instance", "host-" + std::to_string(i / 1000) + ".example.net:9100"},
                              {"job", "node"}};
  if (metric % 4 != 0) l.push_back({"device", "device" + std::to_string(metric % 4)});
  if (metric < 500) l.push_back({"mode", "mode-" + std::to_string(metric % 8)});
  return Labels::trusted(std::move(l));
}

struct Phase {
  const char* kind;
  void say(const char* what, double value, const char* unit) const { std::printf("%-5s %-52s %10.1f %s\n", kind, what, value, unit); }
};

void find_all(const Phase& phase, const char* what, const LabelIndex& index, const std::vector<std::string_view>& forms,
              const std::vector<std::uint32_t>& ids, int rounds) {
  std::size_t wrong = 0;
  const double start = cpu_seconds();
  for (int round = 0; round < rounds; ++round)
    for (std::size_t from = 0; from < forms.size(); from += request) {
      auto finder = index.finder();
      for (std::size_t i = from; i < std::min(forms.size(), from + request); ++i)
        if (finder.find(forms[i]) != ids[i]) ++wrong;
    }
  phase.say(what, (cpu_seconds() - start) * 1e9 / static_cast<double>(forms.size()) / rounds, "ns/series");
  expect(wrong == 0, what);
}

void resolve(const Phase& phase, const LabelIndex& index, model::MatchOp op, const char* name, const char* value) {
  const auto matcher = model::Matcher::make(op, name, value);
  const double start = cpu_seconds();
  const Roaring found = index.resolve({*matcher});
  const double first = (cpu_seconds() - start) * 1e3;
  constexpr int rounds = 5;
  for (int i = 0; i < rounds; ++i) expect(index.resolve({*matcher}) == found, "resolve");
  const double later = (cpu_seconds() - start) * 1e3 - first;
  std::printf("%-5s resolve %-44s %10.3f ms, then %.3f ms (%llu series)\n", phase.kind, matcher->str().c_str(), first,
              later / rounds, static_cast<unsigned long long>(found.cardinality()));
}

void run(const Phase& phase, Labels (*make)(std::size_t), std::size_t count) {
  // The forms as one text, so that the process is small beside the index.
  std::string text;
  std::vector<std::size_t> ends;
  std::string one;
  for (std::size_t i = 0; i < count; ++i) {
    model::wire_form(make(i), one);
    text += one;
    ends.push_back(text.size());
  }
  std::vector<std::string_view> forms;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i == 0 ? 0 : ends[i - 1];
    forms.emplace_back(text.data() + from, ends[i] - from);
  }
  phase.say("raw form", static_cast<double>(text.size()) / static_cast<double>(count), "bytes");
  std::vector<std::uint32_t> ids(count);
  for (std::uint32_t& id : ids) id = no_series;  // touched before the memory is measured
  malloc_trim(0);
  const std::size_t rss = rss_bytes();
  const std::size_t heap = heap_bytes();
  LabelIndex index;
  double add_seconds = 0;
  double parse_seconds = 0;
  std::vector<Labels> labels(request);
  for (std::size_t from = 0; from < count; from += request) {
    const std::size_t n = std::min(request, count - from);
    std::vector<LabelIndex::NewSeries> fresh;
    const double start = cpu_seconds();
    for (std::size_t i = 0; i < n; ++i) labels[i] = *model::parse_wire_labels(forms[from + i]);
    const double parsed = cpu_seconds();
    for (std::size_t i = 0; i < n; ++i) fresh.push_back({&labels[i], forms[from + i]});
    const auto added = index.add_many(fresh);
    add_seconds += cpu_seconds() - parsed;
    parse_seconds += parsed - start;
    for (std::size_t i = 0; i < n; ++i) ids[from + i] = added[i].id;
  }
  labels = {};
  malloc_trim(0);
  const auto per_series = [&](double v) { return v / static_cast<double>(count); };
  phase.say("memory, by the heap", per_series(static_cast<double>(heap_bytes() - heap)), "bytes/series");
  phase.say("memory, by RSS", per_series(static_cast<double>(rss_bytes() - rss)), "bytes/series");
  phase.say("memory, as the index says", per_series(static_cast<double>(index.memory_bytes())), "bytes/series");
  phase.say("parse_wire_labels of a new series", per_series(parse_seconds * 1e9), "ns/series");
  phase.say("add_many of a new series", per_series(add_seconds * 1e9), "ns/series");

  // One host's requests, over and over: the caches are as warm as a sender's rhythm lets them be.
  const std::size_t some = std::min<std::size_t>(count, request);
  find_all(phase, "learn", index, {forms.begin(), forms.begin() + static_cast<std::ptrdiff_t>(some)}, ids, 1);
  find_all(phase, "find predicted, 2,000 series", index, {forms.begin(), forms.begin() + static_cast<std::ptrdiff_t>(some)}, ids, 200);
  find_all(phase, "learn", index, forms, ids, 1);
  find_all(phase, "find predicted, all series", index, forms, ids, 3);
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  // The forms lie in the order they are sent, as in a request; only the index meets them in a new one.
  std::string shuffled_text;
  shuffled_text.reserve(text.size());
  std::vector<std::string_view> shuffled;
  std::vector<std::uint32_t> shuffled_ids;
  for (const std::size_t i : order) {
    shuffled.emplace_back(shuffled_text.data() + shuffled_text.size(), forms[i].size());
    shuffled_text += forms[i];
    shuffled_ids.push_back(ids[i]);
  }
  find_all(phase, "find by the table, all series, random", index, shuffled, shuffled_ids, 1);
  find_all(phase, "find predicted, all series, random ids", index, shuffled, shuffled_ids, 2);
  const auto few = [&](std::size_t n) { return static_cast<std::ptrdiff_t>(std::min(n, count)); };
  std::vector<std::string_view> some_forms(forms.begin(), forms.begin() + few(60'000));
  std::vector<std::uint32_t> some_ids(ids.begin(), ids.begin() + few(60'000));
  // A new order each time, so that hardly any prediction holds: of all of them, and inside of each request.
  for (const std::size_t span : {some_forms.size(), std::min(request, some_forms.size())}) {
    double seconds = 0;
    std::size_t wrong = 0;
    constexpr unsigned rounds = 6;
    for (unsigned round = 0; round < rounds; ++round) {
      std::vector<std::size_t> mix(some_forms.size());
      for (std::size_t i = 0; i < mix.size(); ++i) mix[i] = i;
      for (std::size_t from = 0; from < mix.size(); from += span)
        std::shuffle(mix.begin() + few(from), mix.begin() + few(std::min(from + span, mix.size())), std::mt19937_64(round));
      std::string bytes;
      for (const std::size_t i : mix) bytes += some_forms[i];
      const char* at = bytes.data();
      const double start = cpu_seconds();
      auto finder = index.finder();
      for (const std::size_t i : mix) {
        if (finder.find({at, some_forms[i].size()}) != some_ids[i]) ++wrong;
        at += some_forms[i].size();
      }
      seconds += cpu_seconds() - start;
    }
    expect(wrong == 0, "by the table");
    phase.say(span == some_forms.size() ? "find by the table, 60,000 series, random" : "find by the table, random inside of a request",
              seconds * 1e9 / rounds / static_cast<double>(some_forms.size()), "ns/series");
  }

  using model::MatchOp;
  resolve(phase, index, MatchOp::regex, "__name__", ".+");
  resolve(phase, index, MatchOp::regex, "__name__", ".*_1.*");
  resolve(phase, index, MatchOp::not_regex, "__name__", ".*total_[0-4]");
  resolve(phase, index, MatchOp::equal, "job", "node");
  resolve(phase, index, MatchOp::regex, "instance", "10\\.12\\.1.*|host-1.*");
  resolve(phase, index, MatchOp::regex, "instance", "(host-[0-9]+|10[.]12[.][0-9]+)[.].*0");
  resolve(phase, index, MatchOp::regex, "uid", "a0.*");
  resolve(phase, index, MatchOp::regex, "uid", "[a-f].*-4.*");
  resolve(phase, index, MatchOp::not_equal, "uid", "");
  double start = cpu_seconds();
  const auto values = index.label_values("instance", index.all());
  phase.say("label_values of all instances", (cpu_seconds() - start) * 1e3, "ms");
  expect(!values.empty(), "label_values");
  start = cpu_seconds();
  expect(index.cardinality(10).values_by_label.size() >= 3, "cardinality");
  phase.say("cardinality", (cpu_seconds() - start) * 1e3, "ms");
  Roaring half;
  for (std::size_t i = 0; i < count / 2 + count / 10; ++i) half.add(ids[i]);
  start = cpu_seconds();
  index.remove(half);
  phase.say("remove 60 % of the series", (cpu_seconds() - start) * 1e9 / static_cast<double>(half.cardinality()), "ns/series");
  malloc_trim(0);
  phase.say("memory after it, as the index says", static_cast<double>(index.memory_bytes()) / static_cast<double>(index.size()),
            "bytes/series left");
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? static_cast<std::size_t>(std::atoll(argv[1])) : 1'000'000;
  run({"k8s"}, k8s, count);
  run({"node"}, node, count);
  run({"60k"}, node, std::min<std::size_t>(60'000, count));
  return failed ? 1 : 0;
}
