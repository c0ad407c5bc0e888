#include "daemon/base/compression.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "daemon/base/check.hpp"

namespace plumbline {
namespace {

std::unexpected<Error> over(std::size_t bytes_max) {
  return fail(Code::too_large, fmt::format("body inflates to more than the limit of {} bytes", bytes_max));
}

// window_bits as zlib takes them: 15 zlib, 15 + 16 gzip.
Result<std::string> zlib_inflate(std::string_view bytes, std::size_t bytes_max, int window_bits, const char* what) {
  z_stream z{};
  PLUMBLINE_CHECK(inflateInit2(&z, window_bits) == Z_OK, "zlib starts");
  struct End {
    z_stream& z;
    ~End() { inflateEnd(&z); }
  } end{z};
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  // Grows with what really came out, so that a bomb never gets more memory than the limit (plus one step).
  std::size_t used = 0;
  for (;;) {
    if (used == out.size()) {
      if (used > bytes_max) return over(bytes_max);
      out.resize(std::min(bytes_max + 1, std::max<std::size_t>(16 << 10, used * 2)));
    }
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size() - used, 1u << 30));
    const uInt before = z.avail_out;
    const int rc = ::inflate(&z, Z_NO_FLUSH);
    used += before - z.avail_out;
    if (used > bytes_max) return over(bytes_max);
    if (rc == Z_STREAM_END) {
      if (z.avail_in == 0) break;
      if (window_bits < 16 || inflateReset(&z) != Z_OK)  // only gzip may have a further member
        return fail(Code::invalid_input, fmt::format("{} trailing bytes after the {} stream", z.avail_in, what));
      continue;
    }
    if (rc == Z_BUF_ERROR && z.avail_in == 0)
      return fail(Code::invalid_input, fmt::format("truncated {} stream", what));
    if (rc != Z_OK && rc != Z_BUF_ERROR)
      return fail(Code::invalid_input, fmt::format("damaged {} stream: {}", what, z.msg != nullptr ? z.msg : "bad data"));
    if (rc == Z_OK && z.avail_in == 0 && z.avail_out > 0)
      return fail(Code::invalid_input, fmt::format("truncated {} stream", what));
  }
  out.resize(used);
  return out;
}

// What a frame says it holds, or ZSTD_CONTENTSIZE_UNKNOWN.
Result<unsigned long long> zstd_declared(std::string_view frame, std::size_t bytes_max) {
  const unsigned long long declared = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (declared == ZSTD_CONTENTSIZE_ERROR) return fail(Code::invalid_input, "damaged zstd frame: no header");
  if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared > bytes_max)
    return fail(Code::too_large,
                fmt::format("zstd frame declares {} bytes, over the limit of {} bytes", declared, bytes_max));
  return declared;
}

}  // namespace

Result<std::string> gunzip(std::string_view bytes, std::size_t bytes_max) {
  return zlib_inflate(bytes, bytes_max, 15 + 16, "gzip");
}

Result<std::string> inflate(std::string_view bytes, std::size_t bytes_max) {
  return zlib_inflate(bytes, bytes_max, 15, "deflate");
}

Result<std::string> unsnappy(std::string_view bytes, std::size_t bytes_max) {
  std::string out;
  PLUMBLINE_TRY(const std::string_view whole, unsnappy(bytes, bytes_max, out));
  out.resize(whole.size());
  return out;
}

Result<std::string_view> unsnappy(std::string_view bytes, std::size_t bytes_max, std::string& out) {
  std::size_t declared = 0;
  if (!::snappy::GetUncompressedLength(bytes.data(), bytes.size(), &declared))
    return fail(Code::invalid_input, "damaged snappy block: no length");
  if (declared > bytes_max)
    return fail(Code::too_large,
                fmt::format("snappy block declares {} bytes, over the limit of {} bytes", declared, bytes_max));
  // 64x is above snappy's real maximum (about 21x): a larger claim is a lie, refused before it is allocated.
  if (declared / 64 > bytes.size())
    return fail(Code::invalid_input, fmt::format("damaged snappy block: {} bytes cannot hold the declared {}",
                                                 bytes.size(), declared));
  // Not filled with zeroes: snappy writes every byte or fails.
  if (out.size() < declared) out.resize_and_overwrite(declared, [](char*, std::size_t n) { return n; });
  if (!::snappy::RawUncompress(bytes.data(), bytes.size(), out.data()))
    return fail(Code::invalid_input, "damaged snappy block");
  return std::string_view(out).substr(0, declared);
}

