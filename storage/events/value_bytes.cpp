#include "storage/events/value_bytes.hpp"

namespace plumbline::storage::events {
namespace {

// On disk in late labels: numbers are for ever.
enum Tag : std::uint8_t { null = 0, yes = 1, no = 2, integer = 3, number = 4, text = 5, list = 6 };

}  // namespace

void put_value(ByteWriter& out, const model::Value& value) {
  if (const auto* b = std::get_if<bool>(&value)) {
    out.u8(*b ? Tag::yes : Tag::no);
  } else if (const auto* i = std::get_if<std::int64_t>(&value)) {
    out.u8(Tag::integer);
    out.zigzag(*i);
  } else if (const auto* d = std::get_if<double>(&value)) {
    out.u8(Tag::number);
    out.f64(*d);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    out.u8(Tag::text);
    out.sized(*s);
  } else if (const auto* l = std::get_if<model::List>(&value)) {
    out.u8(Tag::list);
    out.varint(l->size());
    for (const double item : *l) out.f64(item);
  } else {
    out.u8(Tag::null);
  }
}

bool get_value(ByteReader& in, model::Value& value) {
  switch (in.u8()) {
    case Tag::null: value = std::monostate{}; break;
    case Tag::yes: value = true; break;
    case Tag::no: value = false; break;
    case Tag::integer: value = in.zigzag(); break;
    case Tag::number: value = in.f64(); break;
    case Tag::text: value.emplace<std::string>(in.sized()); break;
    case Tag::list: {
      const std::uint64_t size = in.varint();
      if (!in.ok() || size > in.left() / 8) return false;
      auto& items = value.emplace<model::List>();
      items.reserve(size);
      for (std::uint64_t i = 0; i < size; ++i) items.push_back(in.f64());
      break;
    }
    default: return false;
  }
  return in.ok();
}

bool skip_value(ByteReader& in) {
  switch (in.u8()) {
    case Tag::null:
    case Tag::yes:
    case Tag::no: break;
    case Tag::integer: in.varint(); break;
    case Tag::number: in.raw(8); break;
    case Tag::text: in.sized(); break;
    case Tag::list: {
      const std::uint64_t size = in.varint();
      if (!in.ok() || size > in.left() / 8) return false;
      in.raw(size * 8);
      break;
    }
    default: return false;
  }
  return in.ok();
}

bool match_value(ByteReader& in, std::string_view wanted) {
  ByteReader ahead = in;
  if (!skip_value(in)) return false;
  return ahead.u8() == Tag::text && ahead.sized() == wanted;
}

}  // namespace plumbline::storage::events
