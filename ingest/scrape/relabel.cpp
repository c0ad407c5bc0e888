// Prometheus' relabelling, rule by rule. A rule sees what the rules before it made of the labels.
#include <openssl/evp.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <map>

#include "daemon/base/text.hpp"
#include "ingest/ingest.hpp"

namespace plumbline::ingest {
namespace {

using Action = RelabelAction;

constexpr std::array<std::pair<std::string_view, Action>, 11> action_names{
    {{"replace", Action::replace},
     {"keep", Action::keep},
     {"drop", Action::drop},
     {"keepequal", Action::keepequal},
     {"dropequal", Action::dropequal},
     {"hashmod", Action::hashmod},
     {"labelmap", Action::labelmap},
     {"labeldrop", Action::labeldrop},
     {"labelkeep", Action::labelkeep},
     {"lowercase", Action::lowercase},
     {"uppercase", Action::uppercase}}};

std::string_view name_of_action(Action action) {
  for (const auto& [name, value] : action_names)
    if (value == action) return name;
  return "?";
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A replacement or target with $1, ${name} and $$ taken apart once. As Go's Regexp.Expand: $name takes the
// longest word
// ($1x is the group "1x", which is empty), an unknown group is empty, a $ that starts nothing stands for
// itself.
class Template {
 public:
  Template() = default;
  Template(std::string_view text, const re2::RE2& regex) {
    std::string literal;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$' || i + 1 >= text.size()) {
        literal.push_back(text[i]);
        continue;
      }
      if (text[i + 1] == '$') {
        literal.push_back('$');
        ++i;
        continue;
      }
      const bool braces = text[i + 1] == '{';
      const std::size_t from = i + 1 + (braces ? 1 : 0);
      std::size_t end = from;
      while (end < text.size() && is_word(text[end])) ++end;
      if (end == from || (braces && (end >= text.size() || text[end] != '}'))) {
        literal.push_back('$');
        continue;
      }
      parts_.push_back({std::move(literal), group_of(text.substr(from, end - from), regex)});
      literal.clear();
      i = braces ? end : end - 1;
    }
    parts_.push_back({std::move(literal), -1});
  }

  bool has_groups() const { return parts_.size() > 1; }
  std::string expand(const std::vector<re2::StringPiece>& groups) const {
    std::string out;
    for (const Part& part : parts_) {
      out += part.literal;
      if (part.group >= 0 && static_cast<std::size_t>(part.group) < groups.size()) {
        const re2::StringPiece& g = groups[static_cast<std::size_t>(part.group)];
        out.append(g.data() == nullptr ? "" : g.data(), g.size());
      }
    }
    return out;
  }

 private:
  struct Part {
    std::string literal;
    int group = -1;  // -1: none, or one that does not exist
  };
  static int group_of(std::string_view name, const re2::RE2& regex) {
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const auto n = parse_int(name);
      return n && *n <= regex.NumberOfCapturingGroups() ? static_cast<int>(*n) : -1;
    }
    const auto& named = regex.NamedCapturingGroups();
    const auto it = named.find(std::string(name));
    return it == named.end() ? -1 : it->second;
  }
  std::vector<Part> parts_;
};

// UTF-8 names are allowed, as in Prometheus 3; with a $ in them they are checked after expansion.
bool is_target_name(std::string_view name) {
  return !name.empty() && valid_utf8(name);
}

// A template may not end in a bare $ or open a brace that it does not close.
bool is_template(std::string_view text) {
  if (!is_target_name(text)) return false;
  for (std::size_t i = text.find('$'); i != std::string_view::npos; i = text.find('$', i + 1)) {
    if (i + 1 >= text.size()) return false;
    if (text[i + 1] == '{') {
      const std::size_t close = text.find('}', i);
      if (close == std::string_view::npos || close == i + 2) return false;
    } else if (!is_word(text[i + 1])) {
      return false;
    }
  }
  return true;
}

