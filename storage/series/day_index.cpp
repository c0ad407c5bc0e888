#include "storage/series/day_index.hpp"

#include <set>

#include "daemon/base/bytes.hpp"
#include "storage/series/chunk.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::uint8_t day_version = 1;

std::string encode_ids(const Roaring& ids) {
  std::string bitmap(ids.getSizeInBytes(), '\0');
  ids.write(bitmap.data());
  ByteWriter out;
  out.u8(day_version);
  out.raw(bitmap);
  out.le32(crc32c(out.str()));
  return out.take();
}

// Roaring's own reader is told the size, and sees the bytes only after the checksum matched.
Result<Roaring> decode_ids(std::string_view value) {
  if (value.size() < 5) return fail(Code::corrupt, "postings of " + std::to_string(value.size()) + " bytes");
  ByteReader tail(value.substr(value.size() - 4));
  const std::string_view body = value.substr(0, value.size() - 4);
  if (crc32c(body) != tail.le32()) return fail(Code::corrupt, "postings do not match their checksum");
  if (static_cast<std::uint8_t>(body[0]) != day_version)
    return fail(Code::unsupported, "postings of version " + std::to_string(static_cast<unsigned char>(body[0])) +
                                       ", this Plumbline reads 1");
  try {
    return Roaring::readSafe(body.data() + 1, body.size() - 1);
  } catch (const std::exception& e) {
    return fail(Code::corrupt, std::string("postings do not decode: ") + e.what());
  }
}

}  // namespace

std::string day_key(std::uint16_t vshard, std::uint32_t day) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.be32(day);
  return out.take();
}

Status DayIndex::load(const kv::Kv& kv) {
  DayAdditions found;
  Status damage;
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::postings, "", "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    in.u8();
    in.be32();
    const std::uint16_t vshard = in.be16();
    const std::uint32_t day = in.be32();
    auto ids = decode_ids(value);
    if (!ids) {
      damage = fail(ids.error().in("postings of day " + std::to_string(day)));
      return false;
    }
    found[{day, vshard}] = std::move(*ids);
    return true;
  }));
  PLUMBLINE_CHECK_OK(damage);
  add(found);
  return {};
}

void DayIndex::put(const DayAdditions& additions, kv::Batch& out) const {
  ReadLock lock(mutex_);
  for (const auto& [where, ids] : additions) {
    const auto known = shards_.find(where);
    Roaring all = known == shards_.end() ? ids : known->second | ids;
    all.runOptimize();
    out.put(kv::Family::postings, day_key(where.second, where.first), encode_ids(all));
  }
}

void DayIndex::add(const DayAdditions& additions) {
  WriteLock lock(mutex_);
  std::map<std::uint32_t, Roaring> grown;
  for (const auto& [where, ids] : additions) {
    shards_[where] |= ids;
    grown[where.first] |= ids;
  }
  for (auto& [day, ids] : grown) {
    auto& now = days_[day];
    now = std::make_shared<const Roaring>(now ? *now | ids : std::move(ids));
  }
}

std::vector<DayIds> DayIndex::touching(model::TimeRange range) const {
  std::vector<DayIds> out;
  if (range.max < range.min || range.max < 0) return out;
  ReadLock lock(mutex_);
  for (auto it = days_.lower_bound(day_of(range.min)); it != days_.end(); ++it) {
    if (static_cast<std::int64_t>(it->first) * day_ms > range.max) break;
    out.push_back({it->first, it->second});
  }
  return out;
}

std::vector<std::uint32_t> DayIndex::days() const {
  std::vector<std::uint32_t> out;
  ReadLock lock(mutex_);
  for (const auto& [day, ids] : days_) out.push_back(day);
  return out;
}

std::vector<std::uint16_t> DayIndex::vshards(std::uint32_t day) const {
  std::vector<std::uint16_t> out;
  ReadLock lock(mutex_);
  for (auto it = shards_.lower_bound({day, 0}); it != shards_.end() && it->first.first == day; ++it)
    out.push_back(it->first.second);
  return out;
}

void DayIndex::remove(std::uint32_t day) {
  WriteLock lock(mutex_);
  days_.erase(day);
  shards_.erase(shards_.lower_bound({day, 0}), shards_.upper_bound({day, 0xffff}));
}

Roaring DayIndex::all() const {
  ReadLock lock(mutex_);
  std::vector<const Roaring*> inputs;
  for (const auto& [day, ids] : days_) inputs.push_back(ids.get());
  return inputs.empty() ? Roaring() : Roaring::fastunion(inputs.size(), inputs.data());
}

}  // namespace plumbline::storage::series
