#include "storage/model/wire_labels.hpp"

#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::model {

namespace {

constexpr std::size_t quoted_bytes_max = 80;
constexpr std::uint64_t tag_label = 0x0a, tag_name = 0x0a, tag_value = 0x12;

std::unexpected<LabelTrouble> refuse(std::string reason, std::string message) {
  return std::unexpected(LabelTrouble{std::move(reason), std::move(message)});
}
std::unexpected<LabelTrouble> damaged() { return refuse("damaged", "the labels are not protobuf"); }

std::size_t varint_size(std::size_t v) {
  std::size_t n = 1;
  for (; v >= 0x80; v >>= 7) ++n;
  return n;
}

void put_varint(std::string& out, std::size_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}

// False: the field's bytes end early or its wire type is none.
bool skip(ByteReader& in, std::uint64_t tag) {
  switch (tag & 7) {
    case 0: in.varint(); break;
    case 1: in.raw(8); break;
    case 2: in.sized(); break;
    case 5: in.raw(4); break;
    default: return false;
  }
  return in.ok();
}

// How a refused series is named: by its metric where it has one.
std::string name_of(const std::vector<Label>& labels) {
  for (const Label& l : labels)
    if (l.name == metric_name_label && !l.value.empty()) return "series " + printable(l.value);
  return labels.empty() ? "series {}"
                        : "series {" + printable(labels.front().name) + "=" + printable(labels.front().value) + ", ...}";
}

}  // namespace

std::string printable(std::string_view text) {
  if (text.size() <= quoted_bytes_max) return json_quote(text);
  return json_quote(text.substr(0, quoted_bytes_max)) + "...";
}

void append_wire_form(const Labels& labels, std::string& out) {
  for (const Label& l : labels) {
    out.push_back(static_cast<char>(tag_label));
    put_varint(out, 2 + varint_size(l.name.size()) + l.name.size() + varint_size(l.value.size()) + l.value.size());
    out.push_back(static_cast<char>(tag_name));
    put_varint(out, l.name.size());
    out += l.name;
    out.push_back(static_cast<char>(tag_value));
    put_varint(out, l.value.size());
    out += l.value;
  }
}

void wire_form(const Labels& labels, std::string& out) {
  out.clear();
  append_wire_form(labels, out);
}

std::string wire_form(const Labels& labels) {
  std::string out;
  append_wire_form(labels, out);
  return out;
}

std::expected<std::vector<Label>, LabelTrouble> read_wire_labels(std::string_view wire) {
  std::vector<Label> out;
  ByteReader in(wire);
  while (!in.done()) {
    const std::uint64_t tag = in.varint();
    if (tag != tag_label) {
      if (!skip(in, tag)) return damaged();
      continue;
    }
    ByteReader field(in.sized());
    if (!in.ok()) return damaged();
    if (out.size() == limit::series_labels_max)
      return refuse("too_many_labels", name_of(out) + " has more than " + std::to_string(limit::series_labels_max) + " labels, the limit");
    Label& label = out.emplace_back();
    while (!field.done()) {
      const std::uint64_t inner = field.varint();
      if (inner == tag_name)
        label.name = field.sized();
      else if (inner == tag_value)
        label.value = field.sized();
      else if (!skip(field, inner))
        return damaged();
    }
    if (!field.ok()) return damaged();
  }
  if (!in.ok()) return damaged();
  return out;
}

std::expected<Labels, LabelTrouble> checked_stream_labels(std::vector<Label> labels) {
  if (labels.size() > limit::series_labels_max)
    return refuse("too_many_labels", name_of(labels) + " has " + std::to_string(labels.size()) + " labels, the limit is " +
                                         std::to_string(limit::series_labels_max));
  for (const Label& l : labels) {
    if (l.name.empty()) return refuse("empty_label_name", name_of(labels) + " has a label without a name");
    if (!valid_utf8(l.name))
      return refuse("invalid_utf8", name_of(labels) + ": label name " + printable(l.name) + " is not valid UTF-8");
    if (!valid_utf8(l.value))
      return refuse("invalid_utf8", name_of(labels) + ": the value of label " + printable(l.name) + " is not valid UTF-8");
    if (l.name.size() > limit::label_name_bytes_max)
      return refuse("label_too_long", name_of(labels) + ": label name " + printable(l.name) + " has " +
                                          std::to_string(l.name.size()) + " bytes, the limit is " +
                                          std::to_string(limit::label_name_bytes_max));
    if (l.value.size() > limit::label_value_bytes_max)
      return refuse("label_too_long", name_of(labels) + ": the value of label " + printable(l.name) + " has " +
                                          std::to_string(l.value.size()) + " bytes, the limit is " +
                                          std::to_string(limit::label_value_bytes_max));
  }
  std::sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice =
      std::adjacent_find(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != labels.end())
    return refuse("duplicate_label", name_of(labels) + " has label " + printable(twice->name) + " more than once");
  std::erase_if(labels, [](const Label& l) { return l.value.empty(); });
  return Labels::trusted(std::move(labels));
}

std::expected<Labels, LabelTrouble> checked_series_labels(std::vector<Label> labels) {
  const bool named = std::any_of(labels.begin(), labels.end(),
                                 [](const Label& l) { return l.name == metric_name_label && !l.value.empty(); });
  if (!named) return refuse("missing_name", name_of(labels) + " has no __name__");
  return checked_stream_labels(std::move(labels));
}

std::expected<Labels, LabelTrouble> parse_wire_labels(std::string_view wire) {
  auto labels = read_wire_labels(wire);
  if (!labels) return std::unexpected(std::move(labels).error());
  return checked_series_labels(std::move(*labels));
}

std::string wire_name(std::string_view wire) {
  const auto labels = parse_wire_labels(wire);
  return labels ? labels->str() : "a series with bad labels (" + labels.error().message + ")";
}

}  // namespace plumbline::model
