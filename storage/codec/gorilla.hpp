// Gorilla: timestamps as delta of delta, values as XOR with their predecessor. Bit-exact for every f64.
// The bytes are specified with a worked example in storage/format/chunk.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/codec/bit_stream.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::codec {

// Threads: one at a time. Timestamps may come in any order; small steps cost least.
class GorillaEncoder {
 public:
  void append(model::Sample sample);
  std::uint32_t count() const { return count_; }
  std::size_t size_bytes() const { return bits_.size_bytes(); }
  std::size_t memory_bytes() const { return bits_.memory_bytes(); }
  std::string str() const { return bits_.str(); }

 private:
  void time(std::int64_t t);
  void value(std::uint64_t v);
  BitWriter bits_;
  std::int64_t time_ = 0;
  std::uint64_t delta_ = 0;  // unsigned: steps across the whole range of i64 wrap
  std::uint64_t value_ = 0;
  std::uint32_t count_ = 0;
  std::uint8_t leading_ = 0xff;  // of the window that '10' reuses; 0xff: none yet
  std::uint8_t trailing_ = 0;
};

// Threads: one. Borrows: the bytes.
class GorillaDecoder {
 public:
  GorillaDecoder(std::string_view bytes, std::uint32_t count) : bits_(bytes), count_(count) {}
  // False at the end and at damage; then ok() tells which.
  bool next(model::Sample& out);
  bool ok() const { return bits_.ok() && sound_; }

 private:
  BitReader bits_;
  std::uint32_t count_;
  std::uint32_t read_ = 0;
  std::int64_t time_ = 0;
  std::uint64_t delta_ = 0;
  std::uint64_t value_ = 0;
  int leading_ = -1;
  int trailing_ = 0;
  bool sound_ = true;
};

std::string gorilla_encode(const std::vector<model::Sample>& samples);
// Appends to `out`. Fails: corrupt when the bytes end early or do not make sense.
Status gorilla_decode(std::string_view bytes, std::uint32_t count, std::vector<model::Sample>& out);

}  // namespace plumbline::storage::codec
