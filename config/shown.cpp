#include "config/shown.hpp"

#include <algorithm>

#include "config/options.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

// http://user:password@host: the password goes. http://token@host: all of it, which is a secret as likely as a name.
std::string without_password(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t from = scheme + 3;
  const std::size_t at = url.substr(0, url.find_first_of("/?#", from)).rfind('@');
  const std::size_t colon = url.find(':', from);
  if (at == std::string::npos || at < from) return url;
  if (colon > at) return url.substr(0, from) + std::string(secret_shown) + url.substr(at);
  return url.substr(0, colon + 1) + std::string(secret_shown) + url.substr(at);
}

std::string scalar_shown(const Node& node, const Option* option, bool secret) {
  if (secret) return std::string(secret_shown);
  return option != nullptr && option->type == Type::url ? without_password(node.text) : node.text;
}

// Plain only when no reader could take it for anything else; every JSON string is a YAML one.
std::string scalar_yaml(const Node& node, const Option* option, bool secret) {
  const std::string text = scalar_shown(node, option, secret);
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-';
  };
  const bool plain = !node.quoted && !text.empty() && text.front() != '-' && text.front() != '.' && std::ranges::all_of(text, harmless);
  return plain ? text : json_quote(text);
}

class Renderer {
 public:
  // `path` is the node's in the table, as far as the table goes.
  void write(const Node& node, const std::string& path, std::size_t indent, bool secret) {
    const Option* option = find_option(path);
    secret |= option != nullptr && option->secret;
    switch (node.kind) {
      case Node::Kind::null: out_ += '\n'; return;
      case Node::Kind::scalar: out_ += " " + scalar_yaml(node, option, secret) + "\n"; return;
      case Node::Kind::sequence:
        if (node.items.empty()) return void(out_ += " []\n");
        if (!first_) out_ += '\n';
        for (const Node& item : node.items) {
          begin_line(indent);
          out_ += '-';
          // A mapping's first key stands behind the dash, the others below it.
          const bool nested = (item.kind == Node::Kind::mapping && !item.entries.empty()) ||
                              (item.kind == Node::Kind::sequence && !item.items.empty());
          if (nested) {
            out_ += ' ';
            first_ = true;
          }
          write(item, path + "[]", indent + 2, secret);
        }
        return;
      case Node::Kind::mapping:
        if (node.entries.empty()) return void(out_ += " {}\n");
        if (!first_) out_ += '\n';
        for (const auto& [key, value] : node.entries) {
          begin_line(indent);
          out_ += scalar_yaml(key, nullptr, false) + ":";
          write(value, path.empty() ? key.text : path + "." + key.text, indent + 2, secret);
        }
        return;
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void begin_line(std::size_t indent) {
    if (!first_) out_.append(indent, ' ');
    first_ = false;
  }
  std::string out_;
  bool first_ = true;  // the line has begun already: at the start, and behind a dash
};

}  // namespace

std::string shown_yaml(const Node& tree) {
  if (tree.kind == Node::Kind::null) return "";
  Renderer renderer;
  renderer.write(tree, "", 0, false);
  return renderer.take();
}

StringPairs shown_options(const std::map<std::string, Node, std::less<>>& resolved) {
  StringPairs out;
  for (const auto& [path, node] : resolved) {
    const Option* option = find_option(path);
    if (option == nullptr || option->type == Type::list || option->type == Type::section) continue;
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ",") + part; };
    switch (node.kind) {
      case Node::Kind::null: break;
      case Node::Kind::scalar: text = scalar_shown(node, option, option->secret); break;
      case Node::Kind::sequence:
        for (const Node& item : node.items) add(scalar_shown(item, option, option->secret));
        break;
      case Node::Kind::mapping:
        for (const auto& [key, value] : node.entries) add(key.text + "=" + scalar_shown(value, option, option->secret));
        break;
    }
    out.emplace_back(path, std::move(text));
  }
  return out;
}

}  // namespace plumbline::config
