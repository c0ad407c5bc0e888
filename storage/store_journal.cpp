#include "storage/store_journal.hpp"

#include <unordered_map>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage {

using model::Value;

namespace {

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

struct JournalEncoder::Impl {
  ByteWriter out;
  std::uint32_t previous_id = 0;
  std::int64_t previous_t = 0;
};

JournalEncoder::JournalEncoder(std::uint64_t sequence) : impl_(std::make_unique<Impl>()) {
  impl_->out.u8(journal_version);
  impl_->out.be64(sequence);
}
JournalEncoder::~JournalEncoder() = default;

void JournalEncoder::begin_series(std::size_t count) { impl_->out.varint(count); }

void JournalEncoder::series(std::uint32_t id, const std::vector<model::Sample>& samples) {
  ByteWriter& out = impl_->out;
  // A sender repeats its series in the order in which their ids were given: the step is one byte, mostly 1.
  out.zigzag(static_cast<std::int64_t>(id) - static_cast<std::int64_t>(impl_->previous_id));
  impl_->previous_id = id;
  out.varint(samples.size());
  for (const model::Sample& s : samples) {
    out.zigzag(wrapping_sub(s.t, impl_->previous_t));
    impl_->previous_t = s.t;
    out.f64(s.v);
  }
}

void JournalEncoder::events(const std::vector<model::StreamRows>& events) {
  ByteWriter& out = impl_->out;
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
}

void JournalEncoder::labels(const std::vector<model::LateLabel>& labels) {
  ByteWriter& out = impl_->out;
  out.varint(labels.size());
  for (const model::LateLabel& l : labels) {
    out.sized(l.model);
    out.sized(l.prediction_id);
    put_value(out, l.label);
    out.zigzag(l.time_ns);
  }
}

std::string JournalEncoder::finish() {
  impl_->out.le32(crc32c(impl_->out.str()));
  return impl_->out.take();
}

std::string encode_journal(const JournalRecord& record) {
  JournalEncoder encoder(record.sequence);
  encoder.begin_series(record.series.size());
  for (const JournalSeries& s : record.series) encoder.series(s.id, s.samples);
  encoder.events(record.events);
  encoder.labels(record.labels);
  return encoder.finish();
}

namespace {

Status damaged(std::string_view what) { return fail(Code::corrupt, "journal record: " + std::string(what)); }

Status get_series(ByteReader& in, std::vector<JournalSeries>& out) {
  const std::uint64_t count = in.varint();
  if (!plausible(count, in)) return damaged("more series than bytes");
  out.resize(count);
  std::int64_t id = 0;
  std::int64_t t = 0;
  for (JournalSeries& s : out) {
    id += in.zigzag();
    if (id < 0 || id > 0xffff'ffffll) return damaged("a series id outside of u32");
    s.id = static_cast<std::uint32_t>(id);
    const std::uint64_t samples = in.varint();
    if (!in.ok() || samples > in.left() / 9) return damaged("more samples than bytes");
    s.samples.resize(samples);
    for (model::Sample& sample : s.samples) {
      t = wrapping_add(t, in.zigzag());
      sample = {t, in.f64()};
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
    const std::uint8_t kind = in.u8();
    if (kind < 1 || kind > 3) return damaged("an unknown kind of row");
    stream.kind = static_cast<model::EventKind>(kind);
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

}  // namespace

Result<JournalRecord> decode_journal(std::uint64_t sequence, std::string_view bytes) {
  if (bytes.size() < 13) return fail(Code::corrupt, "journal record of " + std::to_string(bytes.size()) + " bytes");
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  ByteReader tail(bytes.substr(bytes.size() - 4));
  if (crc32c(body) != tail.le32()) return fail(Code::corrupt, "journal record does not match its checksum");
  ByteReader in(body);
  const std::uint8_t version = in.u8();
  if (version != journal_version)
    return fail(Code::unsupported, "journal record of version " + std::to_string(version) +
                                       ", this Plumbline reads version " + std::to_string(journal_version) +
                                       ": start the newer Plumbline once and stop it gracefully");
  JournalRecord out;
  out.sequence = in.be64();
  if (out.sequence != sequence)
    return fail(Code::corrupt, "journal record says it is number " + std::to_string(out.sequence));
  PLUMBLINE_CHECK_OK(get_series(in, out.series));
  PLUMBLINE_CHECK_OK(get_events(in, out.events));
  PLUMBLINE_CHECK_OK(get_labels(in, out.labels));
  if (!in.ok() || !in.done()) return fail(Code::corrupt, "journal record ends early or has bytes left over");
  return out;
}

}  // namespace plumbline::storage
