// Keys of the store's own families (meta, journal). Specified in storage/format/keys.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage {

inline constexpr std::uint8_t metadata_version = 1;

inline std::string meta_key(std::string_view name) { return kv::key_prefix(0) + std::string(name); }
inline std::string format_key() { return meta_key("format"); }
inline std::string positions_key() { return meta_key("positions"); }  // the trim position and the last seal's number
inline std::string metadata_prefix() { return meta_key("metric/"); }
inline std::string metadata_key(std::string_view metric) { return metadata_prefix() + std::string(metric); }
inline std::string journal_key(std::uint64_t sequence) {
  ByteWriter out;
  out.be64(sequence);
  return out.take();
}
// The first key after every key that starts with `prefix`; empty when there is none.
inline std::string after_prefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty() && static_cast<unsigned char>(out.back()) == 0xff) out.pop_back();
  if (!out.empty()) out.back() = static_cast<char>(static_cast<unsigned char>(out.back()) + 1);
  return out;
}

}  // namespace plumbline::storage
