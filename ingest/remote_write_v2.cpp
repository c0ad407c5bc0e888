#include <map>
#include <optional>

#include "ingest/remote_write.hpp"
#include "ingest/remote_write_parts.hpp"

namespace plumbline::ingest {
namespace {

using namespace remote_write;

// The strings of a request; everything else refers to them by place.
class Symbols {
 public:
  void add(std::string_view symbol) { list_.push_back(symbol); }
  std::size_t size() const { return list_.size(); }
  bool starts_empty() const { return list_.empty() || list_.front().empty(); }
  std::optional<std::string_view> find(std::uint32_t ref) const {
    if (ref < list_.size()) return list_[ref];
    return std::nullopt;
  }

 private:
  std::vector<std::string_view> list_;
};

struct Metadata {
  std::int32_t type = 0;
  std::uint32_t help_ref = 0, unit_ref = 0;
};

Metadata read_metadata(pbf_reader reader) {
  Metadata out;
  while (reader.next()) switch (reader.tag_and_type()) {
      case varint_field(1): out.type = reader.get_enum(); break;
      case varint_field(3): out.help_ref = reader.get_uint32(); break;
      case varint_field(4): out.unit_ref = reader.get_uint32(); break;
      default: reader.skip();
    }
  return out;
}

struct ExemplarRefs {
  std::vector<std::uint32_t> label_refs;
  double value = 0;
  std::int64_t time_ms = 0;
};

void read_refs(pbf_reader& reader, std::vector<std::uint32_t>& out) {
  for (const std::uint32_t ref : reader.get_packed_uint32()) out.push_back(ref);
}

ExemplarRefs read_exemplar(pbf_reader reader) {
  ExemplarRefs out;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): read_refs(reader, out.label_refs); break;
      case varint_field(1): out.label_refs.push_back(reader.get_uint32()); break;
      case double_field(2): out.value = reader.get_double(); break;
      case varint_field(3): out.time_ms = reader.get_int64(); break;
      default: reader.skip();
    }
  return out;
}

struct Series {
  std::vector<std::uint32_t> label_refs;
  std::vector<model::Sample> samples;
  SeriesHistograms histograms;
  std::vector<ExemplarRefs> exemplars;
  std::optional<Metadata> metadata;
};

Series read_series(pbf_reader reader, Budget& budget) {
  Series out;
  while (reader.next()) switch (reader.tag_and_type()) {
      case bytes_field(1): read_refs(reader, out.label_refs); break;
      case varint_field(1): out.label_refs.push_back(reader.get_uint32()); break;  // not packed, which protobuf allows
      case bytes_field(2): out.samples.push_back(read_sample(reader.get_message())); break;
      case bytes_field(3): out.histograms.add(view_of(reader), budget); break;
      case bytes_field(4):
        if (out.exemplars.size() > exemplars_per_series_max) {
          reader.skip();
          break;
        }
        out.exemplars.push_back(read_exemplar(reader.get_message()));
        break;
      case bytes_field(5): out.metadata = read_metadata(reader.get_message()); break;
      default: reader.skip();
    }
  return out;
}

// Metadata comes with each series and is kept by family, as 1.0 and exposition have it: x_bucket, x_sum and x_count of a
// classic histogram are all about x.
std::string_view family_of(std::string_view metric, std::string_view type) {
  const bool histogram = type == "histogram" || type == "gaugehistogram";
  if (!histogram && type != "summary") return metric;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count", "_gsum", "_gcount"}) {
    if (suffix == "_bucket" && !histogram) continue;
    if (metric.size() > suffix.size() && metric.ends_with(suffix)) return metric.substr(0, metric.size() - suffix.size());
  }
  return metric;
}

class Decoder {
 public:
  explicit Decoder(std::string_view message) : message_(message) {}

  // The table may stand behind the series that refer to it: protobuf promises no order of fields.
  Status symbols() {
    pbf_reader reader(message_.data(), message_.size());
    while (reader.next()) {
      if (reader.tag_and_type() != bytes_field(4)) {
        reader.skip();
        continue;
      }
      if (!refused_.budget.take(sizeof(std::string_view))) return fail(Code::too_large, over_budget().message);
      symbols_.add(view_of(reader));
    }
    if (symbols_.starts_empty()) return {};
    return fail(Code::invalid_input, "remote write 2.0: symbols[0] must be the empty string");
  }

  void series() {
    pbf_reader reader(message_.data(), message_.size());
    while (reader.next()) {
      if (reader.tag_and_type() != bytes_field(5)) {
        reader.skip();
        continue;
      }
      series(read_series(reader.get_message(), refused_.budget));
      ++index_;
    }
  }

  std::size_t index() const { return index_; }
  Decoded take() {
    for (auto& [metric, meta] : metadata_) batch_.metadata.push_back(std::move(meta));
    return {std::move(batch_), refused_.list.take()};
  }

