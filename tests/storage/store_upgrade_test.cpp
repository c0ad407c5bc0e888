// A directory of format 1 opens and is upgraded once.
#include "tests/storage/format_1.hpp"

using namespace plumbline;
using namespace plumbline::test;

TEST_CASE("a directory of format 1 is upgraded when it is opened, once, and takes writes") {
  StoreFixture f;
  f.clock.advance(std::chrono::seconds(100));
  write_format_1(f.options);
  f.open();
  check_format_1(*f.store);
  REQUIRE(f.store->write(one_series(Labels::of({{"__name__", "m"}, {"id", "7"}}), {{1'700'000'060'000, 2}})));
  f.lose_process();
  CHECK(read_all(*f.store, Labels::of({{"__name__", "m"}, {"id", "7"}})).size() == 3);
  f.store.reset();
  auto kv = storage::kv::Kv::open({f.options.path}, *f.log, f.registry);
  REQUIRE(kv);
  CHECK((*kv)->get(storage::kv::Family::meta, storage::format_key()).value() == "2");
  for (const auto family : {storage::kv::Family::chunks, storage::kv::Family::journal}) {
    int left = 0;
    REQUIRE((*kv)->scan(family, "", "", [&](std::string_view, std::string_view) { return ++left > 0; }));
    CHECK(left == 0);
  }
}
