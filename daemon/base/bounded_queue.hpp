// A queue of fixed capacity between threads: a full queue is an answer (false), never a wait for the producer.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "daemon/base/mutex.hpp"

namespace plumbline {

// Threads: any. Blocks: pop() until an item comes or the queue is closed and empty.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // False when full or closed; the item is then untouched.
  bool try_push(T& item) {
    Lock lock(mutex_);
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    ready_.notify_one();
    return true;
  }
  std::optional<T> pop() {
    Lock lock(mutex_);
    while (items_.empty() && !closed_) ready_.wait(mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }
  void close() {
    Lock lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }
  std::size_t size() const {
    Lock lock(mutex_);
    return items_.size();
  }

 private:
  const std::size_t capacity_;
  mutable Mutex mutex_;
  Condition ready_;
  std::deque<T> items_ PLUMBLINE_GUARDED_BY(mutex_);
  bool closed_ PLUMBLINE_GUARDED_BY(mutex_) = false;
};

}  // namespace plumbline
