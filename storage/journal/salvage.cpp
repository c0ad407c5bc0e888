#include "storage/journal/salvage.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "storage/journal/judge.hpp"

namespace plumbline::storage::journal {

namespace {

constexpr std::uint64_t file_bytes_max = 64u << 20;

}  // namespace

Result<Salvaged> salvage(const std::string& directory, const std::string& name, std::shared_ptr<rocksdb::FileSystem> file_system,
                         std::uint64_t after, const RecordVisit& visit) {
  Salvaged out;
  const auto files = kv::Files::read_only(directory, std::move(file_system));
  PLUMBLINE_TRY(const auto names, files->list());
  const std::vector<std::uint64_t> firsts = firsts_of(names);
  if (!firsts.empty()) out.oldest = firsts.front();
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    const std::string path = name + "/" + name_of(firsts[i]);
    const auto tell = [&](std::string place, std::string what) { out.lost.push_back({path, std::move(place), std::move(what), ""}); };
    PLUMBLINE_TRY(const std::string all, files->read(name_of(firsts[i])));
    PLUMBLINE_TRY(const auto header, decode_header(all));
    std::string_view bytes = all;
    std::optional<FileHeader> next;
    if (i + 1 < firsts.size()) {
      PLUMBLINE_TRY(const std::string head, files->read(name_of(firsts[i + 1]), header_bytes));
      PLUMBLINE_TRY(next, decode_header(head));
      if (next && next->version > 1 && next->previous_first == firsts[i]) bytes = bytes.substr(0, next->previous_end);
    }
    const std::uint64_t most = most_of(firsts[i], all.size());
    if (!header) tell("offset 0", "the file's header is damaged");
    std::uint64_t allowance = checksums_max * all.size();
    std::size_t at = std::min(header_bytes, bytes.size());
    while (at < bytes.size()) {
      const std::uint64_t wanted = std::max(out.last + 1, firsts[i]);
      const auto [frame, found, given_up] = next_frame(bytes, at, wanted, most, allowance);
      const std::size_t until = frame ? found : bytes.size();
      if (until > at)
        tell(fmt::format("offset {}", at),
             frame      ? fmt::format("{} bytes do not read; record {} follows them", until - at, frame->sequence)
             : given_up ? fmt::format("the last {} bytes are given up: too much of them looks like a record and is none", until - at)
                        : fmt::format("the last {} bytes do not read", until - at));
      if (!frame) break;
      const std::uint64_t expected = std::max(out.last, after) + 1;
      if (frame->sequence > expected) {
        out.records_lost += frame->sequence - expected;
        tell("", fmt::format("records {} to {} are missing before record {}", expected, frame->sequence - 1, frame->sequence));
      }
      out.last = frame->sequence;
      PLUMBLINE_CHECK_OK(visit(frame->sequence, frame->record));
      at = until + frame->bytes();
    }
    if (next && next->version > 1 && next->previous_first == firsts[i] && all.size() < next->previous_end)
      tell("", fmt::format("{} bytes are missing at its end", next->previous_end - all.size()));
  }
  return out;
}

Status Rewriter::append(std::string_view record) {
  if (!file_ || bytes_ >= file_bytes_max) PLUMBLINE_CHECK_OK(begin());
  framed_.assign(frame_bytes, '\0');
  framed_.append(record);
  seal_frame(framed_, ++last_, 0);
  bytes_ += framed_.size();
  return file_->append(framed_);
}

Status Rewriter::begin() {
  FileHeader header{.first_sequence = last_ + 1};
  if (file_) {
    PLUMBLINE_CHECK_OK(finish());
    header.previous_end = bytes_;
    header.previous_first = header_.first_sequence;
  }
  PLUMBLINE_TRY(file_, files_.create(name_of(last_ + 1)));
  const std::string bytes = encode_header(header);
  header_ = header;
  bytes_ = bytes.size();
  return file_->append(bytes);
}

Status Rewriter::finish() { return file_ ? file_->sync() : Status{}; }

}  // namespace plumbline::storage::journal
