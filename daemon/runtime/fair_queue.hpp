// A bounded queue between threads that is fair between clients: they take turns, each with its oldest, and one that fills the
// queue takes room from itself first.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "daemon/base/mutex.hpp"

namespace plumbline::runtime {

// Threads: any. Blocks: pop() until an item comes or the queue is closed and empty.
template <class T>
class FairQueue {
 public:
  explicit FairQueue(std::size_t capacity) : capacity_(capacity) {}

  // What found no place: the item itself when the queue is closed, or full and no other client holds at least two places more;
  // else the newest item of the client that holds the most.
  std::optional<T> push(const std::string& client, T item) {
    Lock lock(mutex_);
    if (closed_ || capacity_ == 0) return item;
    std::optional<T> displaced;
    if (size_ >= capacity_) {
      const auto found = clients_.find(client);
      const std::size_t own = found == clients_.end() ? 0 : found->second.size();
      std::deque<T>* most = longest();
      if (most->size() < own + 2) return item;
      displaced.emplace(std::move(most->back()));
      most->pop_back();
      --size_;
    }
    std::deque<T>& mine = queue_of(client);
    if (mine.empty()) turns_.push_back(&mine);
    mine.push_back(std::move(item));
    ++size_;
    ready_.notify_one();
    return displaced;
  }

  std::optional<T> pop() {
    Lock lock(mutex_);
    while (size_ == 0 && !closed_) ready_.wait(mutex_);
    if (size_ == 0) return std::nullopt;
    std::deque<T>* turn = turns_.front();
    turns_.pop_front();
    std::optional<T> item(std::move(turn->front()));
    turn->pop_front();
    --size_;
    if (!turn->empty()) turns_.push_back(turn);
    return item;
  }

  // What waits can still be popped.
  void close() {
    Lock lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }

 private:
  // Empty queues are kept for their clients' next request up to this many: a new one costs several allocations.
  static constexpr std::size_t clients_kept = 256;

  std::deque<T>* longest() PLUMBLINE_REQUIRES(mutex_) {
    std::deque<T>* most = turns_.front();
    for (std::deque<T>* queue : turns_)
      if (queue->size() > most->size()) most = queue;
    return most;
  }
  std::deque<T>& queue_of(const std::string& client) PLUMBLINE_REQUIRES(mutex_) {
    if (clients_.size() >= clients_kept && !clients_.contains(client))
      std::erase_if(clients_, [](const auto& known) { return known.second.empty(); });
    return clients_[client];
  }

  const std::size_t capacity_;
  mutable Mutex mutex_;
  Condition ready_;
  // Nodes of the map stay where they are: turns_ points into them.
  std::unordered_map<std::string, std::deque<T>> clients_ PLUMBLINE_GUARDED_BY(mutex_);
  std::deque<std::deque<T>*> turns_ PLUMBLINE_GUARDED_BY(mutex_);  // of the clients that have something waiting
  std::size_t size_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
  bool closed_ PLUMBLINE_GUARDED_BY(mutex_) = false;
};

}  // namespace plumbline::runtime
