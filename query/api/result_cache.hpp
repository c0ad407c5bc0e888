// Answers of range queries kept for the next one that asks the same of a later time: a dashboard asks for the last six hours every few
// seconds, and only the newest steps are new.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/meters.hpp"
#include "daemon/base/mutex.hpp"
#include "query/query.hpp"

namespace plumbline::query {

// What a range query asks for; steps start, start + step, ... up to end.
struct RangeAsked {
  std::string_view expression;
  std::int64_t start_ms = 0, end_ms = 0, step_ms = 1;
  std::int64_t lookback_ms = 0;
};

// Threads: any. Borrows: the reader, and the registry, which may be null.
class ResultCache {
 public:
  // Holds at most so many bytes of answers; 0: none.
  ResultCache(const storage::Reader& reader, std::uint64_t bytes_max, Registry* registry);

  // The answer, of which `evaluate` is asked for the steps that are not known: for all, for the later ones (and then, if they end in an
  // execution error, have annotations or were cut into other parts, for all), or not at all. Byte for byte what evaluating all of it gives. What is known stands until samples
  // of its metrics changed that it may depend on. Answers with warnings or infos are not kept, nor those of expressions whose value at
  // a step depends on more than the step and what was stored up to it (promql::cacheable).
  using Evaluate = std::function<Result<Answer>(std::int64_t start_ms, std::int64_t end_ms)>;
  Result<Answer> answer(const RangeAsked& asked, const Evaluate& evaluate);
  std::uint64_t bytes() const;

 private:
  struct Kept {
    std::int64_t start_ms = 0, end_ms = 0;  // first and last step
    std::uint64_t moment = 0;               // of the store; what changed since is not in it
    std::optional<std::int64_t> reach_ms;   // how long before a step samples are wanted for it
    std::vector<SelectorParts> parts;       // into how many its selectors' series were cut, where they are added up
    Matrix matrix;
    std::uint64_t bytes = 0;
  };
  struct Entry {
    std::string key;
    std::shared_ptr<const Kept> kept;
  };
  std::shared_ptr<const Kept> find(const std::string& key);
  void put(std::string key, std::shared_ptr<const Kept> kept);
  // Moves an entry to `dropped`, to be freed after the lock.
  void drop(std::list<Entry>::iterator entry, std::list<Entry>& dropped) PLUMBLINE_REQUIRES(mutex_);

  const storage::Reader& reader_;
  const std::uint64_t bytes_max_;
  Counter* hits_ = nullptr;      // null: not counted
  Counter* misses_ = nullptr;
  Counter* steps_ = nullptr;
  Counter* evictions_ = nullptr;
  mutable Mutex mutex_;
  std::list<Entry> used_ PLUMBLINE_GUARDED_BY(mutex_);  // the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> places_ PLUMBLINE_GUARDED_BY(mutex_);  // keys of used_
  std::uint64_t bytes_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

}  // namespace plumbline::query
