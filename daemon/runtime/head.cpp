#include "daemon/runtime/head.hpp"

#include <algorithm>
#include <array>

#include "daemon/base/text.hpp"

namespace plumbline::runtime {
namespace {

std::unexpected<Refusal> refuse(int status, std::string reason, std::string message) {
  return std::unexpected<Refusal>(Refusal{status, std::move(reason), std::move(message)});
}
std::unexpected<Refusal> bad(std::string reason, std::string message) {
  return refuse(400, std::move(reason), std::move(message));
}

// RFC 9110 token characters.
constexpr std::array<bool, 256> token_characters = [] {
  std::array<bool, 256> is{};
  for (char c = '0'; c <= '9'; ++c) is[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) is[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) is[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) is[static_cast<unsigned char>(c)] = true;
  return is;
}();

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return token_characters[static_cast<unsigned char>(c)]; });
}

bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u == '\t' || (u >= ' ' && u != 0x7f);
  });
}

bool is_host(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~!$&'()*+,;=%[]:").find(c) != std::string_view::npos;
  });
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Whether a comma-separated list names `token` (lower case).
bool lists(std::string_view list, std::string_view token) {
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (to_lower(without_blanks(list.substr(0, comma))) == token) return true;
    if (comma == list.size()) return false;
    list.remove_prefix(comma + 1);
  }
}

struct RequestLine {
  std::string method, target;
  int minor = 1;
};

std::expected<RequestLine, Refusal> parse_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return bad("request_line", "the request line is not 'METHOD target HTTP/1.1'");
  const std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method) || method.size() > 32) return bad("request_line", "the method is not a token");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other = version.size() == 8 && version.starts_with("HTTP/");
    return refuse(other ? 505 : 400, "version", "the protocol version is not HTTP/1.1");
  }
  if (target.empty() || !std::ranges::all_of(target, [](char c) { return c > ' ' && c < 0x7f; }))
    return bad("target", "the request target has a space, a control character or a byte outside ASCII");
  if (target.find('#') != std::string_view::npos) return bad("target", "the request target has a fragment");
  // Absolute form, as sent to proxies; servers must take it (RFC 9112 3.2.2). Our routes do not depend on the host.
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.front() != '/') return bad("target", "the request target does not begin with '/'");
  return RequestLine{std::string(method), std::string(target), version.back() == '1' ? 1 : 0};
}

// What Content-Length, Transfer-Encoding and Host say, each at most once.
struct Framing {
  std::optional<std::string> host, length, encoding;
};

std::optional<Refusal> note(Framing& framing, std::string_view name, std::string_view value) {
  const auto once = [&](std::optional<std::string>& slot, const char* reason,
                        const char* shown) -> std::optional<Refusal> {
    if (slot) return Refusal{400, reason, std::string("there are two ") + shown + " headers"};
    slot = value;
    return std::nullopt;
  };
  if (name == "host") return once(framing.host, "two_hosts", "Host");
  if (name == "content-length") return once(framing.length, "two_lengths", "Content-Length");
  if (name == "transfer-encoding") return once(framing.encoding, "transfer_encoding", "Transfer-Encoding");
  return std::nullopt;
}

std::optional<Refusal> apply(const Framing& framing, int minor, Head& head) {
  if (minor == 1 && !framing.host) return Refusal{400, "no_host", "HTTP/1.1 needs a Host header"};
  if (framing.host && !is_host(*framing.host)) return Refusal{400, "bad_host", "the Host header is not a host name"};
  if (framing.length && framing.encoding)
    return Refusal{400, "length_and_encoding", "Content-Length and Transfer-Encoding exclude each other"};
  if (framing.encoding) {
    if (minor == 0) return Refusal{400, "transfer_encoding", "HTTP/1.0 has no Transfer-Encoding"};
    if (to_lower(*framing.encoding) != "chunked")
      return Refusal{400, "transfer_encoding", "the only Transfer-Encoding is chunked"};
    head.chunked = true;
  }
  if (framing.length) {
    // Digits alone: no sign, no list, and never more than fits.
    const std::string& text = *framing.length;
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
      return Refusal{400, "bad_length", "Content-Length is not a number"};
    head.content_length = static_cast<std::uint64_t>(*parse_int(text));
  }
  return std::nullopt;
}

}  // namespace

std::expected<std::size_t, Refusal> find_head_end(std::string_view bytes, std::size_t from) {
  std::size_t at = from;
  while ((at = bytes.find('\n', at)) != std::string_view::npos) {
    if (at == 0 || bytes[at - 1] != '\r')
      return bad("bare_lf", "a line ends without a carriage return");
    if (at >= 3 && bytes[at - 2] == '\n') return at + 1;
    ++at;
  }
  return std::string_view::npos;
}

std::expected<Head, Refusal> parse_head(std::string_view block, std::size_t headers_max) {
  // Every line end is CRLF; a lone CR or LF anywhere is what smuggling is made of.
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (block[i] == '\n' && (i == 0 || block[i - 1] != '\r'))
      return bad("bare_lf", "a line ends without a carriage return");
    if (block[i] == '\r' && (i + 1 == block.size() || block[i + 1] != '\n'))
      return bad("bare_cr", "a carriage return stands alone");
  }
  if (!block.ends_with("\r\n\r\n")) return bad("request_line", "the head does not end with an empty line");
  block.remove_suffix(2);  // each line now ends with its CRLF

  std::size_t end = block.find("\r\n");
  auto line = parse_request_line(block.substr(0, end));
  if (!line) return std::unexpected(std::move(line.error()));
  block.remove_prefix(end + 2);

  Head head;
  head.method = std::move(line->method);
  head.target = std::move(line->target);
  head.keep_alive = line->minor == 1;
  Framing framing;
  while (!block.empty()) {
    end = block.find("\r\n");
    const std::string_view field = block.substr(0, end);
    block.remove_prefix(end + 2);
    if (field.empty()) return bad("header_line", "an empty line stands inside the head");
    if (field.front() == ' ' || field.front() == '\t')
      return bad("folded_header", "a header line begins with a blank (folded headers are refused)");
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos) return bad("header_line", "a header line has no colon");
    const std::string_view name = field.substr(0, colon);
    if (!name.empty() && (name.back() == ' ' || name.back() == '\t'))
      return bad("blank_before_colon", "a blank stands between a header's name and its colon");
    if (!is_token(name)) return bad("header_name", "a header's name is not a token");
    const std::string_view value = without_blanks(field.substr(colon + 1));
    if (!is_value(value)) return bad("header_value", "a header's value has a control character");
    if (head.headers.size() == headers_max)
      return refuse(431, "too_many_headers", "more than " + std::to_string(headers_max) + " headers");
    std::string lower = to_lower(name);
    if (auto refusal = note(framing, lower, value)) return std::unexpected(std::move(*refusal));
    if (lower == "connection") {
      if (lists(value, "close")) head.keep_alive = false;
    } else if (lower == "expect") {
      if (to_lower(value) != "100-continue") return refuse(417, "expect", "the only expectation is 100-continue");
      head.expects_continue = line->minor == 1;
    }
    head.headers.emplace_back(std::move(lower), std::string(value));
  }
  if (auto refusal = apply(framing, line->minor, head)) return std::unexpected(std::move(*refusal));
  return head;
}

Status check_head(std::string_view block) {
  constexpr std::size_t headers_max = 100;
  auto head = parse_head(block, headers_max);
  if (head) return {};
  return fail(head.error().status == 431 ? Code::too_large : Code::invalid_input, head.error().message);
}

}  // namespace plumbline::runtime
