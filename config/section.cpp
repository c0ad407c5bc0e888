#include "config/section.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "config/values.hpp"
#include "daemon/base/check.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

const Node& empty_mapping() {
  static const Node node;
  return node;
}

std::string shown(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return "empty";
    case Node::Kind::sequence: return "a list";
    case Node::Kind::mapping: return "a mapping";
    case Node::Kind::scalar: break;
  }
  // A secret or a page of text does not belong into an error message.
  constexpr std::size_t shown_max = 60;
  std::string text = node.text.substr(0, shown_max);
  while (!valid_utf8(text)) text.pop_back();
  if (text.size() < node.text.size()) text += "...";
  return json_quote(text);
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string listed(const std::vector<std::string_view>& names) {
  std::string out;
  for (const std::string_view name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

std::string bounds_text(const Option& option, auto format) {
  if (option.max <= 0) return "";
  return " from " + format(option.min) + " to " + format(option.max);
}

}  // namespace

std::string Place::str() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

void Reading::report(const Place& place, std::string message) {
  if (!full()) problems.push_back({place, std::move(message)});
}

std::string Reading::beside(const std::string& path) const {
  if (path.empty() || path.front() == '/' || folder.empty()) return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

Section::Section(Reading& reading, const Node& node, std::string prefix, std::vector<std::string_view> only)
    : reading_(reading),
      node_(node),
      prefix_(std::move(prefix)),
      names_(only.empty() ? names_below(prefix_) : std::move(only)) {
  if (node_.kind == Node::Kind::mapping) {
    refuse_unknown();
  } else if (node_.kind != Node::Kind::null) {
    const std::string name = prefix_.empty() ? "the file" : "'" + prefix_ + "'";
    reading_.report(node_.place, name + " is " + shown(node_) + "; write a mapping of " + listed(names_));
  }
}

Section::~Section() {
  if (reading_.full()) return;
  for (const std::string_view name : names_)
    PLUMBLINE_CHECK(asked_.contains(name), "every option of the table is read by the loader");
}

void Section::refuse_unknown() {
  const std::vector<std::string_view>& known = names_;
  for (const auto& [key, value] : node_.entries) {
    if (std::ranges::find(known, key.text) != known.end()) continue;
    std::string message = "unknown option '" + key.text + "'";
    if (const std::string_view hint = unsupported_hint(key.text); !hint.empty()) {
      message += ": " + std::string(hint);
    } else if (const std::string near = closest(key.text, known); !near.empty()) {
      message += "; did you mean '" + near + "'?";
    } else {
      std::vector<std::string_view> elsewhere;
      for (const Option& option : options())
        if (option.path == key.text || option.path.ends_with("." + key.text)) elsewhere.push_back(option.path);
      if (elsewhere.size() == 1) message += "; it belongs to '" + std::string(elsewhere[0]) + "'";
      else message += "; here may stand " + listed(known);
    }
    reading_.report(key.place, std::move(message));
  }
}

std::string Section::path_of(std::string_view name) const {
  return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
}

bool Section::has(std::string_view name) const {
  const Node* node = node_.find(name);
  return node != nullptr && node->kind != Node::Kind::null;
}

Place Section::place_of(std::string_view name) const {
  const Node* node = node_.find(name);
  return node != nullptr ? node->place : node_.place;
}

const Option& Section::option_of(std::string_view name) {
  const Option* option = find_option(path_of(name));
  PLUMBLINE_CHECK(option != nullptr, "every option that is read stands in the table");
  asked_.emplace(name);
  return *option;
}

const Node* Section::fallback(const Option& option) {
  if (option.fallback.empty() || option.fallback == optional) return nullptr;
  if (option.fallback.starts_with('=')) {
    const auto found = reading_.resolved.find(option.fallback.substr(1));
    PLUMBLINE_CHECK(found != reading_.resolved.end(), "an option that others take their default from is read first");
    return &found->second;
  }
  auto node = std::make_unique<Node>();
  if (option.fallback.starts_with('[')) {
    Outcome<Node> parsed = parse_yaml(option.fallback, "default");
    PLUMBLINE_CHECK(parsed.has_value(), "the table's defaults are YAML");
    *node = std::move(*parsed);
  } else {
    node->kind = Node::Kind::scalar;
    node->text = option.fallback;
    node->place = node_.place;
  }
  fallbacks_.push_back(std::move(node));
  return fallbacks_.back().get();
}

Section::Value Section::value_of(std::string_view name) {
  const Option& option = option_of(name);
  const Node* node = node_.find(name);
  const bool missing = node == nullptr || node->kind == Node::Kind::null;
  if (missing && option.fallback == required) {
    if (node_.kind == Node::Kind::mapping || node_.kind == Node::Kind::null) {
      const Place& at = node == nullptr ? node_.place : node->place;
      reading_.report(at, "'" + std::string(name) + "' is missing" +
                              (option.help.empty() ? "" : " (" + std::string(option.help.substr(0, option.help.find_last_not_of('.') + 1)) + ")"));
    }
    return {&option, nullptr};
  }
  if (missing) node = fallback(option);
  if (node != nullptr && prefix_.find('[') == std::string::npos) reading_.resolved[std::string(option.path)] = *node;
  return {&option, node};
}

void Section::wrong(const Value& value, std::string_view name, std::string what_is_right) {
  reading_.report(value.node->place,
                  "'" + std::string(name) + "' is " + shown(*value.node) + "; write " + std::move(what_is_right));
  // Who takes a default from here must not repeat the error.
  const auto resolved = reading_.resolved.find(value.option->path);
  if (resolved == reading_.resolved.end() || resolved->second.place != value.node->place) return;
  if (const Node* usual = fallback(*value.option)) resolved->second = *usual;
}

std::optional<std::string> Section::scalar(const Value& value, std::string_view name, std::string_view what_is_right) {
  if (value.node == nullptr) return std::nullopt;
  if (value.node->kind != Node::Kind::scalar) {
    wrong(value, name, std::string(what_is_right));
    return std::nullopt;
  }
  return value.node->text;
}

std::optional<std::string> Section::checked_text(const Value& value, std::string_view name) {
  const Option& option = *value.option;
  const std::optional<std::string> text = scalar(value, name, "text");
  if (!text) return std::nullopt;
  switch (option.type) {
    case Type::choice: {
      const std::vector<std::string_view> choices = words(option.choices);
      if (std::ranges::find(choices, *text) != choices.end()) return text;
      const std::string near = closest(*text, choices);
      wrong(value, name, "one of " + listed(choices) + (near.empty() ? "" : "; did you mean '" + near + "'?"));
      return std::nullopt;
    }
    case Type::address:
      if (text->empty() || valid_address(*text)) return text;
      wrong(value, name, "an address such as 127.0.0.1:9470");
      return std::nullopt;
    case Type::url:
      if ((text->empty() && option.fallback != required) || valid_url(*text)) return text;
      wrong(value, name, "a URL such as http://host:8080/path");
      return std::nullopt;
    case Type::text:
    case Type::expression:
      if (text->empty() && option.fallback == required) {
        wrong(value, name, "something");
        return std::nullopt;
      }
      return text;
    default: PLUMBLINE_CHECK(false, "a text is read from an option of a text type"); return std::nullopt;
  }
}

void Section::read(std::string_view name, std::string& out) {
  const Value value = value_of(name);
  if (std::optional<std::string> text = checked_text(value, name)) out = std::move(*text);
}

void Section::read(std::string_view name, std::string& out, Place& text_place) {
  const Value value = value_of(name);
  PLUMBLINE_CHECK(value.option->type == Type::expression, "a text with a place is read from an expression option");
  text_place = value.node != nullptr ? value.node->text_place : node_.place;
  if (std::optional<std::string> text = checked_text(value, name)) out = std::move(*text);
}

std::optional<std::int64_t> Section::duration(std::string_view name) {
  const Value value = value_of(name);
  PLUMBLINE_CHECK(value.option->type == Type::duration, "a duration is read from a duration option");
  const std::optional<std::string> text = scalar(value, name, "a duration such as 5m");
  if (!text) return std::nullopt;
  const Result<std::int64_t> ms = parse_duration_ms(*text);
  if (!ms) {
    wrong(value, name, "a duration such as 5m");
    return std::nullopt;
  }
  const Option& option = *value.option;
  if (static_cast<double>(*ms) < option.min || (option.max > 0 && static_cast<double>(*ms) > option.max)) {
    const auto format = [](double v) { return v == 0 ? "0" : format_duration_ms(static_cast<std::int64_t>(v)); };
    wrong(value, name, "a duration" + bounds_text(option, format));
    return std::nullopt;
  }
  return *ms;
}

void Section::read(std::string_view name, Millis& out) {
  if (const std::optional<std::int64_t> ms = duration(name)) out = Millis(*ms);
}
void Section::read(std::string_view name, std::optional<Millis>& out) {
  if (const std::optional<std::int64_t> ms = duration(name)) out = Millis(*ms);
}

void Section::read(std::string_view name, std::uint64_t& out) {
  const Value value = value_of(name);
  const Option& option = *value.option;
  const bool is_size = option.type == Type::size;
  PLUMBLINE_CHECK(is_size || option.type == Type::count, "a whole number is read from a count or size option");
  const auto whole = [](double v) { return std::to_string(static_cast<std::uint64_t>(v)); };
  const std::string right = is_size ? "a size such as 64MiB," + bounds_text(option, size_text)
                                    : "a whole number" + bounds_text(option, whole);
  const std::optional<std::string> text = scalar(value, name, right);
  if (!text) return;
  std::optional<std::uint64_t> number;
  if (is_size) {
    number = parse_size(*text);
  } else if (const std::optional<std::int64_t> n = parse_int(*text); n && *n >= 0) {
    number = static_cast<std::uint64_t>(*n);
  }
  if (!number || static_cast<double>(*number) < option.min ||
      (option.max > 0 && static_cast<double>(*number) > option.max)) {
    wrong(value, name, right);
    return;
  }
  out = *number;
}

void Section::read(std::string_view name, int& out) {
  std::uint64_t wide = static_cast<std::uint64_t>(out);
  read(name, wide);
  out = static_cast<int>(wide);
}

void Section::read(std::string_view name, double& out) {
  const Value value = value_of(name);
  const Option& option = *value.option;
  PLUMBLINE_CHECK(option.type == Type::number, "a number is read from a number option");
  const std::string right = "a number" + bounds_text(option, [](double v) { return format_number(v); });
  const std::optional<std::string> text = scalar(value, name, right);
  if (!text) return;
  const std::optional<double> number = parse_number(*text);
  if (!number || !std::isfinite(*number) || *number < option.min || (option.max > 0 && *number > option.max)) {
    wrong(value, name, right);
    return;
  }
  out = *number;
}

void Section::read(std::string_view name, bool& out) {
  const Value value = value_of(name);
  PLUMBLINE_CHECK(value.option->type == Type::flag, "a flag is read from a flag option");
  const std::optional<std::string> text = scalar(value, name, "true or false");
  if (!text) return;
  if ((*text != "true" && *text != "false") || value.node->quoted) {
    wrong(value, name, "true or false");
    return;
  }
  out = *text == "true";
}

void Section::read(std::string_view name, std::vector<std::string>& out) {
  const Value value = value_of(name);
  const Type type = value.option->type;
  PLUMBLINE_CHECK(type == Type::texts || type == Type::addresses, "a list of text is read from such an option");
  if (value.node == nullptr) return;
  if (value.node->kind != Node::Kind::sequence) {
    wrong(value, name, "a list such as [a, b]");
    return;
  }
  std::vector<std::string> texts;
  for (const Node& item : value.node->items) {
    const Value each{value.option, &item};
    if (item.kind != Node::Kind::scalar) {
      wrong(each, "a value of " + std::string(name), "text");
    } else if (type == Type::addresses && !valid_address(item.text)) {
      wrong(each, "a value of " + std::string(name), "an address such as 127.0.0.1:9470");
    } else {
      texts.push_back(item.text);
    }
  }
  out = std::move(texts);
}

void Section::read(std::string_view name, StringPairs& out) {
  const Value value = value_of(name);
  const Type type = value.option->type;
  PLUMBLINE_CHECK(type == Type::pairs || type == Type::label_pairs || type == Type::params,
                  "pairs are read from an option of pairs");
  if (value.node == nullptr) return;
  if (value.node->kind != Node::Kind::mapping) {
    wrong(value, name, "a mapping such as {name: value}");
    return;
  }
  StringPairs pairs;
  for (const auto& [key, item] : value.node->entries) {
    const Value each{value.option, &item};
    if (type == Type::label_pairs && (!valid_label_name(key.text) || key.text == "__name__")) {
      reading_.report(key.place, "'" + std::string(name) + "' has the name " + json_quote(key.text) +
                                     "; write letters, digits and _, not starting with a digit, and not __name__");
    } else if (type == Type::params) {
      if (item.kind != Node::Kind::sequence) {
        wrong(each, key.text, "a list of values such as [a, b]");
        continue;
      }
      for (const Node& one : item.items) {
        if (one.kind == Node::Kind::scalar) pairs.emplace_back(key.text, one.text);
        else wrong(Value{value.option, &one}, key.text, "text");
      }
    } else if (item.kind == Node::Kind::null) {
      pairs.emplace_back(key.text, "");
    } else if (item.kind != Node::Kind::scalar) {
      wrong(each, key.text, "text");
    } else {
      pairs.emplace_back(key.text, item.text);
    }
  }
  out = std::move(pairs);
}

void Section::read(std::string_view name, JournalSync& out) {
  const Value value = value_of(name);
  PLUMBLINE_CHECK(value.option->type == Type::sync, "the journal's mode is read from its option");
  const std::string right = "always, never, or a duration" + bounds_text(*value.option, [](double v) {
                              return format_duration_ms(static_cast<std::int64_t>(v));
                            });
  const std::optional<std::string> text = scalar(value, name, right);
  if (!text) return;
  if (*text == "always") {
    out = {JournalSync::Mode::always, Millis(0)};
  } else if (*text == "never") {
    out = {JournalSync::Mode::never, Millis(0)};
  } else {
    const Result<std::int64_t> ms = parse_duration_ms(*text);
    if (!ms || static_cast<double>(*ms) < value.option->min || static_cast<double>(*ms) > value.option->max) {
      wrong(value, name, right);
      return;
    }
    out = {JournalSync::Mode::interval, Millis(*ms)};
  }
}

const Node* Section::child_node(std::string_view name) {
  const Option& option = option_of(name);
  PLUMBLINE_CHECK(option.type == Type::section, "a child is a section of the table");
  const Node* node = node_.find(name);
  if (node != nullptr && node->kind == Node::Kind::null && option.fallback == optional) return nullptr;
  if (node != nullptr) return node;
  if (option.fallback == optional) return nullptr;
  if (option.fallback == required) {
    reading_.report(node_.place, "'" + std::string(name) + "' is missing");
    return nullptr;
  }
  auto absent = std::make_unique<Node>(empty_mapping());
  absent->place = node_.place;
  fallbacks_.push_back(std::move(absent));
  return fallbacks_.back().get();
}

std::vector<const Node*> Section::list_nodes(std::string_view name) {
  const Option& option = option_of(name);
  PLUMBLINE_CHECK(option.type == Type::list, "a list of mappings is one in the table");
  std::vector<const Node*> nodes;
  const Node* node = node_.find(name);
  if (node == nullptr || node->kind == Node::Kind::null) return nodes;
  if (node->kind != Node::Kind::sequence) {
    wrong({&option, node}, name, "a list (each element begins with '- ')");
    return nodes;
  }
  for (const Node& item : node->items) nodes.push_back(&item);
  return nodes;
}

}  // namespace plumbline::config
