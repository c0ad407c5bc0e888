#include <catch2/catch.hpp>

#include <random>
#include <string>

#include "daemon/runtime/head.hpp"

using namespace plumbline;
using namespace plumbline::runtime;

namespace {

const std::string good = "GET /metrics?x=1 HTTP/1.1\r\nHost: localhost:9470\r\nAccept: */*\r\n\r\n";

std::string with_header(const std::string& line) { return "POST /x HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n"; }

}  // namespace

TEST_CASE("a plain request head is read", "[runtime][head]") {
  const auto head = parse_head(good, 100);
  REQUIRE(head);
  CHECK(head->method == "GET");
  CHECK(head->target == "/metrics?x=1");
  CHECK(head->keep_alive);
  CHECK_FALSE(head->chunked);
  CHECK_FALSE(head->content_length);
  REQUIRE(head->headers.size() == 2);
  CHECK(head->headers[0] == std::pair<std::string, std::string>("host", "localhost:9470"));
  CHECK(check_head(good));
}

TEST_CASE("framing headers are understood", "[runtime][head]") {
  CHECK(parse_head(with_header("Content-Length: 42"), 100)->content_length == 42);
  CHECK(parse_head(with_header("Transfer-Encoding: Chunked"), 100)->chunked);
  CHECK_FALSE(parse_head(with_header("Connection: x, Close"), 100)->keep_alive);
  CHECK(parse_head(with_header("Expect: 100-Continue"), 100)->expects_continue);
  CHECK(parse_head(with_header("X: \t padded \t"), 100)->headers.back().second == "padded");
  CHECK_FALSE(parse_head("GET / HTTP/1.0\r\n\r\n", 100)->keep_alive);
  CHECK(parse_head("GET http://other/a?b HTTP/1.1\r\nHost: h\r\n\r\n", 100)->target == "/a?b");
  CHECK(parse_head("GET http://other HTTP/1.1\r\nHost: h\r\n\r\n", 100)->target == "/");
}

