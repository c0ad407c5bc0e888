#include "storage/kv/log_salvage.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "storage/kv/log_judge.hpp"

namespace plumbline::storage::kv {

namespace {
enum Type : std::uint8_t { whole = 1, first = 2, middle = 3, last = 4 };
}  // namespace

Result<std::vector<LogGap>> salvage_log(std::string_view bytes, const std::function<Status(std::string_view record)>& visit) {
  std::vector<LogGap> gaps;
  std::uint64_t open_gap = 0;  // where what does not read begins, while something is missing
  std::string parts;
  std::optional<std::uint64_t> begun;  // the record that `parts` is of
  bool missing = false;
  const auto lose = [&](std::uint64_t from) {
    if (!missing) open_gap = from;
    missing = true;
  };
  const auto found = [&](std::uint64_t at) {
    if (missing) gaps.push_back({open_gap, at - open_gap, false});
    missing = false;
  };
  for (std::size_t block = 0; block < bytes.size(); block += log_block_bytes) {
    const std::string_view in = bytes.substr(block, log_block_bytes);
    std::size_t at = 0;
    while (at < in.size()) {
      if (log_block_bytes - at < log_header_bytes) break;  // the end of a block has no room for a header
      const auto piece = log_piece(in.substr(at));
      if (!piece) {
        lose(begun.value_or(block + at));
        begun.reset();
        ++at;
        continue;
      }
      const std::uint64_t here = block + at;
      if ((piece->type == whole || piece->type == first) && begun) lose(*begun);  // its end is missing
      if ((piece->type == middle || piece->type == last) && !begun) lose(here);   // its beginning is
      if (piece->type == whole) {
        found(here);
        begun.reset();
        PLUMBLINE_CHECK_OK(visit(piece->payload));
      } else if (piece->type == first) {
        parts.assign(piece->payload);
        begun = here;
      } else if (begun) {
        parts.append(piece->payload);
        if (piece->type == last) {
          found(*begun);
          begun.reset();
          PLUMBLINE_CHECK_OK(visit(parts));
        }
      }
      at += piece->bytes();
    }
  }
  if (begun) lose(*begun);
  const auto rest = missing ? bytes.substr(static_cast<std::size_t>(open_gap)) : std::string_view();
  if (std::ranges::any_of(rest, [](char c) { return c != '\0'; })) gaps.push_back({open_gap, rest.size(), true});
  return gaps;
}

}  // namespace plumbline::storage::kv
