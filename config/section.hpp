// One mapping of the file, read through the option table: types, bounds, defaults and unknown names come from there.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "config/options.hpp"
#include "config/yaml_tree.hpp"

namespace plumbline::config {

// What one load has gathered so far.
struct Reading {
  Problems problems;
  // Options that are not in lists, as read, for defaults of the form "=global.scrape_interval".
  std::map<std::string, Node, std::less<>> resolved;
  // Relative paths in the file are meant beside it.
  std::string folder;

  bool full() const { return problems.size() >= problems_max; }
  void report(const Place& place, std::string message);
  std::string beside(const std::string& path) const;
};

// Every read() takes the value of the file or the table's default; on an error it reports and leaves `out` alone.
// The destructor checks that everything the table lists here was asked for, so the table cannot promise what nobody reads.
class Section {
 public:
  // `prefix` is the section's path in the table; a null node is an empty mapping at `node.place`. `only`, when given, are
  // the names that may stand here: a rule file is a config that knows `groups` alone.
  Section(Reading& reading, const Node& node, std::string prefix, std::vector<std::string_view> only = {});
  ~Section();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  const Place& place() const { return node_.place; }
  bool has(std::string_view name) const;
  // Where the value stands; the section's own place when it is absent.
  Place place_of(std::string_view name) const;

  void read(std::string_view name, std::string& out);
  void read(std::string_view name, std::string& out, Place& text_place);
  void read(std::string_view name, Millis& out);
  void read(std::string_view name, std::optional<Millis>& out);
  void read(std::string_view name, std::uint64_t& out);
  void read(std::string_view name, int& out);
  void read(std::string_view name, double& out);
  void read(std::string_view name, bool& out);
  void read(std::string_view name, std::vector<std::string>& out);
  void read(std::string_view name, StringPairs& out);
  void read(std::string_view name, JournalSync& out);

  // The mapping below `name`; always visited when the table gives it no `(none)`, else only when it is there.
  template <class Visit>
  void child(std::string_view name, Visit visit) {
    if (const Node* node = child_node(name)) {
      Section section(reading_, *node, path_of(name));
      visit(section);
    }
  }
  // Every mapping of the list `name`.
  template <class Visit>
  void each(std::string_view name, Visit visit) {
    each_at(name, path_of(name) + "[]", visit);
  }
  // The same for a list whose elements are described elsewhere in the table: a route's routes are routes.
  template <class Visit>
  void each_at(std::string_view name, const std::string& element_path, Visit visit) {
    for (const Node* node : list_nodes(name)) {
      if (reading_.full()) return;
      Section section(reading_, *node, element_path);
      visit(section);
    }
  }

 private:
  struct Value {
    const Option* option;
    const Node* node;  // null: absent and without default, or reported already
  };
  std::string path_of(std::string_view name) const;
  const Option& option_of(std::string_view name);
  Value value_of(std::string_view name);
  const Node* child_node(std::string_view name);
  std::vector<const Node*> list_nodes(std::string_view name);
  const Node* fallback(const Option& option);
  void refuse_unknown();
  void wrong(const Value& value, std::string_view name, std::string what_is_right);
  std::optional<std::string> scalar(const Value& value, std::string_view name, std::string_view what_is_right);
  std::optional<std::int64_t> duration(std::string_view name);
  std::optional<std::string> checked_text(const Value& value, std::string_view name);

  Reading& reading_;
  const Node& node_;
  const std::string prefix_;
  const std::vector<std::string_view> names_;  // that may stand here
  std::set<std::string, std::less<>> asked_;
  std::vector<std::unique_ptr<Node>> fallbacks_;
};

}  // namespace plumbline::config
