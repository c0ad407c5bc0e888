#include "storage/journal/journal.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/base/check.hpp"
#include "storage/journal/judge.hpp"
#include "storage/kv/kill_point.hpp"

namespace plumbline::storage::journal {

Journal::Journal(Options options, std::unique_ptr<kv::Files> files, Log& log, Registry& registry)
    : options_(std::move(options)),
      files_(std::move(files)),
      log_(log),
      bytes_total_(registry.counter("plumbline_journal_bytes_total", "Bytes appended to the journal.")),
      records_total_(registry.counter("plumbline_journal_records_total", "Records appended to the journal.")),
      syncs_total_(registry.counter("plumbline_journal_syncs_total", "Times the journal was made durable.")),
      failures_(registry.counter("plumbline_journal_failures_total", "Records that a full or broken disk refused.")),
      torn_bytes_(registry.counter("plumbline_journal_torn_bytes_total", "Bytes of torn records cut off at start.")),
      sync_seconds_(registry.histogram("plumbline_journal_sync_seconds", "How long a sync of the journal took.")) {}

Result<std::unique_ptr<Journal>> Journal::open(Options options, Log& log, Registry& registry) {
  PLUMBLINE_TRY(auto files, kv::Files::open(options.directory, options.file_system));
  std::unique_ptr<Journal> journal(new Journal(std::move(options), std::move(files), log, registry));
  return journal;
}

Status Journal::replay(std::uint64_t after, const Visit& visit, const std::function<Status()>& visited) {
  Lock sync_lock(sync_mutex_);
  Lock lock(mutex_);
  PLUMBLINE_CHECK(list_.empty() && !current_, "the journal is replayed once, before it is written");
  last_ = after;
  PLUMBLINE_TRY(const std::vector<std::string> names, files_->list());
  for (const std::string& name : names)
    if (const auto first = first_of(name)) list_.push_back({name, *first, 0});
  // A crash while a file was made leaves one without a header; nothing can be in it.
  while (!list_.empty()) {
    PLUMBLINE_TRY(const std::string head, files_->read(list_.back().name, header_bytes));
    auto header = decode_header(head);
    if (!header) return fail(header.error().in(options_.directory + "/" + list_.back().name));
    if (*header) break;
    PLUMBLINE_TRY(const std::string bytes, files_->read(list_.back().name));
    if (!never_begun(bytes, list_.back().first))
      return fail(Code::corrupt, options_.directory + "/" + list_.back().name + ": the file's header is damaged");
    log_.info("removing a journal file that was never begun", {{"file", list_.back().name}});
    PLUMBLINE_CHECK_OK(files_->remove(list_.back().name));
    list_.pop_back();
  }
  while (list_.size() > 1 && list_[1].first <= after + 1) {
    kv::kill_point("journal.replay.trimmed");
    PLUMBLINE_CHECK_OK(files_->remove(list_.front().name));
    list_.erase(list_.begin());
  }
  if (!list_.empty() && list_.front().first > after + 1)
    return fail(Code::corrupt, fmt::format("{}: records {} to {} are missing: the oldest file is {}", options_.directory,
                                           after + 1, list_.front().first - 1, list_.front().name));
  std::string bytes;
  for (std::size_t i = 0; i < list_.size(); ++i) {
    std::string().swap(bytes);  // one file in memory at a time
    PLUMBLINE_TRY(bytes, files_->read(list_[i].name));
    PLUMBLINE_CHECK_OK(replay_file(i, bytes, after, visit));
  }
  PLUMBLINE_CHECK_OK(visited());
  return settle(after, bytes);
}

// What the last process left becomes what this one builds on.
Status Journal::settle(std::uint64_t after, std::string_view newest) {
  if (last_ < after) {
    // All there is was trimmed, and a power cut took the end of it.
    for (const File& file : list_) PLUMBLINE_CHECK_OK(files_->remove(file.name));
    list_.clear();
    last_ = after;
  }
  durable_ = last_;
  std::uint64_t total = 0;
  for (const File& f : list_) total += f.bytes;
  bytes_ = total;
  if (list_.empty() || end_ <= header_bytes) return {};
  // Files before the last were synced before the next one began. The last one is written again, because a sync of it proves
  // nothing: if one has failed, the kernel calls pages clean that the disk does not have.
  kv::kill_point("journal.replay.rewrite");
  PLUMBLINE_CHECK_OK(files_->replace(list_.back().name, newest.substr(0, static_cast<std::size_t>(end_))));
  kv::kill_point("journal.replay.rewritten");
  synced_ = end_;
  return {};
}

Status Journal::replay_file(std::size_t index, std::string_view bytes, std::uint64_t after, const Visit& visit) {
  File& file = list_[index];
  const std::string path = options_.directory + "/" + file.name;
  Beside beside{.first = file.first, .previous_first = {}, .last = last_, .next = {}, .after = after};
  if (index > 0) beside.previous_first = list_[index - 1].first;
  if (index + 1 < list_.size()) {
    PLUMBLINE_TRY(const std::string head, files_->read(list_[index + 1].name, header_bytes));
    PLUMBLINE_TRY(beside.next, decode_header(head));
    if (!beside.next) return fail(Code::corrupt, options_.directory + "/" + list_[index + 1].name + ": the file's header is damaged");
  }
  Status visited;  // its errors name their own place
  const auto verdict = judge_file(bytes, beside, [&](const Frame& frame) -> Status {
    kv::kill_point("journal.replay.record");
    if (frame.sequence > after) visited = visit(frame.sequence, frame.record);
    return visited;
  });
  if (!visited) return visited;
  if (!verdict) return fail(verdict.error().in(path));
  last_ = verdict->last;
  end_ = file.bytes = verdict->end;
  switch (verdict->ending) {
    case Ending::whole:
    case Ending::passed:
    case Ending::elsewhere: break;
    case Ending::damaged: return fail(Code::corrupt, path + ": " + verdict->damage);
    case Ending::lost:
      log_.error("a power cut took records that a failing disk had not made durable",
                 {{"file", path}, {"offset", end_}, {"first", last_ + 1}, {"last", beside.next->first_sequence - 1}});
      last_ = beside.next->first_sequence - 1;
      in_doubt_.store(true, std::memory_order_release);  // what follows the hole is safe when it is sealed
      pause_error_ = {Code::unavailable, path + ": the data disk lost records; writes are taken when the heads are sealed"};
      break;
    case Ending::torn:
      torn_bytes_.add(bytes.size() - end_);
      log_.warn("the journal's end was torn by a crash; it is cut behind the last whole record",
                {{"file", path}, {"offset", end_}, {"bytes", bytes.size() - end_}, {"last_record", last_.load()}});
      break;
  }
  return {};
}

// After a refused write the answer is known for a moment without asking; then one writer asks the disk for a megabyte.
Status Journal::make_ready() {
  Lock sync_lock(sync_mutex_);
  Lock lock(mutex_);
  if (in_doubt_) {
    failures_.add();
    return fail(pause_error_);
  }
  if (paused_) {
    const auto now = std::chrono::steady_clock::now();
    if (now < pause_until_) {
      failures_.add();
      return fail(pause_error_);
    }
    pause_until_ = now + options_.retry_pause;
    if (auto probed = files_->probe(); !probed) return refuse(std::move(probed).error());
    paused_ = false;
  }
  if (takes_appends()) return {};
  return roll(Begin::behind_the_last);
}

std::unexpected<Error> Journal::refuse(Error error) {
  failures_.add();
  pause_error_ = error;
  pause_until_ = std::chrono::steady_clock::now() + options_.retry_pause;
  paused_ = true;
  return fail(std::move(error));
}

// The kernel forgets what it could not write: a second sync of the file would succeed and mean nothing.
std::unexpected<Error> Journal::doubt(Error error) {
  current_ = nullptr;
  in_doubt_.store(true, std::memory_order_release);
  log_.error("a sync of the journal failed: writes are refused until the heads are sealed", {{"error", error.message}});
  return refuse(std::move(error));
}

Status Journal::roll(Begin begin) {
  kv::kill_point("journal.roll.before");
  const std::uint64_t first = last_ + 1;
  if (!list_.empty() && list_.back().first == first) {
    // A file without a record is made again under its name.
    bytes_ -= list_.back().bytes;
    list_.pop_back();
    current_ = nullptr;
    end_ = synced_ = list_.empty() ? 0 : list_.back().bytes;
  } else if (begin == Begin::behind_the_last && !list_.empty() && synced_ < end_) {
    // The old file is made durable first, so that a record of the new one never survives a power cut without those before it.
    auto synced = current_ ? current_->sync() : files_->sync(list_.back().name);
    if (!synced) {
      lost_ = last_;
      return doubt(std::move(synced).error());
    }
    synced_ = end_;
    durable_ = last_;
  }
  FileHeader header{.first_sequence = first};
  if (begin == Begin::behind_the_last && !list_.empty()) {
    header.previous_end = list_.back().bytes;
    header.previous_first = list_.back().first;
  }
  auto created = files_->create(name_of(first));
  if (!created) return refuse(std::move(created).error());
  kv::kill_point("journal.roll.created");
  if (auto put = (*created)->append(encode_header(header)); !put) return refuse(std::move(put).error());
  list_.push_back({name_of(first), first, header_bytes});
  bytes_ += header_bytes;
  current_ = std::move(*created);
  end_ = header_bytes;
  synced_ = 0;
  kv::kill_point("journal.roll.after");
  return {};
}

Status Journal::append_locked(std::string& framed) {
  PLUMBLINE_CHECK(framed.size() >= frame_bytes, "a record has room for its frame");
  if (framed.size() - frame_bytes > record_bytes_max)
    return fail(Code::too_large, fmt::format("a write of {} bytes; the journal takes records of at most {}", framed.size(), record_bytes_max));
  seal_frame(framed, last_ + 1, synced_);
  kv::kill_point("journal.append.before");
  if (auto appended = current_->append(framed); !appended) {
    current_ = nullptr;  // part of the record may be in the file: it counts up to end_ only, as the next header will say
    return refuse(std::move(appended).error());
  }
  kv::kill_point("journal.append.after");
  end_ += framed.size();
  list_.back().bytes = end_;
  bytes_.fetch_add(framed.size(), std::memory_order_relaxed);
  last_.store(last_ + 1, std::memory_order_release);
  bytes_total_.add(framed.size());
  records_total_.add();
  return {};
}

Status Journal::sync_up_to(std::uint64_t sequence) {
  Lock sync_lock(sync_mutex_);
  if (durable_ >= sequence) return {};  // whoever held the lock before synced for us
  if (lost_ >= sequence) return fail(Code::unavailable, "the data disk refused to make the write durable; send it again");
  std::shared_ptr<kv::AppendFile> file;
  std::uint64_t end = 0;
  std::uint64_t last = 0;
  {
    Lock lock(mutex_);
    file = current_;
    end = end_;
    last = last_;
    if (in_doubt_) {
      lost_ = last;
      return fail(pause_error_);
    }
    if (!file) {
      // Nothing was written yet, or a later append failed and closed the file: then its bytes are synced by name.
      if (list_.empty()) return {};
      if (auto synced = files_->sync(list_.back().name); !synced) {
        lost_ = last;
        return doubt(std::move(synced).error());
      }
      synced_ = end_;
      durable_ = last;
      return {};
    }
  }
  kv::kill_point("journal.sync.before");
  const auto start = std::chrono::steady_clock::now();
  auto synced = file->sync();
  sync_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  syncs_total_.add();
  Lock lock(mutex_);
  if (!synced) {
    lost_ = last;
    return doubt(std::move(synced).error());
  }
  kv::kill_point("journal.sync.after");
  durable_ = last;
  synced_ = std::max(synced_, end);  // still of the same file: none begins beside a sync
  return {};
}

Status Journal::sync() { return sync_up_to(last_sequence()); }

std::vector<Journal::Part> Journal::parts() const {
  Lock lock(mutex_);
  std::vector<Part> out;
  for (const File& file : list_) out.push_back({file.name, file.bytes});
  if (!out.empty() && out.back().bytes <= header_bytes) out.pop_back();  // the next append may make it again
  return out;
}

Status Journal::trim(std::uint64_t up_to) {
  {
    Lock sync_lock(sync_mutex_);
    Lock lock(mutex_);
    if (up_to >= last_ && (in_doubt_ || (!list_.empty() && list_.back().bytes > header_bytes))) {
      PLUMBLINE_CHECK_OK(roll(Begin::anew));
      durable_ = last_;
      in_doubt_.store(false, std::memory_order_release);
      paused_ = false;  // the disk took a file
    }
    while (list_.size() > 1 && list_[1].first <= up_to + 1) {
      leaving_.push_back(list_.front());
      list_.erase(list_.begin());
    }
  }
  kv::kill_point("journal.trim.before");
  while (!leaving_.empty()) {
    PLUMBLINE_CHECK_OK(files_->remove(leaving_.front().name));
    bytes_.fetch_sub(leaving_.front().bytes, std::memory_order_relaxed);
    leaving_.erase(leaving_.begin());
    kv::kill_point("journal.trim.between");
  }
  return {};
}

}  // namespace plumbline::storage::journal
