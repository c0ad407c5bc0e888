// OTLP/JSON into the same message classes as protobuf, by walking both trees at once.
//
// Where OTLP differs from protobuf's JSON: ids are hex, enums are integers (names are taken too, some clients send them),
// unknown keys are ignored, snake_case keys are unknown. An id that is not hex becomes one byte, which no id is: the row is
// then refused as invalid_id and its batch lives.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "daemon/base/text.hpp"
#include "ingest/limits.hpp"
#include "ingest/otlp.hpp"

namespace plumbline::ingest {
namespace {

namespace json = boost::json;
namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

// The way from the root to here, written out only for an error.
struct Path {
  const Path* up = nullptr;
  std::string_view key;
  std::ptrdiff_t index = -1;
  std::string text() const {
    std::string out = up != nullptr ? up->text() : std::string();
    if (index >= 0) return out + "[" + std::to_string(index) + "]";
    if (!out.empty() && !key.empty()) out += ".";
    return out + std::string(key);
  }
};

std::string_view kind_name(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a bool";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "a value";
}

std::string_view text_in(const json::value& v) { return {v.get_string().data(), v.get_string().size()}; }

std::unexpected<Error> wrong(const Path& path, std::string_view wanted, const json::value& got) {
  std::string shown(kind_name(got));
  if (got.is_string()) shown = printable(text_in(got));
  return fail(Code::invalid_input, path.text() + ": wants " + std::string(wanted) + ", got " + shown);
}

// Integers come as numbers, as decimal text, or (from languages with one number type) as 1e9.
template <class Int>
std::optional<Int> integer_of(const json::value& v) {
  if (v.is_int64() || v.is_uint64()) {
    if (v.is_int64() && std::in_range<Int>(v.get_int64())) return static_cast<Int>(v.get_int64());
    if (v.is_uint64() && std::in_range<Int>(v.get_uint64())) return static_cast<Int>(v.get_uint64());
    return std::nullopt;
  }
  if (v.is_double()) {
    const double d = v.get_double();
    // 2^63 and 2^64 are exact doubles, so "below" is the right comparison for both.
    const double top = std::ldexp(1.0, std::numeric_limits<Int>::digits);
    if (std::trunc(d) == d && d < top && d >= (std::is_signed_v<Int> ? -top : 0.0)) return static_cast<Int>(d);
    return std::nullopt;
  }
  if (v.is_string()) {
    const std::string_view text = text_in(v);
    Int out{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return out;
  }
  return std::nullopt;
}

std::optional<double> double_of(const json::value& v) {
  if (v.is_double()) return v.get_double();
  if (v.is_int64()) return static_cast<double>(v.get_int64());
  if (v.is_uint64()) return static_cast<double>(v.get_uint64());
  if (v.is_string()) {
    const std::string_view text = text_in(v);
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
    return parse_number(text);
  }
  return std::nullopt;
}

bool is_id(const pb::FieldDescriptor& field) {
  return field.name() == "trace_id" || field.name() == "span_id" || field.name() == "parent_span_id";
}

class Walker {
 public:
  Status object(const json::value& v, pb::Message& into, const Path& path) {
    if (!v.is_object()) return wrong(path, "an object", v);
    const pb::Descriptor& descriptor = *into.GetDescriptor();
    for (const auto& [key, value] : v.get_object()) {
      const std::string_view name(key.data(), key.size());
      const pb::FieldDescriptor* field = descriptor.FindFieldByCamelcaseName(std::string(name));
      if (field == nullptr || value.is_null()) continue;
      const Path here{&path, name, -1};
      if (!field->is_repeated()) {
        PLUMBLINE_CHECK_OK(single(value, into, *field, here));
        continue;
      }
      if (!value.is_array()) return wrong(here, "an array", value);
      std::ptrdiff_t index = 0;
      for (const json::value& element : value.get_array())
        PLUMBLINE_CHECK_OK(single(element, into, *field, Path{&here, {}, index++}));
    }
    return {};
  }

 private:
  // Sets a field, or adds to it when it is repeated.
  Status single(const json::value& v, pb::Message& into, const pb::FieldDescriptor& field, const Path& path) {
    const pb::Reflection& r = *into.GetReflection();
    const bool many = field.is_repeated();
    switch (field.cpp_type()) {
      case Type::CPPTYPE_MESSAGE:
        return object(v, many ? *r.AddMessage(&into, &field) : *r.MutableMessage(&into, &field), path);
      case Type::CPPTYPE_STRING: return text(v, into, field, path);
      case Type::CPPTYPE_ENUM: return enumeration(v, into, field, path);
      case Type::CPPTYPE_BOOL: {
        if (!v.is_bool()) return wrong(path, "a bool", v);
        many ? r.AddBool(&into, &field, v.get_bool()) : r.SetBool(&into, &field, v.get_bool());
        return {};
      }
      case Type::CPPTYPE_DOUBLE:
      case Type::CPPTYPE_FLOAT: {
        const std::optional<double> d = double_of(v);
        if (!d) return wrong(path, "a number", v);
        many ? r.AddDouble(&into, &field, *d) : r.SetDouble(&into, &field, *d);
        return {};
      }
      case Type::CPPTYPE_INT32:
        return integer<std::int32_t>(v, path, [&](auto i) { many ? r.AddInt32(&into, &field, i) : r.SetInt32(&into, &field, i); });
      case Type::CPPTYPE_UINT32:
        return integer<std::uint32_t>(v, path, [&](auto i) { many ? r.AddUInt32(&into, &field, i) : r.SetUInt32(&into, &field, i); });
      case Type::CPPTYPE_INT64:
        return integer<std::int64_t>(v, path, [&](auto i) { many ? r.AddInt64(&into, &field, i) : r.SetInt64(&into, &field, i); });
      case Type::CPPTYPE_UINT64:
        return integer<std::uint64_t>(v, path, [&](auto i) { many ? r.AddUInt64(&into, &field, i) : r.SetUInt64(&into, &field, i); });
    }
    return {};
  }

  template <class Int, class Set>
  Status integer(const json::value& v, const Path& path, Set set) {
    const std::optional<Int> i = integer_of<Int>(v);
    if (!i)
      return wrong(path, "an integer from " + std::to_string(std::numeric_limits<Int>::min()) + " to " +
                             std::to_string(std::numeric_limits<Int>::max()), v);
    set(*i);
    return {};
  }

  Status enumeration(const json::value& v, pb::Message& into, const pb::FieldDescriptor& field, const Path& path) {
    const pb::Reflection& r = *into.GetReflection();
    if (v.is_string()) {
      if (const auto* known = field.enum_type()->FindValueByName(std::string(text_in(v)))) {
        r.SetEnum(&into, &field, known);
        return {};
      }
    }
    const std::optional<std::int32_t> number = integer_of<std::int32_t>(v);
    if (!number) return wrong(path, "an integer", v);
    // A number of a newer OTLP stays unknown, as it does in protobuf.
    r.SetEnumValue(&into, &field, *number);
    return {};
  }

  Status text(const json::value& v, pb::Message& into, const pb::FieldDescriptor& field, const Path& path) {
    const pb::Reflection& r = *into.GetReflection();
    if (!v.is_string()) return wrong(path, "a string", v);
    std::string out(text_in(v));
    if (field.type() == pb::FieldDescriptor::TYPE_BYTES) {
      if (is_id(field)) {
        out = from_hex(out).value_or(std::string(1, '\xff'));
      } else {
        std::optional<std::string> bytes = from_base64(out);
        if (!bytes) return wrong(path, "base64", v);
        out = std::move(*bytes);
      }
    }
    field.is_repeated() ? r.AddString(&into, &field, std::move(out)) : r.SetString(&into, &field, std::move(out));
    return {};
  }
};

}  // namespace

Status decode_otlp_json(std::string_view text, pb::Message& into) {
  if (text.size() > limit::json_bytes_max)
    return fail(Code::too_large, "JSON of " + std::to_string(text.size()) + " bytes, the limit is " +
                                     std::to_string(limit::json_bytes_max) + "; send protobuf or smaller batches");
  json::parse_options options;
  options.max_depth = limit::nesting_max;
  options.allow_invalid_utf8 = true;  // a bad string costs its row, as in protobuf
  json::error_code error;
  try {
    json::monotonic_resource memory(std::max<std::size_t>(4096, text.size()));
    std::size_t read = 0;
    json::stream_parser parser(&memory, options);
    read = parser.write_some(text.data(), text.size(), error);
    if (!error) parser.finish(error);
    if (error)
      return fail(Code::invalid_input, "the body is not JSON: " + error.message() + " near byte " + std::to_string(read));
    const json::value root = parser.release();
    const std::string_view rest = trim(text.substr(read));
    if (!rest.empty())
      return fail(Code::invalid_input, "the body is not JSON: extra data after byte " + std::to_string(read));
    return Walker().object(root, into, Path{nullptr, {}, -1});
  } catch (const std::bad_alloc&) {
    return fail(Code::too_large, "the JSON body needs more memory than there is");
  }
}

}  // namespace plumbline::ingest
