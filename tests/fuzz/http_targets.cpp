// What every byte from a socket meets first: the request's head, target, form and chunks, URLs, compressed bodies.
#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "daemon/runtime/chunks.hpp"
#include "daemon/runtime/head.hpp"
#include "daemon/runtime/target.hpp"
#include "proto/http.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace plumbline::fuzz {
namespace {

constexpr std::size_t inflated_max = 1 << 20;

void head(std::string_view bytes) {
  const auto end = runtime::find_head_end(bytes, 0);
  if (!end || *end == std::string_view::npos) return;
  // Wherever the reads happened to cut, the end is the same.
  for (std::size_t cut = 0; cut < *end; cut += 1 + *end / 8) {
    const auto first = runtime::find_head_end(bytes.substr(0, cut), 0);
    PLUMBLINE_CHECK(first && *first == std::string_view::npos, "no end is seen before it is there");
    const auto later = runtime::find_head_end(bytes, cut);
    PLUMBLINE_CHECK(!later || *later >= *end, "an end that is found later is not before it");
  }
  const auto parsed = runtime::parse_head(bytes.substr(0, *end), 64);
  if (!parsed) return;
  PLUMBLINE_CHECK(!(parsed->chunked && parsed->content_length), "one framing only");
  for (const auto& [name, value] : parsed->headers)
    PLUMBLINE_CHECK(name.find_first_of("\r\n: ") == std::string::npos && value.find_first_of("\r\n") == std::string::npos,
                    "no header smuggles another");
  (void)runtime::parse_target(parsed->target);
}

void target(std::string_view bytes) {
  const auto parsed = runtime::parse_target(bytes);
  if (!parsed) return;
  for (const std::string& segment : parsed->segments)
    PLUMBLINE_CHECK(!segment.empty() && segment != "." && segment != "..", "the path is normalised");
}

void form(std::string_view bytes) {
  http::Pairs out;
  (void)runtime::parse_form(bytes, out);
}

void chunks(std::string_view bytes) {
  runtime::ChunkDecoder whole(1 << 16);
  std::string body;
  const auto taken = whole.feed(bytes, body);
  runtime::ChunkDecoder pieces(1 << 16);
  std::string other;
  std::size_t at = 0;
  bool good = true;
  while (at < bytes.size() && good && !pieces.done()) {
    const auto n = pieces.feed(bytes.substr(at, 1 + at % 7), other);
    good = n.has_value();
    if (good) at += *n;
  }
  PLUMBLINE_CHECK(good == taken.has_value(), "the same verdict however the bytes are cut");
  if (!good) return;
  PLUMBLINE_CHECK(body == other && at == *taken && whole.done() == pieces.done(), "the same body however the bytes are cut");
}

void url(std::string_view bytes) {
  const auto parsed = http::parse_url(bytes);
  if (!parsed) {
    PLUMBLINE_CHECK(!parsed.error().message.empty(), "a refusal says why");
    return;
  }
  PLUMBLINE_CHECK(parsed->host.find_first_of("\r\n/@` \\?#") == std::string::npos, "the host is a host");
  PLUMBLINE_CHECK(parsed->target.find_first_of("\r\n ") == std::string::npos, "the target is one word");
  const auto again = http::parse_url(parsed->text());
  PLUMBLINE_CHECK(again && again->host == parsed->host && again->port == parsed->port && again->target == parsed->target &&
                      again->scheme == parsed->scheme,
                  "a URL reads back");
}

void compression(std::string_view bytes) {
  Input in(bytes);
  static constexpr std::string_view encodings[] = {"gzip", "deflate", "snappy", "zstd", "identity", "br"};
  const std::string_view encoding = encodings[in.byte() % std::size(encodings)];
  const std::string_view body = in.rest();
  const auto inflated = decode_content(encoding, body, inflated_max);
  if (inflated) PLUMBLINE_CHECK(inflated->size() <= inflated_max, "the limit holds");
  PLUMBLINE_CHECK(gunzip(gzip(body), body.size()) == body, "gzip round trip");
  PLUMBLINE_CHECK(unsnappy(snappy(body), body.size()) == body, "snappy round trip");
  PLUMBLINE_CHECK(unzstd(zstd(body), body.size()) == body, "zstd round trip");
}

// Numbers, durations, times, hex, base64, JSON strings.
void text(std::string_view bytes) {
  if (const auto v = parse_number(bytes)) {
    const auto again = parse_number(format_number(*v));
    PLUMBLINE_CHECK(again && (*again == *v || (*v != *v && *again != *again)), "a number reads back");
  }
  (void)parse_int(bytes);
  if (const auto ms = parse_duration_ms(bytes)) PLUMBLINE_CHECK(parse_duration_ms(format_duration_ms(*ms)) == *ms, "a duration reads back");
  if (const auto ns = parse_rfc3339_ns(bytes)) PLUMBLINE_CHECK(parse_rfc3339_ns(format_rfc3339_ns(*ns)) == *ns, "a time reads back");
  if (const auto ms = parse_api_time_ms(bytes)) PLUMBLINE_CHECK(!format_rfc3339_ms(*ms).empty(), "any time can be shown");
  if (const auto v = parse_number(bytes)) (void)unix_ns_by_magnitude(*v);
  if (const auto raw = from_hex(bytes)) PLUMBLINE_CHECK(from_hex(hex(*raw)) == *raw, "hex reads back");
  if (const auto raw = from_base64(bytes)) PLUMBLINE_CHECK(from_base64(to_base64(*raw)) == *raw, "base64 reads back");
  PLUMBLINE_CHECK(valid_utf8(json_quote(bytes)), "JSON is UTF-8");
}

std::vector<std::string> head_seeds() {
  return {"GET /api/v1/query?query=up HTTP/1.1\r\nHost: localhost:9090\r\nAccept: */*\r\n\r\n",
          "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nContent-Encoding: snappy\r\nConnection: close\r\n\r\n",
          "POST /loki/api/v1/push HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"};
}

}  // namespace

Targets http_targets() {
  return {
      {"http_head", head, head_seeds},
      {"http_target", target, [] { return std::vector<std::string>{"/a%20b/../c//./d?x=1&y=%2F+z&q", "/%2e%2e/%2F?=&&a"}; }},
      {"http_form", form, [] { return std::vector<std::string>{"query=up%7Ba%3D%22b%22%7D&time=1+2&x", "a=%00&b=%zz"}; }},
      {"http_chunks", chunks, [] {
         return std::vector<std::string>{"5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\nGET", "0\r\n\r\n"};
       }},
      {"url", url, [] {
         return std::vector<std::string>{"http://[::1]:9100/metrics?a=b%20c", "https://ex%61mple.com/a/../b#f", "http://h%0d%0a/"};
       }},
      {"compression", compression, [] {
         const std::string body = "plumbline plumbline plumbline plumbline 0123456789";
         return std::vector<std::string>{std::string(1, 0) + gzip(body), std::string(1, 0) + gzip(body) + gzip("x"), "\2" + snappy(body),
                                         "\3" + zstd(body), "\3" + zstd(body) + zstd("y"), "\4" + body};
       }},
      {"text", text, [] {
         return std::vector<std::string>{"1.5e-3", "+Inf", "0x1p4", "1h30m15s2ms", "2024-05-01T10:00:00.123456789+02:00",
                                         "1435781451.781", "00ffAB", "Zm9vYmFy", "\xc3\xa9\xff\"\\"};
       }},
  };
}

}  // namespace plumbline::fuzz
