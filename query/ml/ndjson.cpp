#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "daemon/base/text.hpp"
#include "query/ml/upload.hpp"

namespace plumbline::query::ml {
namespace {

namespace json = boost::json;
constexpr std::size_t depth_max = 16;  // records are two deep

// True when the value counts as present or missing; false when it has no place in a reference (arrays).
Result<bool> add(FeatureBuilder& to, const json::value& value, const std::string& where) {
  switch (value.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: PLUMBLINE_CHECK_OK(to.add(value.get_bool() ? std::string_view("true") : "false")); return true;
    case json::kind::int64: PLUMBLINE_CHECK_OK(to.add(static_cast<double>(value.get_int64()))); return true;
    case json::kind::uint64: PLUMBLINE_CHECK_OK(to.add(static_cast<double>(value.get_uint64()))); return true;
    case json::kind::double_: PLUMBLINE_CHECK_OK(to.add(value.get_double())); return true;
    case json::kind::string: {
      const std::string_view text(value.get_string().data(), value.get_string().size());
      if (text.empty()) return true;
      PLUMBLINE_CHECK_OK(to.add(text));
      return true;
    }
    case json::kind::array: return false;
    case json::kind::object: break;
  }
  return fail(Code::invalid_input, where + ": an object where a number, text, true, false or null belongs");
}

}  // namespace

Result<Upload> parse_ndjson(std::string_view body, const UploadOptions& options) {
  if (body.size() > upload_bytes_max)
    return fail(Code::too_large, "the upload has " + std::to_string(body.size()) + " bytes, the limit (upload_bytes_max) is " +
                                     std::to_string(upload_bytes_max));
  std::map<std::string, FeatureBuilder, std::less<>> builders;
  Upload upload;
  std::size_t line_number = 0, cells = 0;
  json::parse_options parse_options;
  parse_options.max_depth = depth_max;
  while (!body.empty()) {
    ++line_number;
    const std::size_t end = std::min(body.find('\n'), body.size());
    const std::string_view line = trim(body.substr(0, end));
    body.remove_prefix(std::min(end + 1, body.size()));
    if (line.empty()) continue;
    const std::string at = "line " + std::to_string(line_number);
    boost::system::error_code error;
    const json::value parsed = json::parse(json::string_view(line.data(), line.size()), error, {}, parse_options);
    if (error) return fail(Code::invalid_input, at + ": " + error.message());
    if (!parsed.is_object()) return fail(Code::invalid_input, at + ": not a JSON object");
    const json::object* row = &parsed.get_object();
    const json::value* nested = row->if_contains("features");
    if (nested != nullptr) {
      if (!nested->is_object()) return fail(Code::invalid_input, at + ": 'features' is not an object");
      row = &nested->get_object();
    }
    ++upload.rows;
    cells += row->size();
    if (cells > upload_cells_max)
      return fail(Code::too_large, at + ": more than " + std::to_string(upload_cells_max) + " values (upload_cells_max)");
    for (const auto& member : *row) {
      const std::string_view key(member.key().data(), member.key().size());
      if (nested == nullptr && !options.is_feature(key)) continue;
      if (member.value().is_array()) continue;
      if (!builders.contains(key) && builders.size() >= features_max)
        return fail(Code::too_large, at + ": more than " + std::to_string(features_max) + " features (features_max)");
      const std::string where = at + ", key '" + std::string(key) + "'";
      auto added = add(builders[std::string(key)], member.value(), where);
      if (!added) return fail(added.error().message.starts_with("line") ? added.error() : added.error().in(where));
    }
  }
  if (upload.rows == 0) return fail(Code::invalid_input, "the NDJSON body has no rows");
  if (builders.empty()) return fail(Code::invalid_input, "no key of the NDJSON rows is a feature");
  for (auto& [name, builder] : builders)
    upload.features.push_back(builder.finish(name, upload.rows, options.is_categorical(name)));
  return upload;
}

}  // namespace plumbline::query::ml
