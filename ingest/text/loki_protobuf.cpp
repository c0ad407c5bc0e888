// logproto.PushRequest {1 streams: {1 labels, 2 entries: {1 timestamp {1 seconds, 2 nanos}, 2 line, 3
// metadata {1, 2}}}}. Read as it lies, without generated code; unknown fields are passed over.
#include <exception>
#include <protozero/pbf_reader.hpp>

#include "ingest/text/label_text.hpp"
#include "ingest/text/loki.hpp"

namespace plumbline::ingest {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

std::string text_of(pbf_reader& in) {
  const protozero::data_view view = in.get_view();
  return std::string(view.data(), view.size());
}

bool is_bytes(const pbf_reader& in) {
  return in.wire_type() == pbf_wire_type::length_delimited;
}
bool is_varint(const pbf_reader& in) {
  return in.wire_type() == pbf_wire_type::varint;
}

std::pair<std::string, std::string> read_pair(pbf_reader in) {
  std::pair<std::string, std::string> out;
  while (in.next()) {
    if (in.tag() == 1 && is_bytes(in))
      out.first = text_of(in);
    else if (in.tag() == 2 && is_bytes(in))
      out.second = text_of(in);
    else
      in.skip();
  }
  return out;
}

// False when seconds and nanos are no time: outside of what nanoseconds in an i64 hold (1677 to 2262).
bool read_time(pbf_reader in, std::int64_t& ns) {
  std::int64_t seconds = 0, nanos = 0;
  while (in.next()) {
    if (in.tag() == 1 && is_varint(in))
      seconds = in.get_int64();
    else if (in.tag() == 2 && is_varint(in))
      nanos = in.get_int32();
    else
      in.skip();
  }
  if (seconds > 9'223'372'035 || seconds < -9'223'372'035 || nanos < 0 || nanos > 999'999'999) return false;
  ns = seconds * 1'000'000'000 + nanos;
  return true;
}

void read_entry(pbf_reader in, LokiRows& rows) {
  LokiEntry entry;
  bool time_good = true, metadata_fits = true;
  while (in.next()) {
    if (in.tag() == 1 && is_bytes(in)) {
      time_good = read_time(in.get_message(), entry.time_ns);
    } else if (in.tag() == 2 && is_bytes(in)) {
      entry.line = text_of(in);
    } else if (in.tag() == 3 && is_bytes(in)) {
      // One more than the limit is enough for the refusal; the rest is not worth its memory.
      metadata_fits = entry.metadata.size() <= loki_limits::metadata_entries_max;
      if (metadata_fits)
        entry.metadata.push_back(read_pair(in.get_message()));
      else
        in.skip();
    } else {
      in.skip();
    }
  }
  if (!time_good)
    return rows.refuse_entry("invalid_time", "the timestamp is outside of the years 1677 to 2262");
  rows.add(std::move(entry));
}

void read_stream(pbf_reader in, LokiRows& rows) {
  std::string labels;
  pbf_reader first = in;
  while (first.next()) {
    if (first.tag() == 1 && is_bytes(first))
      labels = text_of(first);
    else
      first.skip();
  }
  auto parsed = parse_label_text(labels);
  if (parsed)
    rows.begin_stream(std::move(*parsed));
  else
    rows.begin_bad_stream("invalid_labels", parsed.error().message);
  while (in.next()) {
    if (in.tag() == 2 && is_bytes(in))
      read_entry(in.get_message(), rows);
    else
      in.skip();
  }
}

}  // namespace

Status decode_loki_protobuf(std::string_view body, LokiRows& rows) {
  // protozero reports broken wire format by exception.
  try {
    pbf_reader in(body.data(), body.size());
    while (in.next()) {
      if (in.tag() == 1 && is_bytes(in))
        read_stream(in.get_message(), rows);
      else
        in.skip();
    }
  } catch (const std::exception& e) {
    return fail(Code::invalid_input,
                "broken protobuf in stream " + std::to_string(rows.streams()) + ": " + e.what());
  }
  return {};
}

}  // namespace plumbline::ingest
