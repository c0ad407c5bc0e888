#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <random>

#include <catch2/catch.hpp>

#include "daemon/base/bounded_queue.hpp"
#include "daemon/base/bytes.hpp"
#include "daemon/base/compression.hpp"
#include "daemon/base/json_writer.hpp"
#include "daemon/base/meters.hpp"
#include "daemon/base/text.hpp"
#include "proto/http.hpp"

using namespace plumbline;

TEST_CASE("crc32c of every length is what its polynomial says", "[base][bytes]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::string bytes(8000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  std::uint32_t c = ~0u;  // bit by bit, over a growing prefix
  for (std::size_t length = 1; length <= bytes.size(); ++length) {
    c ^= static_cast<std::uint8_t>(bytes[length - 1]);
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0u);
    REQUIRE(crc32c(std::string_view(bytes).substr(0, length)) == ~c);
  }
}

TEST_CASE("crc32c and xxh3 give the published check values", "[base][bytes]") {
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c("") == 0u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aau);  // RFC 3720, B.4
  CHECK(hash64("") == 0x2d06800538d394c2ull);
}

TEST_CASE("a byte reader gives back what was written and never reads past its end", "[base][bytes]") {
  ByteWriter w;
  w.u8(7);
  w.be32(0x01020304);
  w.varint(0);
  w.varint(~0ull);
  w.zigzag(-1);
  w.zigzag(std::numeric_limits<std::int64_t>::min());
  w.f64(-0.0);
  w.sized("abc");
  w.be_i64(-5);
  ByteReader r(w.str());
  CHECK(r.u8() == 7);
  CHECK(r.be32() == 0x01020304);
  CHECK(r.varint() == 0);
  CHECK(r.varint() == ~0ull);
  CHECK(r.zigzag() == -1);
  CHECK(r.zigzag() == std::numeric_limits<std::int64_t>::min());
  CHECK(std::signbit(r.f64()));
  CHECK(r.sized() == "abc");
  CHECK(r.be_i64() == -5);
  CHECK(r.done());
  CHECK(r.ok());
  for (std::size_t n = 0; n < w.size(); ++n) {
    ByteReader shorter(std::string_view(w.str()).substr(0, n));
    shorter.u8(), shorter.be32(), shorter.varint(), shorter.varint(), shorter.zigzag(), shorter.zigzag();
    shorter.f64(), shorter.sized(), shorter.be_i64();
    CHECK_FALSE(shorter.ok());
  }
  ByteReader overlong("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  overlong.varint();
  CHECK_FALSE(overlong.ok());
}

TEST_CASE("signed keys sort as numbers", "[base][bytes]") {
  std::string last;
  for (const std::int64_t v : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-7}, std::int64_t{0}, std::int64_t{7}}) {
    ByteWriter w;
    w.be_i64(v);
    CHECK(last < w.str());
    last = w.take();
  }
}

TEST_CASE("any number reads back from its shortest digits", "[base][text]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100'000; ++i) {
    double v = std::bit_cast<double>(random());
    if (i % 2 == 0) v = std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), static_cast<int>(random() % 90) - 80);
    if (i % 10 == 0) v = static_cast<double>(static_cast<std::int64_t>(random() >> random() % 64)) / 1000;
    if (!std::isfinite(v) || v == 0) continue;
    const std::string text = format_number(v);
    INFO(text);
    REQUIRE(text.size() <= number_bytes_max);
    REQUIRE(parse_number(text) == v);
    const double a = std::fabs(v);
    REQUIRE((text.find('e') != std::string::npos) == (a < 1e-6 || a >= 1e21));
    // As many digits that count as the shortest scientific form has.
    std::array<char, 40> shortest;
    const auto end = std::to_chars(shortest.data(), shortest.data() + shortest.size(), v, std::chars_format::scientific).ptr;
    const auto digits = [](std::string_view s) {
      s = s.substr(0, s.find('e'));
      std::string out;
      for (const char c : s)
        if (c >= '0' && c <= '9' && (c != '0' || !out.empty())) out += c;
      while (out.ends_with('0')) out.pop_back();
      return out;
    };
    REQUIRE(digits(text) == digits({shortest.data(), end}));
  }
}

