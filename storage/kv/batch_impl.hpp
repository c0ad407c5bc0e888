// A Batch is a byte string of operations until Kv::write() turns it into a RocksDB WriteBatch: a WriteBatch needs the
// column family handles of an open database, and modules build batches without one. The price is one memcpy.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::kv {

enum class BatchOp : std::uint8_t { put, remove, remove_range };

struct Batch::Impl {
  ByteWriter ops;  // op, family, sized key, sized value (or the range's end)
  void add(BatchOp op, Family family, std::string_view key, std::string_view value) {
    ops.u8(static_cast<std::uint8_t>(op));
    ops.u8(static_cast<std::uint8_t>(family));
    ops.sized(key);
    ops.sized(value);
  }
};

}  // namespace plumbline::storage::kv
