// Tables on a disk that fails: nothing half-written is taken for whole, and what finish() acknowledged survives a power cut.
#include "daemon/base/bytes.hpp"
#include "segment_fixture.hpp"
#include "storage/kv/fault_file_system.hpp"
#include "storage/kv/kv.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/kv/table_judge.hpp"
#include "storage/kv/table_salvage.hpp"

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

TEST_CASE("the end of a table says how its blocks are checksummed, and where they are") {
  std::string end(storage::kv::table_footer_bytes, '\0');
  const std::string handles = "\x80\x01\x05\xac\x02\x07";  // the metaindex at 128 of 5 bytes, the index at 300 of 7
  const std::string magic = "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88";
  end[0] = 4;
  end[41] = 5;
  end.replace(1, handles.size(), handles);
  end.replace(end.size() - magic.size(), magic.size(), magic);
  const auto footer = storage::kv::decode_table_footer("what stands before" + end);
  REQUIRE(footer);
  CHECK(footer->checksums == storage::kv::table_checksums);
  CHECK(footer->format == storage::kv::table_format);
  CHECK(footer->metaindex.at == 128);
  CHECK(footer->metaindex.bytes == 5);
  CHECK(footer->index.at == 300);
  CHECK(footer->index.bytes == 7);
  CHECK_FALSE(storage::kv::decode_table_footer(std::string_view(end).substr(1)));
  std::string endless = end;
  endless.replace(1, 40, std::string(40, '\xff'));
  CHECK(storage::kv::decode_table_footer(endless)->metaindex.bytes == std::numeric_limits<std::uint64_t>::max());
  end.back() ^= 1;
  CHECK_FALSE(storage::kv::decode_table_footer(end));
}

TEST_CASE("a block's keys are read until one does not decode") {
  const auto keys = [](std::string_view block) {
    std::string out;
    storage::kv::visit_block(block, [&](std::string_view key, std::string_view value) {
      out += std::string(key) + "=" + std::string(value) + " ";
      return true;
    });
    return out;
  };
  const std::string one_restart("\0\0\0\0\1\0\0\0", 8);
  const std::string block = std::string("\0\5\2alpha12\3\3\3ine345", 19) + one_restart;  // the second shares 3 letters with the first
  CHECK(keys(block) == "alpha=12 alpine=345 ");
  int visited = 0;
  storage::kv::visit_block(block, [&](std::string_view, std::string_view) { return ++visited < 1; });
  CHECK(visited == 1);
  for (std::size_t n = 0; n < 8; ++n) CHECK(keys(std::string_view(block).substr(0, n)).empty());
  for (const std::size_t at : {0, 1, 2, 10, 11, 12}) {  // the lengths
    std::string bad = block;
    bad[at] = '\x7f';
    CHECK(keys(bad) == (at < 3 ? "" : "alpha=12 "));
  }
  std::string many = block;
  many[many.size() - 1] = '\x80';  // more restarts than bytes
  CHECK(keys(many).empty());
}

namespace {

struct OneTable {
  storage::kv::FaultDisk disk;
  const std::string directory = std::string(storage::kv::FaultDisk::root) + "/t";
  const std::string path = directory + "/a.sst";
  std::unique_ptr<storage::kv::TableFiles> files = must(storage::kv::TableFiles::open({directory, 1 << 20, disk.file_system()}));
  std::vector<std::string> salvaged;

  OneTable() {
    const auto writer = must(files->create("a.sst"));
    must(writer->put("key", "value"));
    must(writer->finish());
  }
  Result<storage::kv::TableRest> salvage() {
    salvaged.clear();
    return storage::kv::salvage_table(path, disk.file_system(), [&](std::string_view, std::string_view key, std::string_view value) -> Status {
      salvaged.push_back(std::string(key) + "=" + std::string(value));
      return {};
    });
  }
};

}  // namespace

TEST_CASE_METHOD(OneTable, "a table whose end is damaged is told of, to readers, verify and salvages") {
  std::string bytes = disk.contents(path);
  bytes[bytes.size() - storage::kv::table_footer_bytes] = 0;
  disk.put(path, bytes);
  const auto told = [&](const Error& error) {
    CHECK(error.code == Code::corrupt);
    CHECK(error.message == path + ": Corruption: format 5 with checksums 0 at the end (Plumbline writes 5 with 4) in " + path);
  };
  told(files->read("a.sst").error());
  told(salvage().error());
  const auto damaged = must(storage::kv::damaged_tables(directory, disk.file_system()));
  REQUIRE(damaged.size() == 1);
  CHECK(damaged[0].first == "a.sst");
}

