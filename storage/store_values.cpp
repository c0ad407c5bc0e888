#include "storage/store_values.hpp"

#include "daemon/base/bytes.hpp"
#include "storage/store_keys.hpp"

namespace plumbline::storage {

std::string encode_positions(const Positions& positions) {
  ByteWriter out;
  out.le64(positions.trimmed);
  out.le64(positions.sealed);
  return out.take();
}

Result<Positions> decode_positions(std::string_view value) {
  ByteReader in(value);
  Positions out;
  out.trimmed = in.le64();
  out.sealed = in.le64();
  if (!in.ok() || !in.done()) return fail(Code::corrupt, "the trim position does not decode");
  return out;
}

std::string encode_metadata(const MetricMetadata& metadata) {
  ByteWriter out;
  out.u8(metadata_version);
  out.sized(metadata.type);
  out.sized(metadata.help);
  out.sized(metadata.unit);
  return out.take();
}

Result<MetricMetadata> decode_metadata(std::string_view metric, std::string_view value) {
  ByteReader in(value);
  const std::uint8_t version = in.u8();
  if (version > metadata_version)
    return fail(Code::unsupported, "metadata of " + std::string(metric) + " has version " + std::to_string(version) +
                                       ", this Plumbline reads up to " + std::to_string(metadata_version));
  MetricMetadata out;
  out.metric = metric;
  out.type = in.sized();
  out.help = in.sized();
  out.unit = in.sized();
  if (!in.ok() || !in.done() || version == 0)
    return fail(Code::corrupt, "metadata of " + std::string(metric) + " does not decode");
  return out;
}

}  // namespace plumbline::storage
