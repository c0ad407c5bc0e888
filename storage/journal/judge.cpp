#include "storage/journal/judge.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::journal {

namespace {
constexpr std::string_view suffix = ".journal";
}  // namespace

std::string name_of(std::uint64_t first_sequence) { return fmt::format("{:016x}{}", first_sequence, suffix); }

std::optional<std::uint64_t> first_of(std::string_view name) {
  if (name.size() != 16 + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 16, out, 16);
  if (error != std::errc() || end != name.data() + 16) return std::nullopt;
  return out;
}

std::vector<std::uint64_t> firsts_of(std::span<const std::string> names) {
  std::vector<std::uint64_t> out;
  for (const std::string& name : names)
    if (const auto first = first_of(name)) out.push_back(*first);
  return out;
}

Search next_frame(std::string_view bytes, std::size_t from, std::uint64_t least, std::uint64_t most, std::uint64_t& allowance) {
  for (std::size_t at = from; at + frame_bytes <= bytes.size(); ++at) {
    const std::uint64_t sequence = ByteReader(bytes.substr(at + 16, 8)).le64();
    if (sequence < least || sequence > most) continue;
    const std::uint64_t length = ByteReader(bytes.substr(at + 4, 4)).le32();
    if (length > record_bytes_max || length > bytes.size() - at - frame_bytes) continue;
    if (allowance < frame_bytes + length) return {{}, at, true};
    allowance -= frame_bytes + length;
    if (auto frame = read_frame(bytes.substr(at))) return {frame, at, false};
  }
  return {};
}

std::uint64_t most_of(std::uint64_t first, std::size_t bytes) {
  return first + std::min<std::uint64_t>(bytes / frame_bytes, std::numeric_limits<std::uint64_t>::max() - first);
}

bool never_begun(std::string_view bytes, std::uint64_t first) {
  std::uint64_t allowance = checksums_max * bytes.size();
  const Search any = next_frame(bytes, header_bytes, first, most_of(first, bytes.size()), allowance);
  return !any.frame && !any.given_up;
}

Result<Verdict> judge_file(std::string_view bytes, const Beside& beside, const std::function<Status(const Frame&)>& visit) {
  PLUMBLINE_TRY(const auto header, decode_header(bytes));
  if (!header || header->first_sequence != beside.first) return fail(Code::corrupt, "the file's header is damaged");
  // Version 1 does not say of which file it speaks.
  if (beside.previous_first && header->version > 1 && header->previous_first != *beside.previous_first)
    return fail(Code::corrupt, header->previous_first == 0
                                   ? fmt::format("the journal begins here, but records from {} on are asked for", beside.after + 1)
                                   : fmt::format("it continues {}, which is missing", name_of(header->previous_first)));
  if (beside.previous_first && beside.first != beside.last + 1)
    return fail(Code::corrupt, fmt::format("records {} to {} are missing before it", beside.last + 1, beside.first - 1));

  Verdict out;
  out.last = beside.first - 1;
  const std::optional<FileHeader>& next = beside.next;
  if (next) bytes = bytes.substr(0, next->previous_end);
  std::size_t at = header_bytes;
  while (at < bytes.size()) {
    const auto frame = read_frame(bytes.substr(at));
    if (!frame || frame->sequence != out.last + 1) break;
    PLUMBLINE_CHECK_OK(visit(*frame));
    out.last = frame->sequence;
    at += frame->bytes();
  }
  out.end = at;
  if (at == (next ? next->previous_end : bytes.size())) return out;
  if (next && next->version > 1 && next->previous_first != beside.first) {
    out.ending = Ending::elsewhere;
    return out;
  }

  // Something does not verify. At the very end it is what a crash tore; behind what was durable, what a power cut took.
  const auto damaged = [&](const std::string& more) {
    out.ending = Ending::damaged;
    out.damage = fmt::format("record {} is damaged at offset {}{}; nothing was dropped", out.last + 1, at, more);
    return out;
  };
  if (next) {
    if (at < next->previous_synced || next->version > 1) return damaged("");
    out.ending = Ending::lost;
    return out;
  }
  out.ending = Ending::torn;
  const std::uint64_t most = most_of(beside.first, bytes.size());
  std::uint64_t allowance = checksums_max * bytes.size();
  // Not knowing whether a record follows, a start that cut the file could drop one that was acknowledged.
  const auto unknown = [&] { return damaged(", and too much behind it looks like a record and is none to tell what follows"); };
  if (out.last < beside.after) {
    const Search unsealed = next_frame(bytes, at + 1, beside.after + 1, most, allowance);
    if (unsealed.given_up) return unknown();
    if (!unsealed.frame) {
      out.ending = Ending::passed;
      return out;
    }
  }
  // Every one that follows is asked: those that were written before the next sync do not know yet that what is damaged became durable.
  std::size_t from = at + 1;
  for (std::uint64_t number = out.last + 1;;) {
    const Search later = next_frame(bytes, from, number, most, allowance);
    if (later.given_up) return unknown();
    if (!later.frame) return out;
    if (later.frame->synced == 0 || at < later.frame->synced)
      return damaged(fmt::format(", and record {} follows it", later.frame->sequence));
    from = later.at + later.frame->bytes();
    number = later.frame->sequence + 1;
  }
}

}  // namespace plumbline::storage::journal
