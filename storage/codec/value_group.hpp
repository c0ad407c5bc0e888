// The value columns of sibling series, compressed together, bit-exact for every f64: NaN payloads, -0.0 and
// all. The bytes are specified with a worked example in storage/format/value_group.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"

namespace plumbline::storage::codec {

inline constexpr std::size_t group_columns_max = 65535;
inline constexpr std::size_t column_values_max = 65535;
inline constexpr std::size_t group_values_max = std::size_t{1} << 22;  // what an encoder may hold in memory

// Threads: one at a time. Columns that resemble each other should be added one after the other.
class ValueGroupEncoder {
 public:
  ValueGroupEncoder();
  ~ValueGroupEncoder();
  ValueGroupEncoder(ValueGroupEncoder&&) noexcept;
  ValueGroupEncoder& operator=(ValueGroupEncoder&&) noexcept;

  // 0 to column_values_max values, copied. The group's limits above are the caller's to keep (checked).
  void add(std::span<const double> column);
  std::size_t columns() const;
  std::size_t values() const;  // of all columns
  // The group. The encoder is then empty and may be used again, which spares its buffers' allocation.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Threads: one at a time. Borrows: the bytes. Memory: a few times the bytes, and at most 16 MiB whatever they
// say.
class ValueGroupDecoder {
 public:
  // Fails: corrupt, unsupported (written by a newer version).
  static Result<ValueGroupDecoder> open(std::string_view bytes);
  ~ValueGroupDecoder();
  ValueGroupDecoder(ValueGroupDecoder&&) noexcept;
  ValueGroupDecoder& operator=(ValueGroupDecoder&&) noexcept;

  std::size_t columns() const;
  std::size_t length(std::size_t column) const;  // column < columns()
  // Decodes one column. Fails: corrupt, also when there is no such column or `out` has not exactly its
  // length.
  Status read(std::size_t column, std::span<double> out);

 private:
  struct Impl;
  explicit ValueGroupDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::storage::codec
