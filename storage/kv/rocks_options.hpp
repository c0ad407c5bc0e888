// Every RocksDB option that Plumbline sets, with its reason, in one place.
#pragma once

#include <memory>
#include <vector>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "storage/kv/kv.hpp"

namespace plumbline::storage::kv {

rocksdb::DBOptions db_options(rocksdb::Env* env, std::shared_ptr<rocksdb::Logger> info_log);
std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(std::shared_ptr<rocksdb::Cache> cache);
const char* family_name(Family family);

}  // namespace plumbline::storage::kv