TEST_CASE("ambiguous heads are refused with their reason", "[runtime][head]") {
  struct Case {
    std::string head, reason;
    int status;
  };
  const std::string nul("a\0b", 3);
  const Case cases[] = {
      {with_header("Content-Length: 4\r\nTransfer-Encoding: chunked"), "length_and_encoding", 400},
      {with_header("Content-Length: 4\r\nContent-Length: 5"), "two_lengths", 400},
      {with_header("Content-Length: 4\r\nContent-Length: 4"), "two_lengths", 400},
      {with_header("Content-Length: 4, 4"), "bad_length", 400},
      {with_header("Content-Length: +4"), "bad_length", 400},
      {with_header("Content-Length: -4"), "bad_length", 400},
      {with_header("Content-Length: 0x4"), "bad_length", 400},
      {with_header("Content-Length: 99999999999999999999"), "bad_length", 400},
      {with_header("Content-Length:"), "bad_length", 400},
      {with_header("Transfer-Encoding: gzip, chunked"), "transfer_encoding", 400},
      {with_header("Transfer-Encoding: chunked, chunked"), "transfer_encoding", 400},
      {with_header("Transfer-Encoding: xchunked"), "transfer_encoding", 400},
      {with_header("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "transfer_encoding", 400},
      {with_header("Transfer-Encoding : chunked"), "blank_before_colon", 400},
      {with_header("Transfer-Encoding\t: chunked"), "blank_before_colon", 400},
      {with_header("X: a\r\n b"), "folded_header", 400},
      {with_header("X: a\r\n\tb"), "folded_header", 400},
      {with_header("X: a\nY: b"), "bare_lf", 400},
      {with_header("X: a\rY: b"), "bare_cr", 400},
      {with_header("X: a\r\r"), "bare_cr", 400},
      {with_header("X: " + nul), "header_value", 400},
      {with_header("X: a\x01z"), "header_value", 400},
      {with_header("X: a\x7fz"), "header_value", 400},
      {with_header("X y: a"), "header_name", 400},
      {with_header("X\x80: a"), "header_name", 400},
      {with_header(": a"), "header_name", 400},
      {with_header("no colon"), "header_line", 400},
      {with_header("Host: again"), "two_hosts", 400},
      {with_header("Expect: tea"), "expect", 417},
      {"GET / HTTP/1.1\r\n\r\n", "no_host", 400},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad_host", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad_host", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer_encoding", 400},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "version", 505},
      {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "version", 505},
      {"GET / http/1.1\r\nHost: h\r\n\r\n", "version", 400},
      {"GET /\r\nHost: h\r\n\r\n", "request_line", 400},
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", "target", 400},
      {"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", "request_line", 400},
      {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", "request_line", 400},
  };
  for (const Case& c : cases) {
    INFO(c.head);
    const auto head = parse_head(c.head, 100);
    REQUIRE_FALSE(head);
    CHECK(head.error().reason == c.reason);
    CHECK(head.error().status == c.status);
    CHECK_FALSE(check_head(c.head));
  }
}

TEST_CASE("the number of headers is bounded", "[runtime][head]") {
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 99; ++i) many += "X: y\r\n";
  CHECK(check_head(many + "\r\n"));
  const auto head = parse_head(many + "X: y\r\n\r\n", 100);
  REQUIRE_FALSE(head);
  CHECK(head.error().status == 431);
}

TEST_CASE("the end of a head is found however its bytes arrive", "[runtime][head]") {
  for (std::size_t cut = 0; cut <= good.size(); ++cut) {
    const auto early = find_head_end(std::string_view(good).substr(0, cut), 0);
    REQUIRE(early);
    if (cut < good.size()) {
      CHECK(*early == std::string_view::npos);
      CHECK(*find_head_end(good + "more", cut) == good.size());
    } else {
      CHECK(*early == good.size());
    }
  }
  CHECK_FALSE(find_head_end("GET / HTTP/1.1\nHost: h\n", 0));
}

// What parse_head accepts, mutated or not, must hold its own rules; a crash or a leak is what the sanitizers look for.
TEST_CASE("mutated heads are refused or read without ambiguity", "[runtime][head][fuzz]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::string seeds[] = {
      good,
      with_header("Content-Length: 4"),
      with_header("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: keep-alive"),
      "GET /a%20b/../c?x=%41+1&y HTTP/1.0\r\n\r\n",
  };
  const std::string spice = std::string("\r\n\0\t :%,;\x7f\xff", 11) + "019aZ";
  for (int round = 0; round < 200'000; ++round) {
    std::string head = seeds[random() % std::size(seeds)];
    for (unsigned edits = 1 + random() % 4; edits > 0 && !head.empty(); --edits) {
      const std::size_t at = random() % head.size();
      switch (random() % 4) {
        case 0: head[at] = spice[random() % spice.size()]; break;
        case 1: head.insert(at, 1, spice[random() % spice.size()]); break;
        case 2: head.erase(at, 1 + random() % 3); break;
        default: head.insert(at, head.substr(random() % head.size(), random() % 24)); break;
      }
    }
    const auto end = find_head_end(head, 0);
    if (!end || *end == std::string::npos) continue;
    const auto read = parse_head(std::string_view(head).substr(0, *end), 100);
    if (!read) {
      REQUIRE(read.error().status >= 400);
      REQUIRE_FALSE(read.error().message.empty());
      continue;
    }
    REQUIRE_FALSE((read->chunked && read->content_length));
    REQUIRE(read->target.starts_with('/'));
    int lengths = 0;
    for (const auto& [name, value] : read->headers) {
      lengths += name == "content-length" || name == "transfer-encoding" ? 1 : 0;
      REQUIRE(name.find_first_of(" \t\r\n:") == std::string::npos);
      REQUIRE(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    }
    REQUIRE(lengths <= 1);
  }
}
