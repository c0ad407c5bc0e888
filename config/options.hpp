// The one table of every option: what it is called, what it may be, what it is when absent. The loader reads types, bounds
// and defaults from here and refuses what is not listed; reference.md is rendered from it; so neither can drift apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::config {

enum class Type {
  section,   // a mapping with options of its own
  list,      // a list of such mappings
  text,
  expression,  // text that keeps the place where it begins
  choice,      // one of `choices`
  flag,
  count,     // whole number, min..max
  number,    // min..max
  size,      // bytes: 64MiB
  duration,  // min..max in milliseconds: 5m
  sync,      // always, never or a duration
  address,   // host:port
  url,       // http or https
  texts,     // a list of text
  addresses,  // a list of host:port
  pairs,       // a mapping of text to text
  label_pairs,  // a mapping of label name to text
  params,       // a mapping of text to a list of text
};

// How `fallback` is read: as if the file said it; "" leaves a text, list or mapping empty; "=path" takes the value of
// that option; required options have none.
struct Option {
  std::string_view path;  // "scrape_configs[].static_configs[].targets"
  Type type;
  std::string_view fallback;
  std::string_view help;
  double min = 0;
  double max = 0;  // 0: no bound but the type's
  std::string_view choices;  // separated by one space
  bool secret = false;       // never shown: an address that holds a token, headers
};
inline constexpr std::string_view required = "(required)";
inline constexpr std::string_view optional = "(none)";  // absent means something of its own; see the help

std::span<const Option> options();
// Of rule test files, under the path "rule_test".
std::span<const Option> rule_test_options();
// Null when there is none.
const Option* find_option(std::string_view path);
// The names that may stand directly in the section at `prefix` ("" is the file itself), in the table's order.
std::vector<std::string_view> names_below(std::string_view prefix);

// Known from Prometheus, Alertmanager or Sloth and not supported yet: what to write instead; "" for unknown names.
std::string_view unsupported_hint(std::string_view name);

// The text of reference.md.
std::string render_reference();

}  // namespace plumbline::config
