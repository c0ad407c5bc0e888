#include "storage/journal/salvage.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "storage/journal/judge.hpp"

namespace plumbline::storage::journal {

namespace {

constexpr std::uint64_t file_bytes_max = 64u << 20;
// How often the bytes of a file may be worked into checksums. A sound one takes each once; one that was made to look like the
// beginning of a record everywhere would take each as often as it has bytes.
constexpr std::uint64_t checksums_max = 64;

struct Search {
  std::optional<std::size_t> found;
  bool given_up = false;  // the allowance is spent
};
// The first frame behind `from` with a number in [above, most]. The number is looked at before the checksum, which else would be
// worked out at nearly every byte over whatever length stands there. `allowance`: bytes that may still go into checksums.
Search next_frame(std::string_view bytes, std::size_t from, std::uint64_t above, std::uint64_t most, std::uint64_t& allowance) {
  for (std::size_t at = from; at + frame_bytes <= bytes.size(); ++at) {
    const std::uint64_t sequence = ByteReader(bytes.substr(at + 16, 8)).le64();
    if (sequence < above || sequence > most) continue;
    const std::uint64_t length = ByteReader(bytes.substr(at + 4, 4)).le32();
    if (length > record_bytes_max || length > bytes.size() - at - frame_bytes) continue;
    if (allowance < frame_bytes + length) return {{}, true};
    allowance -= frame_bytes + length;
    if (read_frame(bytes.substr(at))) return {at, false};
  }
  return {};
}

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
      PLUMBLINE_TRY(const std::string head, files->read(name_of(firsts[i + 1])));
      PLUMBLINE_TRY(next, decode_header(head));
      if (next && next->version > 1 && next->previous_first == firsts[i]) bytes = bytes.substr(0, next->previous_end);
    }
    // A number that no file of this length reaches is not one of its records.
    const std::uint64_t most = firsts[i] + all.size() / frame_bytes;
    if (!header) tell("offset 0", "the file's header is damaged");
    std::uint64_t allowance = checksums_max * all.size();
    std::size_t at = std::min(header_bytes, bytes.size());
    while (at < bytes.size()) {
      const std::uint64_t wanted = std::max(out.last + 1, firsts[i]);
      const auto [found, given_up] = next_frame(bytes, at, wanted, most, allowance);
      const std::size_t until = found.value_or(bytes.size());
      const auto frame = found ? read_frame(bytes.substr(*found)) : std::nullopt;
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
