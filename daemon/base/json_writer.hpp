// Appends JSON to a string as it goes: no tree, one buffer. Commas are placed by the writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace plumbline {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view text);
  JsonWriter& number(double v);  // full precision; NaN and infinities become null
  JsonWriter& integer(std::int64_t v);
  JsonWriter& boolean(bool v);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // one finished value
  void expect(std::size_t bytes) { out_.reserve(out_.size() + bytes); }  // that will follow
  // key(name) and a value in one call.
  JsonWriter& field(std::string_view name, std::string_view text) { return key(name).string(text); }
  JsonWriter& field(std::string_view name, const char* text) { return key(name).string(text); }
  JsonWriter& field(std::string_view name, double v) { return key(name).number(v); }
  JsonWriter& field(std::string_view name, std::int64_t v) { return key(name).integer(v); }
  JsonWriter& field(std::string_view name, int v) { return key(name).integer(v); }
  JsonWriter& field(std::string_view name, std::uint64_t v) { return key(name).integer(static_cast<std::int64_t>(v)); }
  JsonWriter& field(std::string_view name, bool v) { return key(name).boolean(v); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void comma();
  std::string& out_;
  bool need_comma_ = false;
};

}  // namespace plumbline
