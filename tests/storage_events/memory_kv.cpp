#include "tests/storage_events/memory_kv.hpp"

#include <vector>

#include "daemon/base/bytes.hpp"
#include "daemon/base/check.hpp"
#include "storage/kv/batch_impl.hpp"

namespace plumbline::test {
namespace {

using storage::kv::Batch;
using storage::kv::BatchOp;

// A Batch opens itself to RocksKv only; an explicit instantiation may name the private member for this one test double.
struct BatchAccess {
  friend auto& impl_of(BatchAccess, Batch& batch);
};
template <auto Member>
struct OpenBatch {
  friend auto& impl_of(BatchAccess, Batch& batch) { return batch.*Member; }
};
template struct OpenBatch<&Batch::impl_>;

}  // namespace

Status MemoryKv::write(Batch batch, storage::kv::Sync) {
  Lock lock(mutex_);
  auto& impl = impl_of(BatchAccess{}, batch);
  if (!impl) return {};
  ByteReader in(impl->ops.str());
  while (!in.done()) {
    const auto op = static_cast<BatchOp>(in.u8());
    Map& map = families_.at(in.u8());
    const std::string key(in.sized());
    const std::string value(in.sized());
    PLUMBLINE_CHECK(in.ok(), "a batch reads back");
    switch (op) {
      case BatchOp::put: map[key] = value; break;
      case BatchOp::remove: map.erase(key); break;
      case BatchOp::remove_range: map.erase(map.lower_bound(key), map.lower_bound(value)); break;
    }
  }
  return {};
}

Result<std::optional<std::string>> MemoryKv::get(Family family, std::string_view key) const {
  Lock lock(mutex_);
  const Map& map = families_[static_cast<std::size_t>(family)];
  const auto found = map.find(key);
  if (found == map.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Status MemoryKv::scan(Family family, std::string_view from, std::string_view to, const Visitor& visit,
                      bool reverse) const {
  std::vector<std::pair<std::string, std::string>> found;  // as of now, as an iterator over a snapshot sees it
  {
    Lock lock(mutex_);
    const Map& map = families_[static_cast<std::size_t>(family)];
    for (auto at = map.lower_bound(from); at != map.end() && (to.empty() || at->first < to); ++at) found.push_back(*at);
  }
  if (reverse) found = {found.rbegin(), found.rend()};
  for (const auto& [key, value] : found)
    if (!visit(key, value)) break;
  return {};
}

Status MemoryKv::drop_range(Family family, std::string_view from, std::string_view to) {
  Lock lock(mutex_);
  if (fail_drops_) return fail(Code::io, "the test's disk refuses");
  Map& map = families_[static_cast<std::size_t>(family)];
  map.erase(map.lower_bound(from), map.lower_bound(to));
  return {};
}

std::uint64_t MemoryKv::disk_bytes() const {
  Lock lock(mutex_);
  std::uint64_t bytes = 0;
  for (const Map& map : families_)
    for (const auto& [key, value] : map) bytes += key.size() + value.size();
  return bytes;
}

MemoryKv::Map MemoryKv::copy(Family family) const {
  Lock lock(mutex_);
  return families_[static_cast<std::size_t>(family)];
}

void MemoryKv::replace(Family family, const std::string& key, std::string value) {
  Lock lock(mutex_);
  families_[static_cast<std::size_t>(family)][key] = std::move(value);
}

}  // namespace plumbline::test