Status validate(const RelabelRule& rule) {
  static const RelabelRule standard;
  const std::string action(name_of_action(rule.action));
  const auto wrong = [](std::string text) -> Status { return fail(Code::invalid_input, std::move(text)); };
  const bool equality = rule.action == Action::keepequal || rule.action == Action::dropequal;
  const bool cases = rule.action == Action::lowercase || rule.action == Action::uppercase;

  if (rule.action == Action::hashmod && rule.modulus == 0)
    return wrong("hashmod needs a modulus greater than 0");
  if ((rule.action == Action::replace || rule.action == Action::hashmod || cases || equality) &&
      rule.target_label.empty())
    return wrong(action + " needs a target_label");
  const bool templated = rule.target_label.find('$') != std::string::npos;
  if (rule.action == Action::replace &&
      !(templated ? is_template(rule.target_label) : is_target_name(rule.target_label)))
    return wrong(json_quote(rule.target_label) + " is no target_label for replace");
  if ((rule.action == Action::hashmod || cases || equality) && !is_target_name(rule.target_label))
    return wrong(json_quote(rule.target_label) + " is no target_label for " + action);
  if ((cases || equality) && rule.replacement != standard.replacement)
    return wrong("replacement cannot be set for " + action);
  if (rule.action == Action::labelmap && !is_template(rule.replacement))
    return wrong(json_quote(rule.replacement) + " is no replacement for labelmap");
  if (equality && (rule.regex != standard.regex || rule.modulus != 0 || rule.separator != standard.separator))
    return wrong(action + " takes source_labels and target_label and nothing else");
  if ((rule.action == Action::labeldrop || rule.action == Action::labelkeep) &&
      (!rule.source_labels.empty() || !rule.target_label.empty() || rule.modulus != 0 ||
       rule.separator != standard.separator || rule.replacement != standard.replacement))
    return wrong(action + " takes regex and nothing else");
  return {};
}

// The last eight of MD5's bytes, big-endian: what every Prometheus shards by, so that shards of both agree.
std::uint64_t hash_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr);
  std::uint64_t hash = 0;
  for (std::size_t i = 8; i < 16; ++i) hash = hash << 8 | digest[i];
  return hash;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// Labels being worked on; an empty value removes.
class Working {
 public:
  explicit Working(const model::Labels& labels) {
    for (const model::Label& l : labels) map_.emplace(l.name, l.value);
  }
  std::string_view get(std::string_view name) const {
    const auto it = map_.find(name);
    return it == map_.end() ? std::string_view{} : std::string_view(it->second);
  }
  void set(const std::string& name, std::string value) {
    if (value.empty())
      map_.erase(name);
    else
      map_.insert_or_assign(name, std::move(value));
  }
  const std::map<std::string, std::string, std::less<>>& all() const { return map_; }
  template <class Predicate>
  void drop_if(Predicate predicate) {
    std::erase_if(map_, [&](const auto& pair) { return predicate(pair.first); });
  }
  model::Labels take() {
    std::vector<model::Label> labels;
    labels.reserve(map_.size());
    for (auto& [name, value] : map_) labels.push_back({name, std::move(value)});
    return model::Labels::trusted(std::move(labels));
  }

 private:
  std::map<std::string, std::string, std::less<>> map_;
};

struct Compiled {
  RelabelRule rule;
  std::unique_ptr<re2::RE2> regex;
  Template target, replacement;

  // The groups of a whole match, group 0 first; empty when there is none.
  std::vector<re2::StringPiece> match(std::string_view text) const {
    std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex->NumberOfCapturingGroups()) + 1);
    const re2::StringPiece in(text.data(), text.size());
    if (!regex->Match(in, 0, text.size(), re2::RE2::ANCHOR_BOTH, groups.data(),
                      static_cast<int>(groups.size())))
      return {};
    return groups;
  }
  bool matches(std::string_view text) const {
    const re2::StringPiece in(text.data(), text.size());
    return regex->Match(in, 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr, 0);
  }
  std::string source(const Working& labels) const {
    std::string out;
    for (std::size_t i = 0; i < rule.source_labels.size(); ++i) {
      if (i != 0) out += rule.separator;
      out += labels.get(rule.source_labels[i]);
    }
    return out;
  }
};

