#include "storage/model/labels.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::model {
namespace {

bool by_name(const Label& a, const Label& b) { return a.name < b.name; }

// Most senders sort, and std::stable_sort takes memory before it looks.
void sort_by_name(std::vector<Label>& labels) {
  if (!std::is_sorted(labels.begin(), labels.end(), by_name)) std::stable_sort(labels.begin(), labels.end(), by_name);
}

bool is_legacy_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
  });
}

}  // namespace

Result<Labels> Labels::make(std::vector<Label> labels) {
  sort_by_name(labels);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Label& l = labels[i];
    if (l.name.empty()) return fail(Code::invalid_input, "label with an empty name");
    if (!valid_utf8(l.name)) return fail(Code::invalid_input, "label name is not valid UTF-8: " + json_quote(l.name));
    if (!valid_utf8(l.value))
      return fail(Code::invalid_input, fmt::format("value of label {} is not valid UTF-8", json_quote(l.name)));
    if (i > 0 && labels[i - 1].name == l.name)
      return fail(Code::invalid_input, fmt::format("duplicate label {}", json_quote(l.name)));
  }
  std::erase_if(labels, [](const Label& l) { return l.value.empty(); });
  Labels out;
  out.labels_ = std::move(labels);
  return out;
}

Labels Labels::trusted(std::vector<Label> labels) {
  sort_by_name(labels);
  // In place, and mostly there is nothing to do: a query makes them for each of its series.
  const auto doubled = [](const Label& a, const Label& b) { return a.name == b.name; };
  for (auto at = std::ranges::adjacent_find(labels, doubled); at != labels.end(); at = std::adjacent_find(at, labels.end(), doubled))
    at = labels.erase(at);
  std::erase_if(labels, [](const Label& l) { return l.value.empty(); });
  Labels out;
  out.labels_ = std::move(labels);
  return out;
}

Labels Labels::of(std::initializer_list<Label> labels) { return trusted(std::vector<Label>(labels)); }

std::string_view Labels::get(std::string_view name) const {
  // Few labels: a scan over sorted names beats a search up to some twenty of them.
  for (const Label& l : labels_)
    if (l.name == name) return l.value;
  return {};
}

Labels Labels::with(std::string_view name, std::string_view value) const {
  Labels out;
  out.labels_.reserve(labels_.size() + 1);
  bool placed = value.empty();
  for (const Label& l : labels_) {
    if (l.name == name) continue;
    if (!placed && l.name > name) {
      out.labels_.push_back({std::string(name), std::string(value)});
      placed = true;
    }
    out.labels_.push_back(l);
  }
  if (!placed) out.labels_.push_back({std::string(name), std::string(value)});
  return out;
}

Labels Labels::without(std::string_view name) && {
  std::erase_if(labels_, [name](const Label& l) { return l.name == name; });
  return std::move(*this);
}

std::string Labels::str() const {
  std::string out;
  const std::string_view metric_name = metric();
  const bool plain = metric_name.empty() || is_legacy_name(metric_name);
  if (plain) out += metric_name;
  if (plain && !metric_name.empty() && labels_.size() == 1) return out;
  out += '{';
  bool first = true;
  if (!plain) {
    out += json_quote(metric_name);
    first = false;
  }
  for (const Label& l : labels_) {
    if (l.name == metric_name_label) continue;
    if (!first) out += ", ";
    first = false;
    out += is_legacy_name(l.name) ? l.name : json_quote(l.name);
    out += '=';
    out += json_quote(l.value);
  }
  out += '}';
  return out;
}

std::string Labels::encode() const {
  ByteWriter w;
  w.varint(labels_.size());
  for (const Label& l : labels_) {
    w.sized(l.name);
    w.sized(l.value);
  }
  return w.take();
}

std::uint64_t Labels::fingerprint() const { return hash64(encode()); }

Result<Labels> Labels::decode(std::string_view bytes) {
  ByteReader r(bytes);
  const std::uint64_t n = r.varint();
  if (n > bytes.size()) return fail(Code::corrupt, "label set claims more labels than bytes");
  Labels out;
  for (std::uint64_t i = 0; i < n && r.ok(); ++i) {
    const std::string_view name = r.sized();
    const std::string_view value = r.sized();
    out.labels_.push_back({std::string(name), std::string(value)});
  }
  if (!r.ok() || !r.done()) return fail(Code::corrupt, "label set is cut short or has trailing bytes");
  return out;
}

}  // namespace plumbline::model
