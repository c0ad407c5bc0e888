#include "storage/kv/rocks_options.hpp"

#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "storage/kv/table_judge.hpp"

namespace plumbline::storage::kv {

const char* family_name(Family family) {
  switch (family) {
    case Family::meta: return "default";  // RocksDB wants a family of this name
    case Family::journal: return "journal";
    case Family::series: return "series";
    case Family::postings: return "postings";
    case Family::chunks: return "chunks";
    case Family::events: return "events";
    case Family::event_ids: return "event_ids";
    case Family::labels: return "labels";
    case Family::state: return "state";
  }
  return "default";
}

rocksdb::DBOptions db_options(rocksdb::Env* env, std::shared_ptr<rocksdb::Logger> info_log) {
  rocksdb::DBOptions o;
  o.env = env;
  o.info_log = std::move(info_log);
  o.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  // The default mode opens "OK" after a flipped bit and silently drops what follows; this one refuses, and still accepts
  // a tail that a crash tore.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  o.wal_compression = rocksdb::CompressionType::kNoCompression;  // 7.8's streaming WAL compression breaks salvaging
  o.paranoid_checks = true;
  // A WAL file lives until every family that wrote to it is flushed; the quiet families must not keep gigabytes.
  o.max_total_wal_size = 128ull << 20;
  o.wal_bytes_per_sync = 1ull << 20;  // smooth writeback instead of one stall at fsync
  o.bytes_per_sync = 1ull << 20;
  o.max_background_jobs = 2;
  o.max_open_files = 2000;
  o.max_bgerror_resume_count = 1 << 30;  // a full disk: retry for ever, every second
  o.bgerror_resume_retry_interval = 1'000'000;
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  o.keep_log_file_num = 1;
  return o;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.block_size = 16 << 10;  // chunks and event blocks are kilobytes each
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = table_format;
  table.checksum = static_cast<rocksdb::ChecksumType>(table_checksums);
  table.enable_index_compression = false;  // a salvage finds the blocks behind a damaged one by the index
  std::vector<rocksdb::ColumnFamilyDescriptor> out;
  for (int i = 0; i < family_count; ++i) {
    const auto family = static_cast<Family>(i);
    rocksdb::ColumnFamilyOptions o;
    o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    o.write_buffer_size = 4 << 20;
    o.max_write_buffer_number = 3;
    o.arena_block_size = 64 << 10;  // what a quiet family takes; by default it is a megabyte
    o.compression = rocksdb::CompressionType::kNoCompression;
    o.level_compaction_dynamic_level_bytes = true;
    switch (family) {
      case Family::journal:
        // Written once, removed by range after a seal: larger memtables flush less of what will be removed anyway.
        o.write_buffer_size = 32 << 20;
        break;
      case Family::chunks:
      case Family::events:
        o.write_buffer_size = 16 << 20;  // their blocks are compressed by their engines
        break;
      case Family::series:
      case Family::event_ids:
      case Family::labels:
        o.write_buffer_size = 8 << 20;
        o.compression = rocksdb::CompressionType::kLZ4Compression;
        break;
      case Family::state: o.compression = rocksdb::CompressionType::kLZ4Compression; break;
      case Family::meta:
      case Family::postings: break;
    }
    out.emplace_back(family_name(family), o);
  }
  return out;
}

}  // namespace plumbline::storage::kv
