// YAML text as a tree of our own: places on everything, nothing shared (aliases are copies), bounded. The only header that yaml-cpp stands behind.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/loader.hpp"

namespace plumbline::config {

// 4 MiB is the largest public rule file times ten; 64 and 100,000 keep any walk of the tree short and flat.
inline constexpr std::size_t file_bytes_max = 4u << 20;
inline constexpr std::size_t depth_max = 64;
inline constexpr std::size_t nodes_max = 100'000;
// More errors than anybody reads are one broken file.
inline constexpr std::size_t problems_max = 50;

struct Node {
  enum class Kind { null, scalar, sequence, mapping };
  Kind kind = Kind::null;
  std::string text;     // of a scalar
  bool quoted = false;  // written with quotes or as a block: text, whatever it looks like
  Place place;          // of the value; of its key when the value is missing
  Place text_place;     // where the scalar's own characters begin: behind the quote, in the first line of a block
  std::vector<Node> items;
  struct Entry;
  std::vector<Entry> entries;  // keys are scalars, unique, in the order of the file

  Node();
  ~Node();
  Node(const Node&);
  Node(Node&&) noexcept;
  Node& operator=(const Node&);
  Node& operator=(Node&&) noexcept;
  const Node* find(std::string_view key) const;
};
struct Node::Entry {
  Node key, value;
};

// One document or none (a null node). Aliases and merge keys (`<<`) are written out: a value with an anchor counts twice against nodes_max
// and once more for each alias, and its text against file_bytes_max. Refused: equal keys, aliases inside the value that they refer to.
Outcome<Node> parse_yaml(std::string_view text, const std::string& file);

// Reads at most file_bytes_max.
Result<std::string> read_file(const std::string& path);

}  // namespace plumbline::config
