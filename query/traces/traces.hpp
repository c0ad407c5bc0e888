// Stored spans as Jaeger's v1 JSON shows them: tags with types, logs, references, processes.
// Threads: any. Blocks: on the store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/base/json_writer.hpp"
#include "storage/storage.hpp"

namespace plumbline::query::traces {

inline constexpr std::size_t spans_max = 100'000;   // of one trace; more are cut with a warning in the trace
inline constexpr std::size_t traces_max = 1'500;    // one search answers at most so many (Jaeger's own ceiling)

using Tags = std::vector<std::pair<std::string, model::Value>>;

struct Log {
  std::int64_t time_ns = 0;
  Tags fields;
};

struct Link {
  std::string trace_id, span_id;
};

struct Span {
  std::string trace_id, span_id, parent_span_id, name, service;
  std::int64_t start_ns = 0, duration_ns = 0;
  Tags tags, process;
  std::vector<Log> logs;
  std::vector<Link> links;
  bool error = false;
};

struct Trace {
  std::string id;
  std::vector<Span> spans;  // by start time
  bool cut = false;         // spans_max was reached
};

// 1 to 32 hex digits in either case, to 32 lowercase ones. Fails: invalid_input.
Result<std::string> pad_trace_id(std::string_view text);
// Fails: what the reader says; an unknown id is a trace without spans.
Result<Trace> read_trace(const storage::Reader& reader, const std::string& padded_id);

struct Search {
  std::string service;
  std::string operation;  // empty: any
  Tags tags;              // every one equal to a span's or its process' tag; values as text
  std::int64_t start_ns = 0, end_ns = 0;
  std::int64_t duration_min_ns = 0;
  std::optional<std::int64_t> duration_max_ns;
  std::size_t limit = 100;
};
// The newest traces with a span that meets all conditions, newest first.
Result<std::vector<Trace>> search(const storage::Reader& reader, const Search& search);

void write_trace(JsonWriter& json, const Trace& trace);

}  // namespace plumbline::query::traces