void replace(const Compiled& c, const std::string& source, Working& labels) {
  const auto groups = c.match(source);
  if (groups.empty()) return;
  const std::string target = c.target.expand(groups);
  if (!is_target_name(target)) return;
  labels.set(target, c.replacement.expand(groups));
}

void map_names(const Compiled& c, Working& labels) {
  // New names come from the labels as they were before this rule.
  std::vector<std::pair<std::string, std::string>> fresh;
  for (const auto& [name, value] : labels.all())
    if (const auto groups = c.match(name); !groups.empty())
      fresh.emplace_back(c.replacement.expand(groups), value);
  for (auto& [name, value] : fresh)
    if (is_target_name(name)) labels.set(name, std::move(value));
}

// False: drop.
bool apply_rule(const Compiled& c, Working& labels) {
  const RelabelRule& rule = c.rule;
  std::string source = c.source(labels);
  switch (rule.action) {
    case Action::replace:
      replace(c, source, labels);
      return true;
    case Action::keep:
      return c.matches(source);
    case Action::drop:
      return !c.matches(source);
    case Action::keepequal:
      return labels.get(rule.target_label) == source;
    case Action::dropequal:
      return labels.get(rule.target_label) != source;
    case Action::hashmod:
      labels.set(rule.target_label, std::to_string(hash_of(source) % rule.modulus));
      return true;
    case Action::labelmap:
      map_names(c, labels);
      return true;
    case Action::labeldrop:
      labels.drop_if([&](const std::string& name) { return c.matches(name); });
      return true;
    case Action::labelkeep:
      labels.drop_if([&](const std::string& name) { return !c.matches(name); });
      return true;
    case Action::lowercase:
      labels.set(rule.target_label, to_lower(source));
      return true;
    case Action::uppercase:
      labels.set(rule.target_label, upper(source));
      return true;
  }
  return true;
}

// What one regex may cost: as for label matchers.
constexpr std::int64_t regex_bytes_max = 1 << 20;

Result<Compiled> compile(RelabelRule rule) {
  PLUMBLINE_CHECK_OK(validate(rule));
  Compiled c;
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_dot_nl(true);
  options.set_max_mem(regex_bytes_max);
  c.regex = std::make_unique<re2::RE2>(rule.regex, options);
  if (!c.regex->ok())
    return fail(Code::invalid_input, "regex " + json_quote(rule.regex) + ": " + c.regex->error());
  c.target = Template(rule.target_label, *c.regex);
  c.replacement = Template(rule.replacement, *c.regex);
  c.rule = std::move(rule);
  return c;
}

}  // namespace

Result<RelabelAction> parse_relabel_action(std::string_view name) {
  const std::string lower = to_lower(name);
  for (const auto& [known, action] : action_names)
    if (known == lower) return action;
  return fail(Code::invalid_input, "unknown relabel action " + json_quote(name.substr(0, 40)));
}

struct Relabeller::Impl {
  std::vector<Compiled> rules;
};

Relabeller::Relabeller() : impl_(std::make_unique<Impl>()) {}
Relabeller::~Relabeller() = default;
Relabeller::Relabeller(Relabeller&&) noexcept = default;
Relabeller& Relabeller::operator=(Relabeller&&) noexcept = default;

Result<Relabeller> Relabeller::make(std::vector<RelabelRule> rules) {
  Relabeller out;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    auto compiled = compile(std::move(rules[i]));
    if (!compiled) return fail(compiled.error().in("relabel rule " + std::to_string(i + 1)));
    out.impl_->rules.push_back(std::move(*compiled));
  }
  return out;
}

std::optional<model::Labels> Relabeller::apply(model::Labels labels) const {
  if (impl_->rules.empty()) return labels;
  Working working(labels);
  for (const Compiled& rule : impl_->rules)
    if (!apply_rule(rule, working)) return std::nullopt;
  return working.take();
}

}  // namespace plumbline::ingest