TEST_CASE_METHOD(OneTable, "a read that fails while a table is judged is no damage") {
  int failed = 0;
  for (std::uint64_t n = 1; n < 100; ++n) {
    disk.fail_read(n);
    const auto table = storage::kv::TableFiles::open({directory, 1 << 20, disk.file_system()}).value()->read("a.sst");
    disk.fail_read(0);
    if (table) break;
    ++failed;
    CHECK(table.error().code == Code::io);
  }
  CHECK(failed > 3);
}

// RocksDB decodes the properties before it verifies them, and one of these bits is an assertion that ends the process.
TEST_CASE_METHOD(OneTable, "a table with any bit flipped is told of, or reads as it was") {
  const std::string good = disk.contents(path);
  int told = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    INFO("bit " << bit << " of " << good.size() * 8);
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    disk.put(path, bad);
    const auto table = storage::kv::TableFiles::open({directory, 1 << 20, disk.file_system()}).value()->read("a.sst");
    const auto damaged = [&](const Error& error) {
      ++told;
      CHECK(error.code == Code::corrupt);
      CHECK(error.message.find(path) != std::string::npos);
    };
    if (!table) {
      damaged(table.error());
    } else {
      storage::kv::TableReader::Getter getter(**table);
      const auto value = getter.get("key");
      if (value) CHECK(*value == "value");
      else damaged(value.error());
    }
    if (const auto rest = salvage()) {
      for (const std::string& line : salvaged) REQUIRE(line == "key=value");
    }
  }
  CHECK(told > static_cast<int>(good.size() * 7));  // all but the padding of the end, and blocks that nothing is read from
}

TEST_CASE_METHOD(OneTable, "an index that is said to be where none can be is told of") {
  const std::string good = disk.contents(path);
  const std::string_view end = std::string_view(good).substr(good.size() - storage::kv::table_footer_bytes);
  const storage::kv::TableFooter footer = *storage::kv::decode_table_footer(end);
  const auto told = [&](storage::kv::BlockHandle index) {
    ByteWriter handles;
    for (const std::uint64_t v : {footer.metaindex.at, footer.metaindex.bytes, index.at, index.bytes}) handles.varint(v);
    std::string bad = good;
    bad.replace(bad.size() - storage::kv::table_footer_bytes + 1, handles.str().size(), handles.str());
    disk.put(path, bad);
    return !files->read("a.sst");
  };
  CHECK_FALSE(told(footer.index));
  CHECK(told({footer.index.at, (1ull << 56) - 1}));
  CHECK(told({0ull - 5, footer.metaindex.at}));  // their sum is right
  CHECK(told({0, footer.index.at - 5}));         // the first block
  CHECK(told({footer.index.at, footer.index.bytes - 1}));
}

TEST_CASE_METHOD(OneTable, "a table that is cut anywhere is told of") {
  const std::string good = disk.contents(path);
  for (std::size_t n = 0; n < good.size(); ++n) {
    disk.put(path, good.substr(0, n));
    const auto table = files->read("a.sst");
    REQUIRE_FALSE(table);
    CHECK(table.error().code == Code::corrupt);
    CHECK(table.error().message.starts_with(path + ": "));
  }
}

// RocksDB writes the sequence number into the file when it takes it in, behind the checksum of what it says then.
TEST_CASE("a table that was taken in with a sequence number verifies") {
  TempDir directory;
  Registry registry;
  const auto log = make_null_log();
  auto kv = must(storage::kv::Kv::open({.path = directory.path("db")}, *log, registry));
  storage::kv::Batch batch;
  batch.put(storage::kv::Family::meta, "b", "old");
  must(kv->write(std::move(batch), storage::kv::Sync::no));
  must(kv->ingest(storage::kv::Family::meta, [](const auto& put) -> Status {
    PLUMBLINE_CHECK_OK(put("a", "1"));
    return put("b", "2");
  }));
  CHECK(must(kv->get(storage::kv::Family::meta, "b")) == "2");  // it is the newer one: its number is not 0
  must(kv->close());
  const auto damaged = must(storage::kv::damaged_tables(directory.path("db"), nullptr));
  for (const auto& [name, what] : damaged) FAIL_CHECK(what);
  kv = must(storage::kv::Kv::open({.path = directory.path("db")}, *log, registry));
  CHECK(must(kv->get(storage::kv::Family::meta, "b")) == "2");
}
