#include <catch2/catch.hpp>

#include <random>

#include "daemon/base/compression.hpp"
#include "daemon/runtime/answer.hpp"
#include "daemon/runtime/chunks.hpp"
#include "daemon/runtime/router.hpp"
#include "daemon/runtime/target.hpp"

using namespace plumbline;
using namespace plumbline::runtime;

TEST_CASE("chunks are decoded however their bytes arrive", "[runtime][chunks]") {
  const std::string wire = "4\r\nWiki\r\n6;x=1\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nT: x\r\n\r\nNEXT";
  const std::string decoded = "Wikipedia in \r\n\r\nchunks.";
  for (std::size_t cut = 0; cut <= wire.size() - 4; ++cut) {
    ChunkDecoder decoder(1000);
    std::string body;
    const auto first = decoder.feed(std::string_view(wire).substr(0, cut), body);
    REQUIRE(first);
    REQUIRE(*first == cut);
    const auto second = decoder.feed(std::string_view(wire).substr(cut), body);
    REQUIRE(second);
    CHECK(decoder.done());
    CHECK(body == decoded);
    CHECK(wire.substr(cut + *second) == "NEXT");
  }
}

TEST_CASE("broken chunks are refused", "[runtime][chunks]") {
  const std::string long_extension = "1;" + std::string(5000, 'a') + "\r\nx\r\n0\r\n\r\n";
  const std::string long_trailer = "0\r\nX: " + std::string(5000, 'a') + "\r\n\r\n";
  for (const std::string& wire : std::vector<std::string>{
           "g\r\n", "\r\n", "-1\r\n", "+1\r\nx\r\n", " 1\r\nx\r\n", "1 \r\nx\r\n", "0x1\r\nx\r\n", "1\nx\r\n",
           "1\r\nxy\r\n", "1\r\nx\n", "1\r\nx\r\r", "1;a\nb\r\nx\r\n", "FFFFFFFFFFFFFFFF\r\n", "10000000000000000\r\n",
           "0\r\nX: y\n\r\n", "0\r\n\n", long_extension, long_trailer}) {
    INFO(wire.substr(0, 40));
    ChunkDecoder decoder(1000);
    std::string body;
    const auto fed = decoder.feed(wire, body);
    CHECK_FALSE(fed);
  }
  ChunkDecoder small(3);
  std::string body;
  const auto fed = small.feed("4\r\nabcd\r\n", body);
  REQUIRE_FALSE(fed);
  CHECK(fed.error().status == 413);
  CHECK(body.empty());
}

TEST_CASE("targets are decoded once and normalised", "[runtime][target]") {
  const auto path = [](std::string_view target) { return parse_target(target)->path(); };
  CHECK(path("/a/b") == "/a/b");
  CHECK(path("//a///b/") == "/a/b");
  CHECK(path("/a/./b/../c") == "/a/c");
  CHECK(path("/../../etc") == "/etc");
  CHECK(path("/a/%2e%2e/b") == "/b");
  CHECK(path("/%252e") == "/%2e");
  CHECK(path("/") == "/");
  CHECK(path("/a+b") == "/a+b");
  const auto slash = parse_target("/label/a%2Fb/values");
  REQUIRE(slash->segments.size() == 3);
  CHECK(slash->segments[1] == "a/b");
  const auto query = parse_target("/q?a=1&b=x+y%26z&a=2&flag&=v&&c=%3D=");
  REQUIRE(query);
  CHECK(query->query == http::Pairs{{"a", "1"}, {"b", "x y&z"}, {"a", "2"}, {"flag", ""}, {"", "v"}, {"c", "=="}});
  for (const std::string_view bad : {"/%", "/%4", "/%zz", "/a?b=%", "/a?%g1=x", "/%00", "/a%0d%0ab"}) CHECK_FALSE(parse_target(bad));
}