TEST_CASE("numbers print as Prometheus prints them and read back", "[base][text]") {
  const std::vector<std::pair<double, std::string>> table{
      {0, "0"}, {-0.0, "-0"}, {1, "1"}, {0.1, "0.1"}, {1e20, "100000000000000000000"}, {1e21, "1e+21"},
      {1e-6, "0.000001"}, {1e-7, "1e-07"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}, {NAN, "NaN"},
      {9007199254740993.0, "9007199254740992"}, {18446744073709551616.0, "18446744073709552000"}, {-1234.5, "-1234.5"},
      {0.000123, "0.000123"}, {1435781451.781, "1435781451.781"}, {123456789012345680000.0, "123456789012345680000"}, {5e-324, "5e-324"}};
  for (const auto& [v, text] : table) {
    CHECK(format_number(v) == text);
    if (!std::isnan(v)) CHECK(parse_number(text) == v);
  }
  CHECK(std::isnan(*parse_number("nan")));
  for (const char* bad : {"", "+", "1x", " 1", "0x", "1e", "+-1", "nan(1)", "--1"}) CHECK_FALSE(parse_number(bad));
  CHECK(parse_number("1e999") == INFINITY);
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(NAN) == "null");
}

TEST_CASE("durations are Prometheus'", "[base][text]") {
  CHECK(parse_duration_ms("1h30m") == 5'400'000);
  CHECK(parse_duration_ms("100ms") == 100);
  CHECK(parse_duration_ms("2w") == 14ll * 86'400'000);
  CHECK(parse_duration_ms("1y") == 365ll * 86'400'000);
  CHECK(parse_duration_ms("0") == 0);
  for (const char* bad : {"", "5", "5 m", "5min", "1m1h", "1m1m", "-5m", "1.5h", "99999999999y", "m"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration_ms(bad).has_value());
  }
  CHECK(format_duration_ms(5'400'000) == "1h30m");
  CHECK(format_duration_ms(0) == "0s");
  CHECK(format_duration_ms(86'400'000ll * 30) == "30d");
  CHECK(format_duration_ms(86'400'000ll * 28) == "4w");
  CHECK(format_duration_ms(90'061'001) == "1d1h1m1s1ms");
}

