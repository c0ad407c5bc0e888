#include "ingest/text/refusals.hpp"

#include <algorithm>
#include <map>

namespace plumbline::ingest {

void Refusals::add(std::size_t place, std::size_t column, std::string_view reason, std::string message) {
  ++count_;
  const auto same = std::find_if(by_reason_.begin(), by_reason_.end(),
                                 [&](const Rejection& r) { return r.reason == reason; });
  if (same != by_reason_.end())
    ++same->count;
  else
    by_reason_.push_back({std::string(reason), message, 1});
  if (named_.size() < refusals_named_max)
    named_.push_back({place, column, 1, std::string(reason), std::move(message)});
}

void Refusals::add_from_sink(const Receipt& receipt, const std::vector<Rejection>& told) {
  std::map<std::string_view, std::uint64_t> known;
  for (const Rejection& r : told) known[r.reason] += r.count;
  for (const Rejection& r : receipt.rejections) {
    std::uint64_t& left = known[r.reason];
    const std::uint64_t old = std::min(left, r.count), fresh = r.count - old;
    left -= old;
    if (fresh == 0) continue;
    count_ += fresh;
    if (named_.size() < refusals_named_max) named_.push_back({fresh == 1 ? static_cast<std::size_t>(r.row) : 0, 0, fresh, r.reason, r.message});
  }
}

void Refusals::write(JsonWriter& json) const {
  json.key("errors").begin_array();
  for (const Entry& e : named_) {
    json.begin_object();
    if (e.place != 0) json.field(place_name_, static_cast<std::uint64_t>(e.place));
    if (e.column != 0) json.field("column", static_cast<std::uint64_t>(e.column));
    json.field("reason", e.reason).field("message", e.message);
    if (e.count > 1) json.field("count", e.count);
    json.end_object();
  }
  json.end_array();
}

std::string Refusals::summary() const {
  constexpr std::size_t in_one_line = 5;
  std::string out = std::to_string(count_) + " refused: ";
  for (std::size_t i = 0; i < std::min(named_.size(), in_one_line); ++i) {
    if (i != 0) out += "; ";
    out += named_[i].message;
  }
  if (named_.size() > in_one_line || count_ > named_.size()) out += "; ...";
  return out;
}

}  // namespace plumbline::ingest
