// The search behind damage: what it finds, and that bytes which are made to be slow end it. Work is counted, not timed.
#include <filesystem>
#include <fstream>
#include <limits>

#include <catch2/catch.hpp>

#include "daemon/base/bytes.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/judge.hpp"
#include "storage/journal/salvage.hpp"
#include "storage/journal/verify.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::storage::journal;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t any_number = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t slow_frames = 400;  // each takes all bytes behind it: 200 times the bytes, and 64 times are allowed

// Every 24 bytes look like the beginning of a record that has the rest of the bytes in it.
std::string slow_bytes(std::size_t frames) {
  std::string out;
  for (std::size_t i = 0; i < frames; ++i) {
    ByteWriter frame;
    frame.le32(0);
    frame.le32(static_cast<std::uint32_t>((frames - 1 - i) * frame_bytes));
    frame.le64(0);
    frame.le64(1 + i % 100);
    out += frame.take();
  }
  return out;
}

std::string frame_of(std::uint64_t sequence, std::string_view record, std::uint64_t synced = 0) {
  std::string out(frame_bytes, '\0');
  out += record;
  seal_frame(out, sequence, synced);
  return out;
}

std::string slow_file() { return encode_header({.first_sequence = 1}) + slow_bytes(slow_frames); }

Result<Verdict> judged(std::string_view bytes, std::uint64_t after) {
  return judge_file(bytes, {.first = 1, .previous_first = {}, .last = 0, .next = {}, .after = after}, [](const Frame&) -> Status { return {}; });
}

struct Folder {
  test::TempDir directory;
  std::string path = directory.path("journal");
  explicit Folder(const std::string& bytes) {
    fs::create_directory(path);
    std::ofstream(path + "/" + name_of(1), std::ios::binary) << bytes;
  }
  Status start() {
    const auto log = make_null_log();
    Registry registry;
    PLUMBLINE_TRY(const auto journal, Journal::open({.directory = path}, *log, registry));
    return journal->replay(0, [](std::uint64_t, std::string_view) -> Status { return {}; });
  }
  std::vector<model::Problem> problems() {
    const auto found = verify(path, "journal", nullptr, 0, [](std::uint64_t, std::string_view) -> Status { return {}; });
    REQUIRE(found);
    return found->problems;
  }
};

}  // namespace

TEST_CASE("a search for a frame finds the first with a number that is asked for") {
  const std::string bytes = "xyz" + frame_of(3, "three") + "?" + frame_of(9, "nine") + frame_of(10, "ten");
  std::uint64_t allowance = checksums_max * bytes.size();
  const Search nine = next_frame(bytes, 0, 4, any_number, allowance);
  REQUIRE(nine.frame);
  CHECK(nine.frame->sequence == 9);
  CHECK(nine.frame->record == "nine");
  CHECK(nine.at == 3 + frame_bytes + 5 + 1);
  CHECK_FALSE(next_frame(bytes, nine.at + 1, 4, 9, allowance).frame);
  CHECK(next_frame(bytes, nine.at + 1, 4, 10, allowance).frame);
}

TEST_CASE("a search for a frame puts no more bytes into checksums than it is allowed") {
  const std::string bytes = slow_bytes(slow_frames) + frame_of(7, "whole");
  const std::uint64_t allowed = checksums_max * bytes.size();
  std::uint64_t allowance = allowed;
  const Search search = next_frame(bytes, 0, 1, 100, allowance);
  CHECK(search.given_up);
  CHECK_FALSE(search.frame);  // it stands behind
  CHECK(allowance < bytes.size());  // neither more than is allowed, which would wrap, nor less than it can have

  std::uint64_t plenty = slow_frames * allowed;
  CHECK(next_frame(bytes, 0, 1, 100, plenty).frame);
  // A number that is not asked for costs nothing.
  std::uint64_t nothing = 0;
  const Search other = next_frame(bytes, 0, any_number, any_number, nothing);
  CHECK_FALSE(other.given_up);
  CHECK_FALSE(other.frame);
}