TEST_CASE("forms are bounded", "[runtime][target]") {
  std::string many;
  for (int i = 0; i < 10'001; ++i) many += "a&";
  http::Pairs pairs;
  const auto refusal = parse_form(many, pairs);
  REQUIRE(refusal);
  CHECK(refusal->reason == "too_many_parameters");
}

TEST_CASE("routes match by method and segments", "[runtime][router]") {
  const auto handler = [](const http::Request&) { return http::Response::empty(204); };
  const auto route = [&](std::string method, std::string pattern) {
    http::Route r;
    r.method = std::move(method);
    r.pattern = std::move(pattern);
    r.handler = handler;
    return r;
  };
  const auto router = Router::make({route("GET", "/api/v1/models/{model}/drift"), route("GET", "/api/v1/models/{m}/{what}"),
                                    route("POST", "/api/v1/models/{model}/references"), route("GET", "/")});
  REQUIRE(router);
  const auto drift = router->match("GET", {"api", "v1", "models", "a/b", "drift"});
  REQUIRE(drift.route);
  CHECK(drift.route->pattern == "/api/v1/models/{model}/drift");
  CHECK(drift.path_values == http::Pairs{{"model", "a/b"}});
  CHECK(router->match("HEAD", {}).route->pattern == "/");
  const auto wrong = router->match("PUT", {"api", "v1", "models", "m", "references"});
  CHECK_FALSE(wrong.route);
  CHECK(wrong.allowed == "GET, HEAD, OPTIONS, POST");
  CHECK(router->match("GET", {"api"}).allowed.empty());
  CHECK_FALSE(Router::make({route("GET", "/a/{x}"), route("GET", "/a/{y}")}));
  CHECK_FALSE(Router::make({route("GET", "a")}));
}

TEST_CASE("answers carry their framing and nothing a handler slips in", "[runtime][answer]") {
  http::Response response = http::Response::text("hello");
  response.with("X-Echo", "a\r\nSet-Cookie: b").with("Content-Length", "999").with("Connection", "upgrade");
  AnswerStyle style;
  const std::string wire = serialise(response, style, 784111777);
  CHECK(wire.starts_with("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  CHECK(wire.find("X-Echo: a  Set-Cookie: b\r\n") != std::string::npos);
  CHECK(wire.find("\r\nSet-Cookie") == std::string::npos);
  CHECK(wire.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(wire.find("999") == std::string::npos);
  CHECK(wire.find("nosniff") != std::string::npos);
  CHECK(wire.ends_with("\r\n\r\nhello"));
  style.head_only = true;
  style.keep_alive = false;
  const std::string head = serialise(response, style, 0);
  CHECK(head.ends_with("Connection: close\r\n\r\n"));
  CHECK(head.find("Content-Length: 5\r\n") != std::string::npos);
}

TEST_CASE("a large body is not copied behind its head", "[runtime][answer]") {
  const std::string text(100'000, 'x');
  std::string rest;
  CHECK(serialise(http::Response::text(text), {}, 0, &rest).ends_with("Content-Length: 100000\r\n\r\n"));
  CHECK(rest == text);
  rest.clear();
  CHECK(serialise(http::Response::text("short"), {}, 0, &rest).ends_with("\r\n\r\nshort"));
  AnswerStyle style;
  style.head_only = true;
  CHECK(serialise(http::Response::text(text), style, 0, &rest).ends_with("\r\n\r\n"));
  CHECK(rest.empty());
}

TEST_CASE("long text is compressed for who wants it", "[runtime][answer]") {
  const std::string text(5000, 'x');
  AnswerStyle style;
  style.coding = Coding::gzip;
  const std::string wire = serialise(http::Response::text(text), style, 0);
  CHECK(wire.find("Content-Encoding: gzip\r\n") != std::string::npos);
  CHECK(gunzip(wire.substr(wire.find("\r\n\r\n") + 4), 10'000) == text);
  CHECK(serialise(http::Response::text("short"), style, 0).find("gzip") == std::string::npos);
  style.coding = Coding::zstd;
  const std::string other = serialise(http::Response::text(text), style, 0);
  CHECK(other.find("Content-Encoding: zstd\r\n") != std::string::npos);
  CHECK(other.find("Vary: Accept-Encoding\r\n") != std::string::npos);
  CHECK(unzstd(other.substr(other.find("\r\n\r\n") + 4), 10'000) == text);

  CHECK(preferred_coding("deflate, gzip;q=0.5") == Coding::gzip);
  CHECK(preferred_coding("gzip, deflate, br, zstd") == Coding::zstd);
  CHECK(preferred_coding("gzip;q=1.0, zstd;q=0.5") == Coding::gzip);
  CHECK(preferred_coding("GZIP") == Coding::gzip);
  CHECK(preferred_coding("*") == Coding::zstd);
  CHECK(preferred_coding("zstd;q=0, *;q=0.1") == Coding::gzip);
  for (const char* none : {"gzip;q=0", "identity", "", "gzip;q=x", "*;q=0", "zstdx, xgzip"})
    CHECK(preferred_coding(none) == Coding::identity);
}

TEST_CASE("other origins are told what they may read", "[runtime][answer]") {
  CHECK(cors_headers({}).empty());
  const http::Pairs refused = cors_headers({"https://evil.example", false});
  CHECK(refused == http::Pairs{{"Vary", "Origin"}});
  AnswerStyle style;
  style.cross_origin = {"https://good.example", true};
  const std::string wire = serialise(http::Response::text("x"), style, 0);
  CHECK(wire.find("Access-Control-Allow-Origin: https://good.example\r\n") != std::string::npos);
  CHECK(wire.find("Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n") != std::string::npos);
  CHECK(wire.find("Vary: Origin\r\n") != std::string::npos);
}