 private:
  std::string place() const { return "timeseries " + std::to_string(index_); }
  void refuse(const Rejection& why, std::uint64_t count) {
    refused_.list.add(why.reason, place() + ": " + why.message, std::max<std::uint64_t>(1, count));
  }
  Rejection bad_symbol(std::string_view what, std::uint32_t ref) const {
    return {"bad_symbol", std::string(what) + " refers to symbol " + std::to_string(ref) + ", the table has " +
                              std::to_string(symbols_.size()), 1};
  }

  std::expected<std::vector<model::Label>, Rejection> texts(const std::vector<std::uint32_t>& refs) const {
    if (refs.size() % 2 != 0)
      return std::unexpected(Rejection{"bad_symbol", "labels_refs has " + std::to_string(refs.size()) +
                                                         " entries; names and values come in pairs", 1});
    // Checked before anything is copied: a reference of a byte may stand for a symbol of megabytes.
    if (refs.size() / 2 > model::limit::series_labels_max)
      return std::unexpected(Rejection{"too_many_labels", "it has " + std::to_string(refs.size() / 2) +
                                                              " labels, the limit is " +
                                                              std::to_string(model::limit::series_labels_max), 1});
    std::vector<model::Label> out;
    out.reserve(refs.size() / 2);
    for (std::size_t i = 0; i < refs.size(); i += 2) {
      const auto name = symbols_.find(refs[i]), value = symbols_.find(refs[i + 1]);
      if (!name || !value) return std::unexpected(bad_symbol("a label", name ? refs[i + 1] : refs[i]));
      if (name->size() > model::limit::label_name_bytes_max || value->size() > model::limit::label_value_bytes_max)
        return std::unexpected(Rejection{"label_too_long", "the label " + printable(*name) + " is too long: names have up to " +
                                                               std::to_string(model::limit::label_name_bytes_max) +
                                                               " bytes, values " +
                                                               std::to_string(model::limit::label_value_bytes_max), 1});
      out.push_back({std::string(*name), std::string(*value)});
    }
    return out;
  }

  void exemplars(const model::Labels& series, const std::vector<ExemplarRefs>& refs) {
    std::vector<Exemplar> out;
    for (const ExemplarRefs& e : refs) {
      auto labels = texts(e.label_refs);
      if (labels)
        out.push_back({std::move(*labels), e.value, e.time_ms});
      else
        refuse({"exemplar_" + labels.error().reason, "exemplar: " + labels.error().message, 1}, 1);
    }
    add_exemplars(series, std::move(out), place() + " " + series.str(), refused_.budget, batch_, refused_.list);
  }

  void series(Series series) {
    auto labels = texts(series.label_refs);
    auto checked = labels ? series_labels(std::move(*labels)) : std::unexpected(std::move(labels).error());
    if (!checked) return refuse(checked.error(), series.samples.size() + series.histograms.total());
    if (series.metadata) metadata(*series.metadata, checked->metric());
    const std::string name = place() + " " + checked->str();
    if (!series.exemplars.empty()) exemplars(*checked, series.exemplars);
    if (!refused_.budget.take(series.samples.size() * sizeof(model::Sample))) {
      refuse(over_budget(), series.samples.size());
      series.samples.clear();
    }
    refused_.keep(name, std::move(*checked), std::move(series.samples), std::move(series.histograms), batch_);
  }

  void metadata(const Metadata& given, std::string_view metric) {
    if (given.type == 0 && given.help_ref == 0 && given.unit_ref == 0) return;  // nothing is known
    const auto help = symbols_.find(given.help_ref), unit = symbols_.find(given.unit_ref);
    // No symbols at all: reference 0 is the empty string anyway.
    if ((!help && given.help_ref != 0) || (!unit && given.unit_ref != 0))
      return refuse(bad_symbol("its metadata", help || given.help_ref == 0 ? given.unit_ref : given.help_ref), 1);
    const std::string_view type = type_name(given.type);
    const std::string_view family = family_of(metric, type);
    if (metadata_.contains(family)) return;
    storage::MetricMetadata meta{std::string(family), std::string(type), std::string(help.value_or("")),
                                 std::string(unit.value_or(""))};
    if (!valid_utf8_texts(meta)) return refuse({"invalid_utf8", "its metadata is not valid UTF-8", 1}, 1);
    if (!refused_.budget.take(sizeof(meta) + meta.metric.size() + meta.help.size() + meta.unit.size()))
      return refuse(over_budget(), 1);
    metadata_.emplace(family, std::move(meta));
  }

  const std::string_view message_;
  Symbols symbols_;
  storage::WriteBatch batch_;
  std::map<std::string, storage::MetricMetadata, std::less<>> metadata_;
  Refused refused_;
  std::size_t index_ = 0;
};

}  // namespace

Result<Decoded> decode_remote_write_v2(std::string_view message) {
  Decoder decoder(message);
  try {
    PLUMBLINE_CHECK_OK(decoder.symbols());
    decoder.series();
  } catch (const protozero::exception& e) {
    return fail(Code::invalid_input, "remote write: the body is not an io.prometheus.write.v2.Request: " +
                                         std::string(e.what()) + " after " + std::to_string(decoder.index()) + " timeseries");
  }
  return decoder.take();
}

}  // namespace plumbline::ingest
