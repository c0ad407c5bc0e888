#include "storage/journal/judge.hpp"

#include <charconv>

#include <fmt/format.h>

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

std::optional<Frame> frame_behind(std::string_view bytes, std::size_t from, std::uint64_t above) {
  for (std::size_t at = from; at + frame_bytes <= bytes.size(); ++at) {
    const auto frame = read_frame(bytes.substr(at));
    if (frame && frame->sequence >= above) return frame;
  }
  return std::nullopt;
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
  if (out.last < beside.after && !frame_behind(bytes, at + 1, beside.after + 1)) out.ending = Ending::passed;
  else if (const auto later = frame_behind(bytes, at + 1, out.last + 1); later && (later->synced == 0 || at < later->synced))
    return damaged(fmt::format(", and record {} follows it", later->sequence));
  return out;
}

}  // namespace plumbline::storage::journal
