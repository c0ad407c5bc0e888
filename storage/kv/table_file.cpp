#include "storage/kv/table_file.hpp"

#include <algorithm>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include "daemon/base/check.hpp"
#include "storage/kv/durable_directory.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/slices.hpp"
#include "storage/kv/table_judge.hpp"

namespace plumbline::storage::kv {

namespace {

Error read_error(const rocksdb::Status& status, const std::string& path) {
  const bool damaged = status.IsCorruption() || status.IsInvalidArgument() || status.IsNotSupported();
  return {damaged ? Code::corrupt : Code::io, path + ": " + status.ToString()};
}

Error write_error(const rocksdb::Status& status, const std::string& path) {
  return {Code::unavailable,
          path + (status.IsNoSpace() ? ": the data disk is full: " : ": the data disk refuses writes: ") + status.ToString()};
}

}  // namespace

struct TableFiles::Shared {
  std::string directory;
  std::shared_ptr<rocksdb::FileSystem> file_system;
  std::unique_ptr<rocksdb::Env> env;
  rocksdb::Options options;

  std::string path(const std::string& name) const { return directory + "/" + name; }
  rocksdb::Status sync_names() const { return sync_directory(*file_system, directory); }
};

Result<std::unique_ptr<TableFiles>> TableFiles::open(TableOptions options) {
  auto shared = std::make_shared<Shared>();
  shared->directory = std::move(options.directory);
  shared->file_system = options.file_system ? std::move(options.file_system) : rocksdb::FileSystem::Default();
  shared->env = rocksdb::NewCompositeEnv(with_judged_tables(shared->file_system));
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.cache_index_and_filter_blocks = true;  // else the indexes of many files would be outside the bound
  table.block_size = 4 << 10;                  // records are mostly larger and get a block of their own
  table.format_version = table_format;
  table.checksum = static_cast<rocksdb::ChecksumType>(table_checksums);
  shared->options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  shared->options.env = shared->env.get();
  shared->options.compression = rocksdb::CompressionType::kNoCompression;  // the records are compressed by their writers
  rocksdb::Status status;
  if (!options.read_only) status = make_durable_directory(*shared->file_system, shared->directory);
  if (!status.ok()) return fail(write_error(status, shared->directory));
  return std::unique_ptr<TableFiles>(new TableFiles(std::move(shared)));
}

TableFiles::TableFiles(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
TableFiles::~TableFiles() = default;

Result<std::vector<std::string>> TableFiles::list() const {
  std::vector<std::string> all;
  const rocksdb::Status status = shared_->file_system->GetChildren(shared_->directory, {}, &all, nullptr);
  if (!status.ok()) return fail(read_error(status, shared_->directory));
  std::erase_if(all, [](const std::string& name) { return !name.ends_with(".sst"); });
  std::ranges::sort(all);
  return all;
}

Result<bool> TableFiles::exists(const std::string& name) const {
  const rocksdb::Status status = shared_->file_system->FileExists(shared_->path(name), {}, nullptr);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound()) return fail(read_error(status, shared_->path(name)));
  return status.ok();
}

Status TableFiles::remove(const std::string& name) const {
  const rocksdb::Status status = shared_->file_system->DeleteFile(shared_->path(name), {}, nullptr);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound())
    return fail(write_error(status, shared_->path(name)));
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> damaged_tables(const std::string& directory,
                                                                        std::shared_ptr<rocksdb::FileSystem> file_system) {
  PLUMBLINE_TRY(const auto files, TableFiles::open({.directory = directory, .file_system = std::move(file_system), .read_only = true}));
  PLUMBLINE_TRY(const auto names, files->list());
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& name : names) {
    const auto table = files->read(name);
    const Status sound = table ? (*table)->verify() : Status(fail(table.error()));
    if (!sound) out.emplace_back(name, sound.error().message);
  }
  return out;
}

struct TableWriter::Impl {
  std::shared_ptr<TableFiles::Shared> shared;
  std::string path;
  std::unique_ptr<rocksdb::SstFileWriter> writer;
  bool finished = false;
};

