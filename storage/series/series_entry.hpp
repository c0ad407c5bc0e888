// One series as the index knows it. Entries are shared: a reader may still hold one after retention removed it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "storage/kv/kv.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::storage::series {

struct SeriesEntry {
  SeriesEntry(std::uint32_t i, std::uint64_t fingerprint_, model::Labels l)
      : id(i), vshard(static_cast<std::uint16_t>(fingerprint_ % kv::vshards)), fingerprint(fingerprint_),
        labels(std::move(l)) {}
  const std::uint32_t id;  // dense; never given to another series
  const std::uint16_t vshard;
  const std::uint64_t fingerprint;
  const model::Labels labels;

  // False until a batch with the id's definition is in the journal: until then every batch carries the definition, because
  // the batch of whoever was first may still fail.
  std::atomic<bool> persisted{false};
  // The newest journal record that names the id: below the trim position nothing on disk but chunks refers to it.
  std::atomic<std::uint64_t> touched{0};
  // The head (its seal number) that the series last wrote to: tells whether it is active without a look-up in the head.
  std::atomic<std::uint64_t> active_in{0};
};
using EntryPtr = std::shared_ptr<SeriesEntry>;

}  // namespace plumbline::storage::series
