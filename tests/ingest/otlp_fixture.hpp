// A sink over a store in memory, and short ways to build OTLP requests.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "ingest/ingest.hpp"
#include "ingest/otlp.hpp"
#include "opentelemetry/proto/collector/logs/v1/logs_service.pb.h"
#include "opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "tests/support/support.hpp"

namespace plumbline::test {

namespace otlp = opentelemetry::proto;
using MetricsRequest = otlp::collector::metrics::v1::ExportMetricsServiceRequest;
using LogsRequest = otlp::collector::logs::v1::ExportLogsServiceRequest;
using TraceRequest = otlp::collector::trace::v1::ExportTraceServiceRequest;

template <class Message>  // anything with attributes
void attribute(Message& m, std::string key, std::string value) {
  auto& kv = *m.add_attributes();
  kv.set_key(std::move(key));
  kv.mutable_value()->set_string_value(std::move(value));
}

inline otlp::common::v1::KeyValue& add_value(otlp::common::v1::KeyValueList& list, std::string key) {
  auto& kv = *list.add_values();
  kv.set_key(std::move(key));
  return kv;
}

struct OtlpFixture {
  ManualClock clock;
  MemoryStore store;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  ingest::Sink sink{store, store, clock, *log, registry};

  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_ns()); }

  std::map<std::string, double> series() {
    std::map<std::string, double> out;
    REQUIRE(store.select({{}, {}}, [&](const model::Labels& l, std::span<const model::Sample> s) {
      out[l.str()] = s.back().v;
      return true;
    }));
    return out;
  }
  struct Event {
    std::string stream;
    std::int64_t time_ns = 0;
    std::map<std::string, model::Value> fields;
    std::string text(const std::string& name) const {
      const auto it = fields.find(name);
      if (it == fields.end()) return "(absent)";
      const auto* s = std::get_if<std::string>(&it->second);
      return s != nullptr ? *s : "(not text)";
    }
    std::int64_t integer(const std::string& name) const { return std::get<std::int64_t>(fields.at(name)); }
    double number(const std::string& name) const { return std::get<double>(fields.at(name)); }
  };
  std::vector<Event> events(model::EventKind kind) {
    std::vector<Event> out;
    storage::EventQuery query;
    query.kind = kind;
    REQUIRE(store.scan(query, [&](const storage::RowBlock& block) {
      for (std::size_t i = 0; i < block.times_ns.size(); ++i) {
        Event e{block.stream->str(), block.times_ns[i], {}};
        for (const storage::Column& c : block.columns)
          if (!std::holds_alternative<std::monostate>(c.values[i])) e.fields[c.name] = c.values[i];
        out.push_back(std::move(e));
      }
      return true;
    }));
    return out;
  }
};

}  // namespace plumbline::test
