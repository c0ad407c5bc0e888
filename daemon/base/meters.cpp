#include "daemon/base/meters.hpp"

#include <algorithm>

#include "daemon/base/check.hpp"
#include "daemon/base/text.hpp"

namespace plumbline {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
}

std::string label_text(const MeterLabels& labels, std::string_view extra_name = {}, std::string_view extra = {}) {
  if (labels.empty() && extra_name.empty()) return {};
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ',';
    out += name;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
  }
  if (!extra_name.empty()) {
    if (out.size() > 1) out += ',';
    out += extra_name;
    out += "=\"";
    out += extra;
    out += '"';
  }
  out += '}';
  return out;
}

void line(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  out += labels;
  out += ' ';
  out += format_number(value);
  out += '\n';
}

}  // namespace

void Histogram::observe(double seconds) {
  std::size_t i = 0;
  while (i < bounds.size() && seconds > bounds[i]) ++i;
  counts_[i].fetch_add(1, std::memory_order_relaxed);
  sum_.add(seconds);
}

Registry::Family& Registry::family(std::string_view name, std::string_view help, char kind) {
  auto it = families_.find(name);
  if (it == families_.end()) {
    it = families_.emplace(std::string(name), Family{}).first;
    it->second.help = help;
    it->second.kind = kind;
  }
  PLUMBLINE_CHECK(it->second.kind == kind, "a metric name is used with one kind only");
  return it->second;
}

Counter& Registry::counter(std::string_view name, std::string_view help, MeterLabels labels) {
  Lock lock(mutex_);
  auto& slot = family(name, help, 'c').counters[std::move(labels)];
  if (!slot) slot = std::make_unique<Counter>();
  return *slot;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, MeterLabels labels) {
  Lock lock(mutex_);
  auto& slot = family(name, help, 'g').gauges[std::move(labels)];
  if (!slot) slot = std::make_unique<Gauge>();
  return *slot;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, MeterLabels labels) {
  Lock lock(mutex_);
  auto& slot = family(name, help, 'h').histograms[std::move(labels)];
  if (!slot) slot = std::make_unique<Histogram>();
  return *slot;
}

void Registry::gauge_function(std::string_view name, std::string_view help, MeterLabels labels,
                              std::function<double()> read) {
  Lock lock(mutex_);
  family(name, help, 'g').functions[std::move(labels)] = std::move(read);
}

std::string Registry::render() const {
  Lock lock(mutex_);
  std::string out;
  for (const auto& [name, f] : families_) {
    out += "# HELP " + name + " ";
    append_escaped(out, f.help, false);
    out += "\n# TYPE " + name + (f.kind == 'c' ? " counter\n" : f.kind == 'g' ? " gauge\n" : " histogram\n");
    for (const auto& [labels, c] : f.counters) line(out, name, label_text(labels), static_cast<double>(c->value()));
    for (const auto& [labels, g] : f.gauges) line(out, name, label_text(labels), g->value());
    for (const auto& [labels, read] : f.functions) line(out, name, label_text(labels), read());
    for (const auto& [labels, h] : f.histograms) {
      std::uint64_t running = 0;
      for (std::size_t i = 0; i < Histogram::bounds.size(); ++i) {
        running += h->counts_[i].load(std::memory_order_relaxed);
        line(out, name + "_bucket", label_text(labels, "le", format_number(Histogram::bounds[i])),
             static_cast<double>(running));
      }
      running += h->counts_.back().load(std::memory_order_relaxed);
      line(out, name + "_bucket", label_text(labels, "le", "+Inf"), static_cast<double>(running));
      line(out, name + "_sum", label_text(labels), h->sum_.value());
      line(out, name + "_count", label_text(labels), static_cast<double>(running));
    }
  }
  return out;
}

}  // namespace plumbline
