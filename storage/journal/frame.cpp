#include "storage/journal/frame.hpp"

#include <cstring>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::journal {

namespace {
constexpr std::string_view magic = "PLBJRNL\n";

template <class T>
void put(char* at, T v) {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(v >> (8 * i));
}
}  // namespace

std::string encode_header(const FileHeader& header) {
  ByteWriter out;
  out.raw(magic);
  out.le32(file_version);
  out.le64(header.first_sequence);
  out.le64(header.previous_end);
  out.le64(header.previous_first);
  out.le32(crc32c(out.str()));
  return out.take();
}

Result<std::optional<FileHeader>> decode_header(std::string_view bytes) {
  if (bytes.size() < header_bytes) return std::nullopt;
  ByteReader in(bytes.substr(0, header_bytes));
  if (in.raw(magic.size()) != magic) return std::nullopt;
  FileHeader out;
  out.version = in.le32();
  out.first_sequence = in.le64();
  out.previous_end = in.le64();
  const std::uint64_t third = in.le64();
  out.previous_first = out.version == 1 ? 0 : third;
  out.previous_synced = out.version == 1 ? third : out.previous_end;
  // The header has this size and its checksum this place in every version.
  if (in.le32() != crc32c(bytes.substr(0, header_bytes - 4))) return std::nullopt;
  if (out.version > file_version)
    return fail(Code::unsupported, "journal file of version " + std::to_string(out.version) + ", this Plumbline reads up to " +
                                       std::to_string(file_version) +
                                       ": start the newer Plumbline once and stop it gracefully");
  return out;
}

void seal_frame(std::string& framed, std::uint64_t sequence, std::uint64_t synced) {
  char* at = framed.data();
  put(at + 4, static_cast<std::uint32_t>(framed.size() - frame_bytes));
  put(at + 8, synced);
  put(at + 16, sequence);
  put(at, crc32c(std::string_view(framed).substr(4)));
}

std::optional<Frame> read_frame(std::string_view bytes) {
  if (bytes.size() < frame_bytes) return std::nullopt;
  ByteReader in(bytes.substr(0, frame_bytes));
  const std::uint32_t crc = in.le32();
  const std::uint32_t length = in.le32();
  Frame out;
  out.synced = in.le64();
  out.sequence = in.le64();
  if (length > record_bytes_max || length > bytes.size() - frame_bytes) return std::nullopt;
  if (crc32c(bytes.substr(4, frame_bytes - 4 + length)) != crc) return std::nullopt;
  out.record = bytes.substr(frame_bytes, length);
  return out;
}

}  // namespace plumbline::storage::journal
