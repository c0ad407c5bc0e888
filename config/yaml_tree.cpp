#include "config/yaml_tree.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <unordered_map>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

// Leaves the parser when going on makes no sense.
struct Stop {
  Problem problem;
};

class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view source, const std::string& file, Problems& problems)
      : file_(file), problems_(problems) {
    std::size_t from = 0;
    while (from <= source.size()) {
      const std::size_t end = std::min(source.find('\n', from), source.size());
      lines_.push_back(source.substr(from, end - from));
      from = end + 1;
    }
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw Stop{{place(mark), "a second document begins here; write one document per file"}};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    // yaml-cpp marks a missing value where the next thing stands: the key says more.
    node.place = !open_.empty() && open_.back().has_key ? open_.back().key.place : place(mark);
    node.text_place = node.place;
    add(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Stop{{place(mark), "this alias stands inside the value that it refers to"}};
    // Places inside it stay: what is wrong there is mended where it is written.
    Node copy = copy_of(found->second, found->second.node, place(mark));
    copy.place = place(mark);
    if (open_.size() + found->second.levels > depth_max)
      throw Stop{{copy.place, "nested deeper than " + std::to_string(depth_max) + " levels"}};
    add(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = value;
    node.quoted = tag != "?";
    node.place = place(mark);
    node.text_place = text_place(mark);
    refuse_tag(mark, tag);
    if (!node.quoted && (value == "~" || value == "null")) node.kind = Node::Kind::null;
    if (value.find('\0') != std::string::npos) throw Stop{{node.place, "a NUL character has no place here"}};
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::mapping);
  }
  void OnMapEnd() override { close(); }

  Node take() { return std::move(root_); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor = 0;
    Node key;
    bool has_key = false;
    std::vector<Node> merged;  // what `<<` names, in order
    std::unordered_map<std::string, int> lines_of_keys;
  };

  Place place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  Place text_place(const YAML::Mark& mark) const {
    Place at = place(mark);
    if (mark.line < 0 || static_cast<std::size_t>(mark.line) >= lines_.size()) return at;
    const std::string_view line = lines_[static_cast<std::size_t>(mark.line)];
    if (mark.column < 0 || static_cast<std::size_t>(mark.column) >= line.size()) return at;
    const char first = line[static_cast<std::size_t>(mark.column)];
    if (first == '"' || first == '\'') {
      at.column += 1;
    } else if (first == '|' || first == '>') {
      for (std::size_t i = static_cast<std::size_t>(mark.line) + 1; i < lines_.size(); ++i) {
        const std::size_t indent = lines_[i].find_first_not_of(" \r");
        if (indent == std::string_view::npos) continue;
        at.line = static_cast<int>(i) + 1;
        at.column = static_cast<int>(indent) + 1;
        break;
      }
    }
    return at;
  }

  // A value that aliases may name.
  struct Anchored {
    Node node;
    std::size_t nodes = 0, bytes = 0, levels = 0;
  };

  static void measure(const Node& node, std::size_t level, Anchored& out) {
    out.nodes += 1 + node.entries.size();
    out.bytes += node.text.size();
    if (node.kind == Node::Kind::sequence || node.kind == Node::Kind::mapping) out.levels = std::max(out.levels, level + 1);
    for (const Node& item : node.items) measure(item, level + 1, out);
    for (const auto& [key, value] : node.entries) {
      out.bytes += key.text.size();
      measure(value, level + 1, out);
    }
  }
  // Each copy counts as if it were written out, before it is made.
  Node copy_of(const Anchored& value, const Node& node, const Place& at) {
    nodes_ += value.nodes;
    copied_bytes_ += value.bytes;
    if (nodes_ > nodes_max || copied_bytes_ > file_bytes_max)
      throw Stop{{at, "anchors and aliases (&name, *name) written out are more than " + std::to_string(nodes_max) + " values or " +
                          std::to_string(file_bytes_max >> 20) + " MiB of text"}};
    return node;
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str") return;
    report({place(mark), "tags (" + tag + ") are not supported"});
  }
  void report(Problem problem) {
    problems_.push_back(std::move(problem));
    if (problems_.size() >= problems_max) throw Stop{{{}, ""}};
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    refuse_tag(mark, tag);
    if (open_.size() >= depth_max)
      throw Stop{{place(mark), "nested deeper than " + std::to_string(depth_max) + " levels"}};
    Open next;
    next.node.kind = kind;
    next.anchor = anchor;
    next.node.place = next.node.text_place = place(mark);
    open_.push_back(std::move(next));
  }
  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    // Keys of the mapping itself come before merged ones, and of these the first.
    for (Node& source : done.merged)
      for (auto& [key, value] : source.entries)
        if (done.lines_of_keys.emplace(key.text, key.place.line).second) done.node.entries.push_back({std::move(key), std::move(value)});
    add(std::move(done.node), done.anchor);
  }
  // `<<: *name` or `<<: [*name, *other]`, of which yaml-cpp knows nothing.
  void merge(Open& into, Node value) {
    std::vector<Node> sources;
    if (value.kind == Node::Kind::sequence) {
      sources = std::move(value.items);
    } else {
      sources.push_back(std::move(value));
    }
    for (Node& source : sources) {
      if (source.kind != Node::Kind::mapping) throw Stop{{source.place, "'<<' takes a mapping or a list of mappings"}};
      into.merged.push_back(std::move(source));
    }
  }
  void add(Node node, YAML::anchor_t anchor) {
    if (++nodes_ > nodes_max)
      throw Stop{{node.place, "more than " + std::to_string(nodes_max) + " values in one file"}};
    if (anchor != 0) {
      Anchored value;
      measure(node, 0, value);
      value.node = copy_of(value, node, node.place);
      anchors_.insert_or_assign(anchor, std::move(value));
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& top = open_.back();
    if (top.node.kind == Node::Kind::sequence) {
      top.node.items.push_back(std::move(node));
    } else if (!top.has_key) {
      if (node.kind != Node::Kind::scalar) throw Stop{{node.place, "a key must be plain text"}};
      top.key = std::move(node);
      top.has_key = true;
    } else {
      top.has_key = false;
      const auto [first, is_new] = top.lines_of_keys.emplace(top.key.text, top.key.place.line);
      if (is_new && top.key.text == "<<" && !top.key.quoted) {
        merge(top, std::move(node));
      } else if (is_new) {
        top.node.entries.push_back({std::move(top.key), std::move(node)});
      } else {
        report({top.key.place,
                "duplicate key '" + top.key.text + "'; the first is in line " + std::to_string(first->second)});
      }
    }
  }

  const std::string& file_;
  Problems& problems_;
  std::vector<std::string_view> lines_;
  std::vector<Open> open_;
  Node root_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0, copied_bytes_ = 0;  // bytes of text that aliases have repeated
  int documents_ = 0;
};

}  // namespace

