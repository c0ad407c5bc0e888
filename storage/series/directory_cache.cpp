#include "storage/series/directory_cache.hpp"

#include "storage/series/segment_directory.hpp"

namespace plumbline::storage::series {

std::shared_ptr<const Directory> DirectoryCache::find(std::uint64_t segment, std::size_t group) {
  Lock lock(mutex_);
  const auto found = places_.find({segment, group});
  if (Counter* const told = found == places_.end() ? misses_ : hits_; told != nullptr) told->add();
  if (found == places_.end()) return nullptr;
  used_.splice(used_.begin(), used_, found->second);
  return found->second->directory;
}

void DirectoryCache::put(std::uint64_t segment, std::size_t group, std::shared_ptr<const Directory> directory) {
  const std::uint64_t bytes = directory->memory_bytes() + 160;  // the nodes of both containers
  if (bytes > bytes_max_) return;
  std::list<Entry> dropped;  // freed after the lock
  Lock lock(mutex_);
  const Key key{segment, group};
  if (places_.contains(key)) return;  // another reader was faster
  used_.push_front({key, std::move(directory), bytes});
  places_.emplace(key, used_.begin());
  bytes_ += bytes;
  while (bytes_ > bytes_max_) {
    bytes_ -= used_.back().bytes;
    places_.erase(used_.back().key);
    dropped.splice(dropped.begin(), used_, std::prev(used_.end()));
  }
}

std::uint64_t DirectoryCache::bytes() const {
  Lock lock(mutex_);
  return bytes_;
}

}  // namespace plumbline::storage::series
