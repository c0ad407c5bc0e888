// Where references live: storage::State under ml/ref/<model>/<name>/<version>, in parts of at most 1 MiB.
//
//   first part:  "PLRF" | format u8 | parts le32 | crc32c le32 of all bytes after it, parts joined |
//                sized header (name, version, created, source, hash, rows, features) | zstd of encode_features
//   part k > 0:  <key>/<k, five digits>, raw continuation
//
// One instance owns the keys: headers are read once and kept, since nobody else writes them; a miss reads them again.
// Threads: any. Blocks: on the store.
// Borrows: state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "query/ml/reference.hpp"
#include "storage/storage.hpp"

namespace plumbline::query::ml {

inline constexpr std::size_t part_bytes_max = 1 << 20;
inline constexpr std::size_t reference_bytes_max = 64 << 20;  // encoded and compressed: 64 parts in one atomic put
inline constexpr std::size_t references_cached_max = 32;      // decoded, newest use first; 100 features hold up to 80 MB each

class ReferenceStore {
 public:
  explicit ReferenceStore(storage::State& state) : state_(state) {}

  // Gives the next version of its name, hashes and stores it. Fails: invalid_input (name), too_large, and what put() says.
  Result<std::shared_ptr<const Reference>> add(Reference reference);
  // `id` is a name or name@version; "" means the only name there is. Fails: not_found, listing what there is; corrupt.
  Result<std::shared_ptr<const Reference>> find(const std::string& model, const std::string& id) const;
  // Headers only (no features), by name and version. An empty model lists all models.
  struct Listed {
    Reference header;
    std::uint64_t features = 0;
  };
  Result<std::vector<Listed>> list(const std::string& model) const;

 private:
  Status load() const PLUMBLINE_REQUIRES(mutex_);
  std::vector<Listed> of_model(const std::string& model) const PLUMBLINE_REQUIRES(mutex_);

  storage::State& state_;
  mutable Mutex mutex_;  // one upload at a time: two must not take one version number
  mutable bool loaded_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  mutable std::vector<Listed> known_ PLUMBLINE_GUARDED_BY(mutex_);  // in key order
  mutable std::vector<std::pair<std::string, std::shared_ptr<const Reference>>> cache_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline::query::ml