TEST_CASE("times read in RFC 3339 and in Unix form", "[base][text]") {
  CHECK(parse_rfc3339_ns("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339_ns("2024-05-01T12:00:00+02:00") == 1'714'557'600'000'000'000);
  CHECK(parse_rfc3339_ns("2024-02-29T23:59:59.123456789Z") == 1'709'251'199'123'456'789);
  CHECK(parse_rfc3339_ns("1969-12-31T23:59:59.5Z") == -500'000'000);
  for (const char* bad : {"2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-01", "2024-05-01T25:00:00Z",
                          "2024-05-01T10:00:00", "2024-05-01T10:00:00.Z", "2024-05-01T10:00:00Zx", "3024-05-01T10:00:00Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_rfc3339_ns(bad).has_value());
  }
  CHECK(parse_api_time_ms("1435781451.781") == 1'435'781'451'781);
  CHECK(parse_api_time_ms("2015-07-01T20:10:51.781Z") == 1'435'781'451'781);
  CHECK_FALSE(parse_api_time_ms("yesterday").has_value());
  CHECK_FALSE(parse_api_time_ms("NaN").has_value());
  CHECK(format_rfc3339_ms(1'435'781'451'781) == "2015-07-01T20:10:51.781Z");
  // A refused sample is named by its time, whatever it is.
  CHECK(format_rfc3339_ms(std::numeric_limits<std::int64_t>::max()) == "292278994-08-17T07:12:55.807Z");
  CHECK(format_rfc3339_ms(std::numeric_limits<std::int64_t>::min()) == "-292275055-05-16T16:47:04.192Z");
  CHECK(format_rfc3339_ns(-500'000'000) == "1969-12-31T23:59:59.5Z");
  CHECK(unix_ns_by_magnitude(1.7e9) == 1'700'000'000'000'000'000);
  CHECK(unix_ns_by_magnitude(1795258000.123) == 1'795'258'000'123'000'000);
  CHECK(unix_ns_by_magnitude(1795258000123.25) == 1'795'258'000'123'250'000);
  CHECK(unix_ns_by_magnitude(1.7e12) == 1'700'000'000'000'000'000);
  CHECK(unix_ns_by_magnitude(1.7e15) == 1'700'000'000'000'000'000);
  CHECK(unix_ns_by_magnitude(1.7e18) == 1'700'000'000'000'000'000);
}

TEST_CASE("hex, base64, UTF-8 and JSON strings", "[base][text]") {
  CHECK(hex("\x01\xff") == "01ff");
  CHECK(from_hex("01FF") == std::string("\x01\xff"));
  CHECK_FALSE(from_hex("0").has_value());
  CHECK_FALSE(from_hex("0g").has_value());
  CHECK(to_base64("") == "");
  CHECK(to_base64("f") == "Zg==");
  CHECK(to_base64("fo") == "Zm8=");
  CHECK(to_base64("foobar") == "Zm9vYmFy");
  CHECK(from_base64("Zm8=") == std::string("fo"));
  CHECK(from_base64("Zm9vYmE") == std::string("fooba"));
  CHECK_FALSE(from_base64("A").has_value());
  CHECK_FALSE(from_base64("A*==").has_value());
  CHECK(valid_utf8("naïve"));
  CHECK_FALSE(valid_utf8("\xc3\x28"));
  CHECK(json_quote("a\"\\\n\x01") == "\"a\\\"\\\\\\n\\u0001\"");
  CHECK(json_quote("é\xff") == "\"é\xef\xbf\xbd\"");
}

TEST_CASE("decompression keeps to its limit and names the damage", "[base][compression]") {
  const std::string text(100'000, 'x');
  CHECK(gunzip(gzip(text), 100'000) == text);
  CHECK(unsnappy(snappy(text), 100'000) == text);
  CHECK(unzstd(zstd(text), 100'000) == text);
  CHECK(gunzip(gzip(text) + gzip("y"), 200'000) == text + "y");
  CHECK(gunzip(gzip(""), 10) == "");
  for (const auto& result : {gunzip(gzip(text), 99'999), unsnappy(snappy(text), 99'999), unzstd(zstd(text), 99'999)}) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::too_large);
  }
  for (const std::string& whole : {gzip(text), zstd(text), snappy(text)})
    for (std::size_t n = 0; n < whole.size(); ++n) {
      const std::string_view cut = std::string_view(whole).substr(0, n);
      if (whole == gzip(text)) CHECK_FALSE(gunzip(cut, 1 << 20));
      else if (whole == zstd(text)) CHECK_FALSE(unzstd(cut, 1 << 20));
      else CHECK_FALSE(unsnappy(cut, 1 << 20));
    }
  // Frames of one raw block "abc" and an empty last block, the first says so, the second declares 5 bytes.
  const std::string three("\x28\xb5\x2f\xfd\x20\x03\x18\x00\x00" "abc\x01\x00\x00", 15);
  std::string five = three;
  five[5] = 5;
  CHECK(unzstd(three, 10) == "abc");
  CHECK(unzstd(three + three, 10) == "abcabc");
  for (const std::string& lie : {five, three + five, five + three}) {
    const auto read = unzstd(lie, 10);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::invalid_input);
  }
  CHECK(unzstd(three + zstd(text), 10).error().code == Code::too_large);
  // A block of a few bytes that declares 4 GiB is refused before anything is allocated.
  CHECK(unsnappy("\xff\xff\xff\xff\x0f\x00", 1 << 20).error().code == Code::too_large);
  CHECK(decode_content("br", "x", 10).error().code == Code::unsupported);
  CHECK(decode_content("identity", "x", 10) == "x");
  CHECK(decode_content("", std::string(11, 'x'), 10).error().code == Code::too_large);
}

TEST_CASE("damaged streams are errors and never crashes", "[base][compression]") {
  const auto seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string text(5000, 'q');
  for (int i = 0; i < 2000; ++i) {
    std::string g = gzip(text), s = snappy(text), z = zstd(text);
    for (std::string* b : {&g, &s, &z}) (*b)[random() % b->size()] ^= static_cast<char>(1 << random() % 8);
    if (const auto r = gunzip(g, 10'000)) CHECK(r->size() <= 10'000);
    if (const auto r = unsnappy(s, 10'000)) CHECK(r->size() <= 10'000);
    if (const auto r = unzstd(z, 10'000)) CHECK(r->size() <= 10'000);
  }
}

TEST_CASE("the registry renders the Prometheus text format", "[base][meters]") {
  Registry registry;
  registry.counter("plumbline_x_total", "X \\ y", {{"reason", "a\"b"}}).add(3);
  CHECK(&registry.counter("plumbline_x_total", "", {{"reason", "a\"b"}}) ==
        &registry.counter("plumbline_x_total", "", {{"reason", "a\"b"}}));
  registry.gauge("plumbline_g", "G").set(1.5);
  registry.histogram("plumbline_h", "H").observe(0.02);
  const std::string text = registry.render();
  CHECK(text.find("# HELP plumbline_x_total X \\\\ y\n# TYPE plumbline_x_total counter\n"
                  "plumbline_x_total{reason=\"a\\\"b\"} 3\n") != std::string::npos);
  CHECK(text.find("plumbline_g 1.5\n") != std::string::npos);
  CHECK(text.find("plumbline_h_bucket{le=\"0.01\"} 0\nplumbline_h_bucket{le=\"0.025\"} 1\n") != std::string::npos);
  CHECK(text.find("plumbline_h_bucket{le=\"+Inf\"} 1\nplumbline_h_sum 0.02\nplumbline_h_count 1\n") != std::string::npos);
}

TEST_CASE("a bounded queue refuses when full and drains when closed", "[base][queue]") {
  BoundedQueue<int> queue(2);
  int a = 1, b = 2, c = 3;
  CHECK(queue.try_push(a));
  CHECK(queue.try_push(b));
  CHECK_FALSE(queue.try_push(c));
  queue.close();
  CHECK(queue.pop() == 1);
  CHECK(queue.pop() == 2);
  CHECK_FALSE(queue.pop().has_value());
  CHECK_FALSE(queue.try_push(c));
}

TEST_CASE("JSON is written with its commas in place", "[base][json]") {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("a", 1).key("b").begin_array().number(0.5).string("x").begin_object().end_object().end_array();
  w.field("c", true).key("d").null().end_object();
  CHECK(out == R"({"a":1,"b":[0.5,"x",{}],"c":true,"d":null})");
}

TEST_CASE("URLs are taken apart and put together", "[proto][http]") {
  const auto url = http::parse_url("http://[::1]:9100/metrics?a=b%20c");
  REQUIRE(url);
  CHECK(url->host == "::1");
  CHECK(url->port == "9100");
  CHECK(url->target == "/metrics?a=b%20c");
  CHECK(url->text() == "http://[::1]:9100/metrics?a=b%20c");
  CHECK(http::parse_url("https://example.com")->text() == "https://example.com/");
  for (const char* bad : {"", "localhost:9090", "ftp://x/", "http://", "http://u:p@h/", "http://h:99999999999/"}) {
    CAPTURE(bad);
    CHECK_FALSE(http::parse_url(bad).has_value());
  }
}

TEST_CASE("a host is what a resolver and a Host header may be given", "[proto][http]") {
  for (const char* good : {"http://my_host-1.example.com/", "http://10.0.0.1/", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
                           "http://ex%61mple.com/", "http://a~b/"}) {
    CAPTURE(good);
    CHECK(http::parse_url(good).has_value());
  }
  // Each would be something else once decoded: a further header line, another path, a port, a user, a quote.
  for (const char* bad : {"http://h%0d%0aX-Evil:%201/", "http://h%0a/", "http://h%2fadmin/", "http://h%3a80/", "http://u%40h/",
                          "http://h%60id%60/", "http://h%00/", "http://h%20x/", "http://a$b/", "http://a;b/", "http://a,b/",
                          "http://%c3%a9.example/", "http://[v1.a]/", "http://[::1]:://x/"}) {
    CAPTURE(bad);
    const auto url = http::parse_url(bad);
    REQUIRE_FALSE(url);
    CHECK(url.error().code == Code::invalid_input);
  }
}

TEST_CASE("an error answer is Prometheus' envelope", "[proto][http]") {
  const auto r = http::Response::error({Code::unavailable, "disk is full"});
  CHECK(r.status == 503);
  CHECK(r.body == R"({"status":"error","errorType":"unavailable","error":"disk is full"})");
  CHECK(r.headers.back() == std::pair<std::string, std::string>("Retry-After", "1"));
}
