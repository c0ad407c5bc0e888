// A store with sealed days that a test damages and salvages.
#pragma once

#include <algorithm>

#include "storage/offline.hpp"
#include "store_fixture.hpp"

namespace plumbline::test {

inline constexpr std::int64_t day_ms = 86'400'000;

inline Labels named(const std::string& name) { return Labels::of({{"__name__", name}}); }

// Two sealed days and a record that is not, as kill -9 leaves them.
struct Damaged : StoreFixture {
  std::int64_t begin = 0;
  std::string path;
  Damaged() {
    open();
    begin = (clock.now_ms() / day_ms - 2) * day_ms;
    for (int d = 0; d < 2; ++d) REQUIRE(store->write(one_series(named("a"), samples_of(d))));
    REQUIRE(store->write(one_series(named("b"), samples_of(0))));
    REQUIRE(store->seal());
    reopen();  // memtables become tables
    REQUIRE(store->write(one_series(named("a"), {{clock.now_ms(), 1.0}})));
  }
  std::vector<Sample> samples_of(int d) const {
    std::vector<Sample> out;
    for (std::int64_t t = begin + d * day_ms; t < begin + (d + 1) * day_ms; t += 60'000) out.push_back({t, static_cast<double>(t % 977)});
    return out;
  }
  void kill() {
    path = directory.path("killed");
    copy_tree(options.path, path);
    store.reset();
    options.path = path;
  }
  storage::SalvageReport salvaged() {
    auto report = storage::salvage(path, nullptr, *log);
    if (!report) FAIL(report.error().message);
    for (const model::Problem& p : report->after.problems) FAIL_CHECK("after: " << p.str());
    return std::move(*report);
  }
  std::string refused(Code code) {
    const auto report = storage::salvage(path, nullptr, *log);
    REQUIRE_FALSE(report);
    INFO(report.error().message);
    CHECK(report.error().code == code);
    CHECK_FALSE(std::filesystem::exists(path + "/SALVAGING"));
    CHECK_FALSE(std::filesystem::exists(path + "/damaged-1"));
    return report.error().message;
  }
};

inline std::vector<std::filesystem::path> segments_of(const std::string& path) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(path + "/segments"))
    if (entry.path().extension() == ".sst") out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

inline void cut(const std::filesystem::path& file) { std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2); }

inline std::string text_of(const std::vector<model::Problem>& problems) {
  std::string out;
  for (const model::Problem& p : problems) out += p.str() + "\n";
  return out;
}
inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace plumbline::test
