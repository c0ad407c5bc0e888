#include "storage/events/late_label.hpp"

#include "daemon/base/bytes.hpp"
#include "storage/events/value_bytes.hpp"

namespace plumbline::storage::events {
namespace {

constexpr std::uint8_t version = 1;

}  // namespace

std::string encode_label(const PendingLabel& label) {
  ByteWriter out;
  out.u8(version);
  out.zigzag(label.time_ns);
  put_value(out, label.value);
  return out.take();
}

Result<PendingLabel> decode_label(std::string_view bytes) {
  ByteReader in(bytes);
  if (const std::uint8_t v = in.u8(); in.ok() && v != version)
    return fail(Code::unsupported, "late label of version " + std::to_string(v));
  PendingLabel label;
  label.time_ns = in.zigzag();
  if (!in.ok() || !get_value(in, label.value) || !in.done()) return fail(Code::corrupt, "damaged late label");
  return label;
}

}  // namespace plumbline::storage::events