TEST_CASE("a file without a header was never begun, unless it has a record or cannot be told") {
  CHECK(never_begun("", 5));
  CHECK(never_begun(std::string(header_bytes - 1, '\0'), 5));
  CHECK(never_begun(std::string(100'000, '\0'), 5));  // as a power cut leaves one
  CHECK_FALSE(never_begun(std::string(header_bytes + 11, '\0') + frame_of(6, "six"), 5));
  CHECK_FALSE(never_begun(std::string(header_bytes, '\0') + slow_bytes(slow_frames), 1));
}

TEST_CASE("a journal that is made to be slow is refused by who would drop what follows") {
  for (const std::uint64_t after : {0, 50}) {
    INFO("after " << after);
    const auto verdict = judged(slow_file(), after);
    REQUIRE(verdict);
    CHECK(verdict->ending == Ending::damaged);
    CHECK(verdict->damage.find("looks like a record and is none") != std::string::npos);
  }
  // Numbers that a file of this length cannot have do not count: its end is torn, or sealed long since.
  const std::string begun = encode_header({.first_sequence = 1000}) + slow_bytes(slow_frames);
  const Beside alone{.first = 1000, .previous_first = {}, .last = 0, .next = {}, .after = 0};
  const auto torn = judge_file(begun, alone, [](const Frame&) -> Status { return {}; });
  REQUIRE(torn);
  CHECK(torn->ending == Ending::torn);
  const auto passed = judged(slow_file(), 100);
  REQUIRE(passed);
  CHECK(passed->ending == Ending::passed);

  for (const bool header : {true, false}) {
    INFO((header ? "with" : "without") << " a header");
    std::string bytes = slow_file();
    if (!header) bytes.replace(0, header_bytes, header_bytes, '\0');
    Folder f(bytes);
    CHECK(f.problems().size() == 1);
    const Status started = f.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().code == Code::corrupt);
    CHECK(fs::exists(f.path + "/" + name_of(1)));
  }
}

TEST_CASE("what a later record knows to have been durable is damaged, whatever the records before it know") {
  const std::string first = encode_header({.first_sequence = 1}) + frame_of(1, "one");
  // The second was written with the first durable, the third in the same group: it knows no more.
  std::string bytes = first + frame_of(2, "two", first.size());
  bytes[first.size() + frame_bytes] ^= 1;
  bytes += frame_of(3, "three", first.size());
  const auto torn = judged(bytes, 0);
  REQUIRE(torn);
  CHECK(torn->ending == Ending::torn);
  CHECK(torn->last == 1);
  const std::size_t group = bytes.size();
  bytes += frame_of(4, "four", group);
  for (const std::uint64_t after : {0, 2, 3}) {
    INFO("after " << after);
    const auto damaged = judged(bytes, after);
    REQUIRE(damaged);
    CHECK(damaged->ending == Ending::damaged);
    CHECK(damaged->damage.find("record 4 follows it") != std::string::npos);
  }
  const auto passed = judged(bytes, 4);
  REQUIRE(passed);
  CHECK(passed->ending == Ending::passed);
}

TEST_CASE("a search that was given up is not made good by a record before") {
  const std::string header = encode_header({.first_sequence = 1});
  const std::string bytes = header + "?" + frame_of(2, "two", header.size()) + slow_bytes(slow_frames);
  const auto verdict = judged(bytes, 50);
  REQUIRE(verdict);
  CHECK(verdict->ending == Ending::damaged);
}

TEST_CASE("a salvage gives up a journal that is made to be slow") {
  Folder f(slow_file());
  const auto read = salvage(f.path, "journal", nullptr, 0, [](std::uint64_t, std::string_view) -> Status { return {}; });
  REQUIRE(read);
  REQUIRE(read->lost.size() == 1);
  CHECK(read->lost.front().what.find("given up") != std::string::npos);
}