Result<std::string> unzstd(std::string_view bytes, std::size_t bytes_max) {
  PLUMBLINE_TRY(unsigned long long declared, zstd_declared(bytes, bytes_max));
  ZSTD_DCtx* context = ZSTD_createDCtx();
  PLUMBLINE_CHECK(context != nullptr, "zstd starts");
  struct End {
    ZSTD_DCtx* c;
    ~End() { ZSTD_freeDCtx(c); }
  } end{context};
  ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);  // 128 MiB, zstd's own default for streams
  std::string out;
  std::size_t used = 0;
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::size_t hint = 1;
  std::size_t frame_start = 0;
  while (in.pos < in.size || hint != 0) {
    if (hint == 0) {  // a further frame
      PLUMBLINE_TRY(declared, zstd_declared(bytes.substr(in.pos), bytes_max));
      frame_start = used;
    }
    if (used == out.size()) {
      if (used > bytes_max) return over(bytes_max);
      out.resize(std::min(bytes_max + 1, std::max<std::size_t>(16 << 10, used * 2)));
    }
    ZSTD_outBuffer to{out.data() + used, out.size() - used, 0};
    const std::size_t in_before = in.pos;
    hint = ZSTD_decompressStream(context, &to, &in);
    if (ZSTD_isError(hint) != 0)
      return fail(Code::invalid_input, fmt::format("damaged zstd frame: {}", ZSTD_getErrorName(hint)));
    used += to.pos;
    if (used > bytes_max) return over(bytes_max);
    if (in.pos == in_before && to.pos == 0 && in.pos == in.size && hint != 0)
      return fail(Code::invalid_input, "truncated zstd frame");
    // zstd itself does not compare when the frame's last block is an empty one.
    if (hint == 0 && declared != ZSTD_CONTENTSIZE_UNKNOWN && used - frame_start != declared)
      return fail(Code::invalid_input, fmt::format("damaged zstd frame: it holds {} bytes and declares {}",
                                                   used - frame_start, declared));
  }
  out.resize(used);
  return out;
}

std::string gzip(std::string_view bytes) {
  z_stream z{};
  // Level 1: answers are compressed on the request's time; level 6 costs three times the CPU for a tenth less.
  PLUMBLINE_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib starts");
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  PLUMBLINE_CHECK(::deflate(&z, Z_FINISH) == Z_STREAM_END, "deflateBound is a bound");
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

std::string snappy(std::string_view bytes) {
  std::string out;
  ::snappy::Compress(bytes.data(), bytes.size(), &out);
  return out;
}

std::string zstd(std::string_view bytes, int level) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t n = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), level);
  PLUMBLINE_CHECK(ZSTD_isError(n) == 0, "ZSTD_compressBound is a bound");
  out.resize(n);
  return out;
}

Result<std::string> decode_content(std::string_view encoding, std::string_view bytes, std::size_t bytes_max) {
  if (encoding.empty() || encoding == "identity") {
    if (bytes.size() > bytes_max)
      return fail(Code::too_large, fmt::format("body is {} bytes, over the limit of {} bytes", bytes.size(), bytes_max));
    return std::string(bytes);
  }
  if (encoding == "gzip" || encoding == "x-gzip") return gunzip(bytes, bytes_max);
  if (encoding == "deflate") return inflate(bytes, bytes_max);
  if (encoding == "snappy") return unsnappy(bytes, bytes_max);
  if (encoding == "zstd") return unzstd(bytes, bytes_max);
  return fail(Code::unsupported, fmt::format("content encoding '{}' is not supported; use gzip, deflate, snappy, zstd or identity",
                                             encoding.substr(0, 40)));
}

}  // namespace plumbline