TableWriter::TableWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TableWriter::~TableWriter() {
  if (impl_->finished) return;
  impl_->writer.reset();
  // Best effort: what stays is an orphan, and orphans are removed at the next start.
  impl_->shared->file_system->DeleteFile(impl_->path, {}, nullptr).PermitUncheckedError();
}

Result<std::unique_ptr<TableWriter>> TableFiles::create(const std::string& name) const {
  auto impl = std::make_unique<TableWriter::Impl>();
  impl->shared = shared_;
  impl->path = shared_->path(name);
  impl->writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), shared_->options);
  const rocksdb::Status status = impl->writer->Open(impl->path);
  if (!status.ok()) return fail(write_error(status, impl->path));
  return std::unique_ptr<TableWriter>(new TableWriter(std::move(impl)));
}

Status TableWriter::put(std::string_view key, std::string_view value) {
  const rocksdb::Status status = impl_->writer->Put(slice(key), slice(value));
  PLUMBLINE_CHECK(!status.IsInvalidArgument(), "keys of a table ascend");
  if (!status.ok()) return fail(write_error(status, impl_->path));
  return {};
}

Result<std::uint64_t> TableWriter::finish() {
  rocksdb::ExternalSstFileInfo info;
  rocksdb::Status status = impl_->writer->Finish(&info);  // syncs the file
  PLUMBLINE_CHECK(!status.IsInvalidArgument(), "a table has at least one key");
  kill_point("table.finish.synced");
  if (status.ok()) status = impl_->shared->sync_names();
  if (!status.ok()) return fail(write_error(status, impl_->path));
  impl_->finished = true;
  return info.file_size;
}

struct TableReader::Impl {
  std::shared_ptr<TableFiles::Shared> shared;
  std::string name;
  std::string path;
  std::uint64_t bytes = 0;
  std::unique_ptr<rocksdb::SstFileReader> reader;
};

TableReader::TableReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TableReader::~TableReader() = default;
const std::string& TableReader::name() const { return impl_->name; }
std::uint64_t TableReader::bytes() const { return impl_->bytes; }

Result<std::unique_ptr<TableReader>> TableFiles::read(const std::string& name) const {
  auto impl = std::make_unique<TableReader::Impl>();
  impl->shared = shared_;
  impl->name = name;
  impl->path = shared_->path(name);
  impl->reader = std::make_unique<rocksdb::SstFileReader>(shared_->options);
  rocksdb::Status status = shared_->file_system->GetFileSize(impl->path, {}, &impl->bytes, nullptr);
  if (status.ok()) status = impl->reader->Open(impl->path);
  if (!status.ok()) return fail(read_error(status, impl->path));
  return std::unique_ptr<TableReader>(new TableReader(std::move(impl)));
}

Status TableReader::verify() const {
  const rocksdb::Status status = impl_->reader->VerifyChecksum();
  if (!status.ok()) return fail(read_error(status, impl_->path));
  return {};
}

struct TableReader::Getter::Impl {
  const std::string& path;
  std::unique_ptr<rocksdb::Iterator> iterator;
};

TableReader::Getter::Getter(const TableReader& table)
    : impl_(std::make_unique<Impl>(table.impl_->path, std::unique_ptr<rocksdb::Iterator>(
                                                          table.impl_->reader->NewIterator(rocksdb::ReadOptions())))) {}
TableReader::Getter::~Getter() = default;
TableReader::Getter::Getter(Getter&&) noexcept = default;

Result<std::string_view> TableReader::Getter::get(std::string_view key) {
  impl_->iterator->Seek(slice(key));
  const rocksdb::Status status = impl_->iterator->status();
  if (!status.ok()) return fail(read_error(status, impl_->path));
  if (!impl_->iterator->Valid() || impl_->iterator->key() != slice(key))
    return fail(Code::corrupt, impl_->path + ": a record is missing");
  const rocksdb::Slice value = impl_->iterator->value();
  return std::string_view(value.data(), value.size());
}

}  // namespace plumbline::storage::kv
