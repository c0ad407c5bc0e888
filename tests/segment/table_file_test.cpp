// Tables on a disk that fails: nothing half-written is taken for whole, and what finish() acknowledged survives a power cut.
#include "segment_fixture.hpp"
#include "storage/kv/fault_file_system.hpp"
#include "storage/kv/table_file.hpp"

using namespace plumbline;
using namespace plumbline::test;

TEST_CASE("a finished table survives a power cut, and every failure is told") {
  storage::kv::FaultDisk disk;
  const std::string path = std::string(storage::kv::FaultDisk::root) + "/t";
  auto files = must(storage::kv::TableFiles::open({path, 1 << 20, disk.file_system()}));
  const auto write = [&](const std::string& name) -> Status {
    PLUMBLINE_TRY(auto writer, files->create(name));
    for (int i = 0; i < 100; ++i)
      PLUMBLINE_CHECK_OK(writer->put("key" + std::to_string(1000 + i), std::string(5000, static_cast<char>(i))));
    PLUMBLINE_TRY(const std::uint64_t bytes, writer->finish());
    CHECK(bytes > 500'000);
    return {};
  };
  must(write("a.sst"));
  int failures = 0;
  for (std::uint64_t n = 1; n < 1000; ++n) {
    disk.fail_operation(n);
    const Status status = write("b.sst");
    disk.fail_operation(0);
    if (status) break;
    ++failures;
    CHECK(status.error().code == Code::unavailable);
    CHECK(status.error().message.find("b.sst") != std::string::npos);
    REQUIRE(must(files->list()) == std::vector<std::string>{"a.sst"});
  }
  CHECK(failures > 2);  // creation, append, sync
  must(files->remove("b.sst"));
  disk.no_space(true);
  const Status full = write("c.sst");
  disk.no_space(false);
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Code::unavailable);
  disk.power_cut();
  CHECK_FALSE(files->read("a.sst"));  // that process has ended
  files = must(storage::kv::TableFiles::open({path, 1 << 20, disk.file_system()}));
  const auto table = must(files->read("a.sst"));
  must(table->verify());
  storage::kv::TableReader::Getter getter(*table);
  for (int i = 0; i < 100; ++i)
    CHECK(must(getter.get("key" + std::to_string(1000 + i))) == std::string(5000, static_cast<char>(i)));
  CHECK(getter.get("key").error().code == Code::corrupt);
  CHECK(files->read("nothing.sst").error().code == Code::io);
}