Node::Node() = default;
Node::~Node() = default;
Node::Node(const Node&) = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(const Node&) = default;
Node& Node::operator=(Node&&) noexcept = default;

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name.text == key) return &value;
  return nullptr;
}

Outcome<Node> parse_yaml(std::string_view text, const std::string& file) {
  Problems problems;
  if (text.size() > file_bytes_max) {
    problems.push_back({{file, 0, 0}, "larger than " + std::to_string(file_bytes_max >> 20) + " MiB"});
    return std::unexpected(std::move(problems));
  }
  if (!valid_utf8(text)) {
    int line = 1;
    std::size_t from = 0;
    for (; from < text.size(); ++line) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      if (!valid_utf8(text.substr(from, end - from))) break;
      from = end + 1;
    }
    problems.push_back({{file, line, 1}, "this line is not valid UTF-8"});
    return std::unexpected(std::move(problems));
  }
  Builder builder(text, file, problems);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop& stop) {
    if (!stop.problem.message.empty()) problems.push_back(stop.problem);
  } catch (const YAML::Exception& e) {
    problems.push_back({{file, e.mark.line + 1, e.mark.column + 1}, "not valid YAML: " + e.msg});
  } catch (const std::exception& e) {
    problems.push_back({{file, 0, 0}, std::string("not valid YAML: ") + e.what()});
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return builder.take();
}

Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return fail(errno == ENOENT ? Code::not_found : Code::io, path + ": cannot open: " + std::strerror(errno));
  std::string text;
  char chunk[16384];
  while (const std::size_t n = std::fread(chunk, 1, sizeof chunk, file.get())) {
    text.append(chunk, n);
    if (text.size() > file_bytes_max)
      return fail(Code::too_large, path + ": larger than " + std::to_string(file_bytes_max >> 20) + " MiB");
  }
  if (std::ferror(file.get()) != 0) return fail(Code::io, path + ": cannot read: " + std::strerror(errno));
  return text;
}

}  // namespace plumbline::config
