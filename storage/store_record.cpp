#include "storage/store_record.hpp"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "daemon/base/bytes.hpp"
#include "storage/codec/histogram_row.hpp"
#include "storage/journal/frame.hpp"

namespace plumbline::storage {

using model::Value;

namespace {

// What a section holds; a reader that meets another one refuses the record.
enum Section : std::uint8_t {
  section_definitions = 1,
  section_samples,
  section_events,
  section_labels,
  section_metadata,
  section_state,
  section_histograms,
};

enum Tag : std::uint8_t { tag_null, tag_false, tag_true, tag_i64, tag_f64, tag_string, tag_list };

void put_value(ByteWriter& out, const Value& value) {
  struct Visitor {
    ByteWriter& out;
    void operator()(std::monostate) { out.u8(tag_null); }
    void operator()(bool v) { out.u8(v ? tag_true : tag_false); }
    void operator()(std::int64_t v) {
      out.u8(tag_i64);
      out.zigzag(v);
    }
    void operator()(double v) {
      out.u8(tag_f64);
      out.f64(v);
    }
    void operator()(const std::string& v) {
      out.u8(tag_string);
      out.sized(v);
    }
    void operator()(const model::List& v) {
      out.u8(tag_list);
      out.varint(v.size());
      for (const double d : v) out.f64(d);
    }
  };
  std::visit(Visitor{out}, value);
}

bool get_value(ByteReader& in, Value& out) {
  switch (in.u8()) {
    case tag_null: out = std::monostate{}; break;
    case tag_false: out = false; break;
    case tag_true: out = true; break;
    case tag_i64: out = in.zigzag(); break;
    case tag_f64: out = in.f64(); break;
    case tag_string: out = std::string(in.sized()); break;
    case tag_list: {
      const std::uint64_t n = in.varint();
      if (n > in.left() / 8) return false;
      model::List list(n);
      for (double& d : list) d = in.f64();
      out = std::move(list);
      break;
    }
    default: return false;
  }
  return in.ok();
}

std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrapping_sub(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

// Field names repeat in every row: the first use spells the name (0, then the name), later uses give its number.
class NameWriter {
 public:
  void put(ByteWriter& out, const std::string& name) {
    const auto [it, fresh] = known_.try_emplace(name, known_.size() + 1);
    out.varint(fresh ? 0 : it->second);
    if (fresh) out.sized(name);
  }

 private:
  std::unordered_map<std::string_view, std::uint64_t> known_;  // borrows: the batch outlives the encoder
};

// A count that the remaining bytes cannot hold is damage; without this check it would be an allocation.
bool plausible(std::uint64_t count, const ByteReader& in) { return in.ok() && count <= in.left(); }

}  // namespace

RecordWriter::RecordWriter(std::string& out) : out_(out) {
  out_.assign(journal::frame_bytes, '\0');
  out_.push_back(static_cast<char>(record_version));
}

void RecordWriter::definitions(std::span<const series::Definition> definitions) {
  if (definitions.empty()) return;
  ByteWriter out;
  out.u8(section_definitions);
  out.varint(definitions.size());
  for (const series::Definition& d : definitions) {
    out.varint(d.id);
    out.sized(d.labels);
  }
  out_.append(out.str());
}

// The hot section: ten bytes for the usual sample (the series after the last one, one sample, at the time of the last one).
void RecordWriter::samples(std::span<const series::SeriesRun> runs, std::span<const model::Sample> samples) {
  if (runs.empty()) return;
  std::size_t count = 0;
  for (const series::SeriesRun& run : runs) count += run.count;
  constexpr std::size_t varint_max = 10;
  const std::size_t before = out_.size();
  out_.resize_and_overwrite(before + 1 + 2 * varint_max + runs.size() * 2 * varint_max + count * (varint_max + 8),
                            [](char*, std::size_t n) { return n; });
  char* at = out_.data() + before;
  const auto varint = [&at](std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) *at++ = static_cast<char>(v | 0x80);
    *at++ = static_cast<char>(v);
  };
  const auto zigzag = [](std::int64_t v) {
    return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
  };
  *at++ = section_samples;
  varint(runs.size());
  varint(count);
  std::int64_t next_id = 0;
  std::int64_t previous = 0;
  for (const series::SeriesRun& run : runs) {
    varint(zigzag(run.id - next_id) << 1 | (run.count != 1 ? 1u : 0u));
    if (run.count != 1) varint(run.count);
    next_id = static_cast<std::int64_t>(run.id) + 1;
    for (const model::Sample& s : samples.subspan(run.first, run.count)) {
      varint(zigzag(wrapping_sub(s.t, previous)));
      previous = s.t;
      const std::uint64_t bits = std::bit_cast<std::uint64_t>(s.v);
      std::memcpy(at, &bits, 8);  // little-endian, as every machine that runs this
      at += 8;
    }
  }
  out_.resize(static_cast<std::size_t>(at - out_.data()));
}

void RecordWriter::histograms(std::span<const series::SeriesRun> runs, std::span<const model::HistogramSample> histograms) {
  if (runs.empty()) return;
  ByteWriter out;
  out.u8(section_histograms);
  out.varint(runs.size());
  const model::HistogramLayout* layout = nullptr;
  std::int64_t previous = 0;
  for (const series::SeriesRun& run : runs) {
    out.varint(run.id);
    out.varint(run.count);
    for (const model::HistogramSample& s : histograms.subspan(run.first, run.count)) {
      out.zigzag(wrapping_sub(s.t, previous));
      previous = s.t;
      codec::put_histogram(out, s.h, layout);
      layout = &s.h.layout;
    }
  }
  out_.append(out.str());
}

void RecordWriter::events(const std::vector<model::StreamRows>& events) {
  if (events.empty()) return;
  ByteWriter out;
  out.u8(section_events);
  NameWriter names;
  out.varint(events.size());
  for (const model::StreamRows& stream : events) {
    out.u8(static_cast<std::uint8_t>(stream.kind));
    out.sized(stream.stream.encode());
    out.varint(stream.rows.size());
    std::int64_t previous = 0;
    for (const model::Row& row : stream.rows) {
      out.zigzag(wrapping_sub(row.time_ns, previous));
      previous = row.time_ns;
      out.varint(row.fields.size());
      for (const model::Field& field : row.fields) {
        names.put(out, field.name);
        put_value(out, field.value);
      }
    }
  }
  out_.append(out.str());
}

void RecordWriter::labels(const std::vector<model::LateLabel>& labels) {
  if (labels.empty()) return;
  ByteWriter out;
  out.u8(section_labels);
  out.varint(labels.size());
  for (const model::LateLabel& l : labels) {
    out.sized(l.model);
    out.sized(l.prediction_id);
    put_value(out, l.label);
    out.zigzag(l.time_ns);
  }
  out_.append(out.str());
}

void RecordWriter::metadata(const std::vector<MetricMetadata>& metadata) {
  if (metadata.empty()) return;
  ByteWriter out;
  out.u8(section_metadata);
  out.varint(metadata.size());
  for (const MetricMetadata& m : metadata) {
    out.sized(m.metric);
    out.sized(m.type);
    out.sized(m.help);
    out.sized(m.unit);
  }
  out_.append(out.str());
}

void RecordWriter::state(const std::vector<StatePut>& state) {
  if (state.empty()) return;
  ByteWriter out;
  out.u8(section_state);
  out.varint(state.size());
  for (const StatePut& s : state) {
    out.sized(s.key);
    out.u8(s.value ? 1 : 0);
    if (s.value) out.sized(*s.value);
  }
  out_.append(out.str());
}

std::string encode_record(const Record& record) {
  std::string out;
  RecordWriter writer(out);
  writer.definitions(record.definitions);
  writer.samples(record.runs, record.samples);
  writer.histograms(record.histogram_runs, record.histograms);
  writer.events(record.events);
  writer.labels(record.labels);
  writer.metadata(record.metadata);
  writer.state(record.state);
  return out.substr(journal::frame_bytes);
}

namespace {

std::unexpected<Error> damaged(std::string_view what) { return fail(Code::corrupt, "journal record: " + std::string(what)); }

Status get_definitions(ByteReader& in, std::vector<series::Definition>& out) {
  const std::uint64_t count = in.varint();
  if (!plausible(count, in)) return damaged("more definitions than bytes");
  out.resize(count);
  for (series::Definition& d : out) {
    const std::uint64_t id = in.varint();
    if (id >= series::no_series) return damaged("a series id that is none");
    d.id = static_cast<series::SeriesId>(id);
    d.labels = in.sized();
  }
  return {};
}

Status get_samples(ByteReader& in, std::vector<series::SeriesRun>& runs, std::vector<model::Sample>& samples) {
  const std::uint64_t run_count = in.varint();
  const std::uint64_t count = in.varint();
  if (!plausible(run_count, in) || count > in.left() / 9) return damaged("more samples than bytes");
  runs.resize(run_count);
  samples.resize(count);
  std::int64_t next_id = 0;
  std::int64_t t = 0;
  std::size_t done = 0;
  for (series::SeriesRun& run : runs) {
    const std::uint64_t head = in.varint();
    const std::uint64_t step = head >> 1;
    const std::int64_t id =
        wrapping_add(next_id, static_cast<std::int64_t>(step >> 1) ^ -static_cast<std::int64_t>(step & 1));
    if (id < 0 || id >= std::int64_t{series::no_series}) return damaged("a series id that is none");
    const std::uint64_t length = (head & 1) != 0 ? in.varint() : 1;
    if (length > count - done) return damaged("more samples than it says");
    run = {static_cast<series::SeriesId>(id), static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(length)};
    next_id = id + 1;
    for (std::uint64_t i = 0; i < length; ++i) {
      t = wrapping_add(t, in.zigzag());
      samples[done++] = {t, in.f64()};
    }
  }
  if (done != count) return damaged("fewer samples than it says");
  return {};
}

Status get_histograms(ByteReader& in, std::vector<series::SeriesRun>& runs, std::vector<model::HistogramSample>& histograms) {
  const std::uint64_t run_count = in.varint();
  if (!plausible(run_count, in)) return damaged("more runs of histograms than bytes");
  runs.clear();
  histograms.clear();
  model::HistogramLayout layout;
  std::int64_t t = 0;
  for (std::uint64_t r = 0; r < run_count; ++r) {
    const std::uint64_t id = in.varint();
    const std::uint64_t length = in.varint();
    if (id >= series::no_series) return damaged("a series id that is none");
    if (!plausible(length, in)) return damaged("more histograms than bytes");
    runs.push_back({static_cast<series::SeriesId>(id), static_cast<std::uint32_t>(histograms.size()),
                    static_cast<std::uint32_t>(length)});
    for (std::uint64_t i = 0; i < length; ++i) {
      t = wrapping_add(t, in.zigzag());
      model::HistogramSample& sample = histograms.emplace_back();
      sample.t = t;
      if (!codec::get_histogram(in, sample.h, histograms.size() > 1 ? &layout : nullptr))
        return damaged("a histogram that does not decode");
      layout = sample.h.layout;
    }
  }
  return {};
}

Status get_events(ByteReader& in, std::vector<model::StreamRows>& out) {
  const std::uint64_t streams = in.varint();
  if (!plausible(streams, in)) return damaged("more streams than bytes");
  out.resize(streams);
  std::vector<std::string> names;
  for (model::StreamRows& stream : out) {
    const std::optional<model::EventKind> kind = model::event_kind_of(in.u8());
    if (!kind) return damaged("an unknown kind of row");
    stream.kind = *kind;
    PLUMBLINE_TRY(stream.stream, model::Labels::decode(in.sized()));
    const std::uint64_t rows = in.varint();
    if (!plausible(rows, in)) return damaged("more rows than bytes");
    stream.rows.resize(rows);
    std::int64_t t = 0;
    for (model::Row& row : stream.rows) {
      t = wrapping_add(t, in.zigzag());
      row.time_ns = t;
      const std::uint64_t fields = in.varint();
      if (!plausible(fields, in)) return damaged("more fields than bytes");
      row.fields.resize(fields);
      for (model::Field& field : row.fields) {
        const std::uint64_t name = in.varint();
        if (name == 0) names.emplace_back(in.sized());
        if (name > names.size()) return damaged("a field name that was not spelled");
        field.name = name == 0 ? names.back() : names[name - 1];
        if (!get_value(in, field.value)) return damaged("a value that does not decode");
      }
    }
  }
  return {};
}

Status get_labels(ByteReader& in, std::vector<model::LateLabel>& out) {
  const std::uint64_t count = in.varint();
  if (!plausible(count, in)) return damaged("more labels than bytes");
  out.resize(count);
  for (model::LateLabel& l : out) {
    l.model = in.sized();
    l.prediction_id = in.sized();
    if (!get_value(in, l.label)) return damaged("a label that does not decode");
    l.time_ns = in.zigzag();
  }
  return {};
}

Status get_metadata(ByteReader& in, std::vector<MetricMetadata>& out) {
  const std::uint64_t count = in.varint();
  if (!plausible(count, in)) return damaged("more metadata than bytes");
  out.resize(count);
  for (MetricMetadata& m : out) {
    m.metric = in.sized();
    m.type = in.sized();
    m.help = in.sized();
    m.unit = in.sized();
  }
  return {};
}

Status get_state(ByteReader& in, std::vector<StatePut>& out) {
  const std::uint64_t count = in.varint();
  if (!plausible(count, in)) return damaged("more state than bytes");
  out.resize(count);
  for (StatePut& s : out) {
    s.key = in.sized();
    if (in.u8() != 0)
      s.value = std::string(in.sized());
    else
      s.value.reset();
  }
  return {};
}

Status get_section(std::uint8_t section, ByteReader& in, Record& out) {
  switch (section) {
    case section_definitions: return get_definitions(in, out.definitions);
    case section_samples: return get_samples(in, out.runs, out.samples);
    case section_events: return get_events(in, out.events);
    case section_labels: return get_labels(in, out.labels);
    case section_metadata: return get_metadata(in, out.metadata);
    case section_state: return get_state(in, out.state);
    case section_histograms: return get_histograms(in, out.histogram_runs, out.histograms);
    default: return damaged("a section of an unknown kind");
  }
}

// What an earlier use of the record left. The sections that are there have taken the place of theirs.
void clear_unseen(std::uint32_t seen, Record& out) {
  const auto lacks = [&](std::uint8_t section) { return (seen & 1u << section) == 0; };
  if (lacks(section_definitions)) out.definitions.clear();
  if (lacks(section_samples)) out.runs.clear(), out.samples.clear();
  if (lacks(section_histograms)) out.histogram_runs.clear(), out.histograms.clear();
  if (lacks(section_events)) out.events.clear();
  if (lacks(section_labels)) out.labels.clear();
  if (lacks(section_metadata)) out.metadata.clear();
  if (lacks(section_state)) out.state.clear();
}

}  // namespace

Result<Record> decode_record(std::string_view bytes) {
  Record out;
  PLUMBLINE_CHECK_OK(decode_record(bytes, out));
  return out;
}

Status decode_record(std::string_view bytes, Record& out) {
  ByteReader in(bytes);
  const std::uint8_t version = in.u8();
  if (in.ok() && (version > record_version || version < record_version_min))
    return fail(Code::unsupported, "journal record of version " + std::to_string(version) +
                                       ", this Plumbline reads versions " + std::to_string(record_version_min) + " to " +
                                       std::to_string(record_version) + ": start the newer Plumbline once and stop it gracefully");
  std::uint32_t seen = 0;
  while (in.ok() && !in.done()) {
    const std::uint8_t section = in.u8();
    PLUMBLINE_CHECK_OK(get_section(section, in, out));
    seen |= 1u << section;
  }
  if (!in.ok()) return damaged("it ends early");
  clear_unseen(seen, out);
  return {};
}

Result<Record> decode_record_v1(std::uint64_t sequence, std::string_view bytes) {
  if (bytes.size() < 13) return damaged("of " + std::to_string(bytes.size()) + " bytes");
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  ByteReader tail(bytes.substr(bytes.size() - 4));
  if (crc32c(body) != tail.le32()) return damaged("it does not match its checksum");
  ByteReader in(body);
  if (in.u8() != 1) return damaged("not of version 1");
  if (const std::uint64_t own = in.be64(); own != sequence) return damaged("it says it is number " + std::to_string(own));
  Record out;
  const std::uint64_t series = in.varint();
  if (!plausible(series, in)) return damaged("more series than bytes");
  std::int64_t id = 0;
  std::int64_t t = 0;
  for (std::uint64_t i = 0; i < series; ++i) {
    id = wrapping_add(id, in.zigzag());
    if (id < 0 || id >= std::int64_t{series::no_series}) return damaged("a series id that is none");
    const std::uint64_t samples = in.varint();
    if (!in.ok() || samples > in.left() / 9) return damaged("more samples than bytes");
    out.runs.push_back({static_cast<series::SeriesId>(id), static_cast<std::uint32_t>(out.samples.size()),
                        static_cast<std::uint32_t>(samples)});
    for (std::uint64_t k = 0; k < samples; ++k) {
      t = wrapping_add(t, in.zigzag());
      out.samples.push_back({t, in.f64()});
    }
  }
  PLUMBLINE_CHECK_OK(get_events(in, out.events));
  PLUMBLINE_CHECK_OK(get_labels(in, out.labels));
  if (!in.ok() || !in.done()) return damaged("it ends early or has bytes left over");
  return out;
}

}  // namespace plumbline::storage
