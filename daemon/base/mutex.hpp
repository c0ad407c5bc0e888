// std::mutex and std::shared_mutex with clang's thread-safety annotations (preset `threadsafety` turns them into errors).
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define PLUMBLINE_ATTRIBUTE(x) __attribute__((x))
#else
#define PLUMBLINE_ATTRIBUTE(x)
#endif
#define PLUMBLINE_GUARDED_BY(m) PLUMBLINE_ATTRIBUTE(guarded_by(m))
#define PLUMBLINE_PT_GUARDED_BY(m) PLUMBLINE_ATTRIBUTE(pt_guarded_by(m))
#define PLUMBLINE_REQUIRES(...) PLUMBLINE_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define PLUMBLINE_REQUIRES_SHARED(...) PLUMBLINE_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define PLUMBLINE_EXCLUDES(...) PLUMBLINE_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS PLUMBLINE_ATTRIBUTE(no_thread_safety_analysis)

namespace plumbline {

class PLUMBLINE_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() PLUMBLINE_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() PLUMBLINE_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  bool try_lock() PLUMBLINE_ATTRIBUTE(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class PLUMBLINE_ATTRIBUTE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) PLUMBLINE_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() PLUMBLINE_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds: while (!ready_) condition_.wait(mutex_);
class Condition {
 public:
  void wait(Mutex& mutex) PLUMBLINE_REQUIRES(mutex) { condition_.wait(mutex); }
  template <class TimePoint>
  std::cv_status wait_until(Mutex& mutex, const TimePoint& deadline) PLUMBLINE_REQUIRES(mutex) {
    return condition_.wait_until(mutex, deadline);
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

class PLUMBLINE_ATTRIBUTE(capability("mutex")) SharedMutex {
 public:
  void lock() PLUMBLINE_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() PLUMBLINE_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  void lock_shared() PLUMBLINE_ATTRIBUTE(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() PLUMBLINE_ATTRIBUTE(release_shared_capability()) { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

class PLUMBLINE_ATTRIBUTE(scoped_lockable) WriteLock {
 public:
  explicit WriteLock(SharedMutex& mutex) PLUMBLINE_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~WriteLock() PLUMBLINE_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class PLUMBLINE_ATTRIBUTE(scoped_lockable) ReadLock {
 public:
  explicit ReadLock(SharedMutex& mutex) PLUMBLINE_ATTRIBUTE(acquire_shared_capability(mutex)) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReadLock() PLUMBLINE_ATTRIBUTE(release_capability()) { mutex_.unlock_shared(); }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace plumbline
