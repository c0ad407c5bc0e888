#include "daemon/runtime/answer.hpp"

#include <algorithm>
#include <ctime>
#include <optional>

#include "daemon/base/compression.hpp"
#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::runtime {
namespace {

// Below it the answer fits a packet anyway.
constexpr std::size_t compressed_bytes_min = 1024;
// Copying more costs more than another system call.
constexpr std::size_t copied_bytes_max = 32u << 10;

std::string_view phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

std::string http_date(std::int64_t unix_s) {
  const auto t = static_cast<std::time_t>(unix_s);
  std::tm tm{};
  ::gmtime_r(&t, &tm);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  // Not strftime: its names follow the locale.
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
                months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  return text;
}

bool compressible(std::string_view content_type) {
  return content_type.starts_with("text/") || content_type.find("json") != std::string_view::npos ||
         content_type.find("openmetrics-text") != std::string_view::npos ||
         content_type.find("javascript") != std::string_view::npos || content_type.find("xml") != std::string_view::npos;
}

std::string_view error_type(int status) {
  switch (status) {
    case 404: return "not_found";
    case 408: return "timeout";
    case 503: return "unavailable";
    default: return status >= 500 ? "internal" : "bad_data";
  }
}

const std::string* find(const http::Pairs& headers, std::string_view lower_name) {
  for (const auto& [name, value] : headers)
    if (to_lower(name) == lower_name) return &value;
  return nullptr;
}

}  // namespace

Coding preferred_coding(std::string_view list) {
  // An asterisk stands for what is not named. Absent: 0, because nobody must be sent what they did not ask for.
  std::optional<double> gzip, zstd, others;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string item = to_lower(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t semicolon = std::min(item.find(';'), item.size());
    const std::string_view coding = trim(std::string_view(item).substr(0, semicolon));
    double weight = 1;
    if (const std::size_t q = item.find("q=", semicolon); q != std::string::npos)
      weight = parse_number(trim(std::string_view(item).substr(q + 2))).value_or(0);
    if (coding == "gzip") gzip = weight;
    if (coding == "zstd") zstd = weight;
    if (coding == "*") others = weight;
  }
  const double for_zstd = zstd.value_or(others.value_or(0)), for_gzip = gzip.value_or(others.value_or(0));
  if (for_zstd > 0 && for_zstd >= for_gzip) return Coding::zstd;
  return for_gzip > 0 ? Coding::gzip : Coding::identity;
}

http::Pairs cors_headers(const CrossOrigin& asked) {
  if (asked.origin.empty()) return {};
  // Whoever is not allowed gets an answer that no cache may show to who is.
  http::Pairs out{{"Vary", "Origin"}};
  if (!asked.allowed) return out;
  out.emplace_back("Access-Control-Allow-Origin", asked.origin);
  out.emplace_back("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin");
  out.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  out.emplace_back("Access-Control-Expose-Headers", "Date");
  return out;
}

http::Response refusal_response(const Refusal& refusal) {
  std::string body;
  JsonWriter(body)
      .begin_object()
      .field("status", "error")
      .field("errorType", error_type(refusal.status))
      .field("error", refusal.message)
      .end_object();
  http::Response response = http::Response::json(std::move(body), refusal.status);
  if (refusal.status == 503) response.with("Retry-After", "1");
  return response;
}

std::string serialise(http::Response response, const AnswerStyle& style, std::int64_t now_unix_s, std::string* rest) {
  const bool bodyless = response.status == 204 || response.status == 304 || response.status < 200;
  if (bodyless) response.body.clear();
  const std::string* content_type = find(response.headers, "content-type");
  const bool is_text = content_type != nullptr && compressible(*content_type);
  if (is_text && response.body.size() > compressed_bytes_min && find(response.headers, "content-encoding") == nullptr) {
    response.with("Vary", "Accept-Encoding");
    if (style.coding == Coding::gzip) response.body = gzip(response.body);
    if (style.coding == Coding::zstd) response.body = zstd(response.body);
    if (style.coding != Coding::identity) response.with("Content-Encoding", style.coding == Coding::gzip ? "gzip" : "zstd");
  }
  for (auto& [name, value] : cors_headers(style.cross_origin)) response.with(std::move(name), std::move(value));

  std::string out;
  const bool apart = rest != nullptr && !style.head_only && response.body.size() > copied_bytes_max;
  out.reserve((apart ? 0 : response.body.size()) + 512);
  out += "HTTP/1.1 " + std::to_string(response.status) + " ";
  out += phrase(response.status);
  out += "\r\nDate: " + http_date(now_unix_s) + "\r\n";
  for (const auto& [name, value] : response.headers) {
    const std::string lower = to_lower(name);
    // The framing is the server's own.
    if (lower == "content-length" || lower == "connection" || lower == "transfer-encoding") continue;
    const std::size_t start = out.size();
    out += name;
    out += ": ";
    out += value;
    // A handler may echo foreign text: no control character may start a header of its own.
    std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
                    [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, ' ');
    out += "\r\n";
  }
  if (find(response.headers, "content-security-policy") == nullptr)
    out += "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
  out += "X-Content-Type-Options: nosniff\r\n";
  if (!bodyless) out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (!style.keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (apart)
    *rest = std::move(response.body);
  else if (!style.head_only)
    out += response.body;
  return out;
}

}  // namespace plumbline::runtime
