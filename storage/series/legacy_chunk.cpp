#include "storage/series/legacy_chunk.hpp"

#include <string>

#include "daemon/base/bytes.hpp"
#include "storage/codec/gorilla.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::series {

Result<LegacyChunkKey> parse_legacy_chunk_key(std::string_view key) {
  ByteReader in(key);
  in.raw(kv::key_prefix_bytes);
  LegacyChunkKey out;
  out.day = in.be32();
  out.series = in.be32();
  out.min_t = in.be_i64();
  out.seal = in.be64();
  if (!in.ok() || !in.done())
    return fail(Code::corrupt, "chunk key of " + std::to_string(key.size()) + " bytes, 31 are right");
  return out;
}

Status decode_legacy_chunk(std::uint32_t series, std::string_view value, std::vector<model::Sample>& out) {
  if (value.size() < 4) return fail(Code::corrupt, "chunk of " + std::to_string(value.size()) + " bytes");
  const std::string_view body = value.substr(0, value.size() - 4);
  ByteReader tail(value.substr(value.size() - 4));
  if (crc32c(body) != tail.le32()) return fail(Code::corrupt, "chunk does not match its checksum");
  ByteReader in(body);
  const std::uint8_t version = in.u8();
  const std::uint8_t encoding = in.u8();
  in.u8();  // flags
  const std::uint64_t id = in.varint();
  const std::uint64_t count = in.varint();
  in.zigzag();  // first time
  in.varint();  // and the last
  in.varint();  // samples that are not stale
  in.raw(6 * 8);  // the summary
  if (!in.ok() || version != 1 || encoding != 1 || count == 0)
    return fail(Code::corrupt, "chunk header does not decode");
  if (id != series)
    return fail(Code::corrupt, "chunk holds series " + std::to_string(id) + ": it is not the one its key names");
  codec::GorillaDecoder decoder(in.raw(in.left()), static_cast<std::uint32_t>(count));
  model::Sample sample;
  while (decoder.next(sample)) out.push_back(sample);
  if (!decoder.ok()) return fail(Code::corrupt, "chunk ends before its last sample");
  return {};
}

}  // namespace plumbline::storage::series
