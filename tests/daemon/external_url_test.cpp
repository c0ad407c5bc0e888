// Where the links of notifications lead when nobody says.
#include <catch2/catch.hpp>

#include "daemon/external_url.hpp"

using plumbline::daemon::default_external_url;

TEST_CASE("links lead to the first address that HTTP listens on") {
  CHECK(default_external_url({"127.0.0.1:9470", "127.0.0.1:4318"}, "box") == "http://127.0.0.1:9470");
  CHECK(default_external_url({"monitor.example:80"}, "box") == "http://monitor.example:80");
  CHECK(default_external_url({"[::1]:9470"}, "box") == "http://[::1]:9470");
  CHECK(default_external_url({"0.0.0.0:9470"}, "box") == "http://box:9470");
  CHECK(default_external_url({"[::]:9470"}, "box") == "http://box:9470");
  CHECK(default_external_url({":9470"}, "box") == "http://box:9470");
}

TEST_CASE("links are relative when nobody can know where they lead") {
  CHECK(default_external_url({}, "box").empty());
  CHECK(default_external_url({"127.0.0.1:0"}, "box").empty());
  CHECK(default_external_url({"0.0.0.0:9470"}, "").empty());
}
