#include "storage/kv/kill_point.hpp"

#include <csignal>
#include <cstdlib>
#include <string>

#include "daemon/base/check.hpp"
#include "storage/kv/salvage_kill_points.hpp"

namespace plumbline::storage::kv {

namespace {

std::function<void(std::string_view)>& handler() {
  static std::function<void(std::string_view)> h;
  return h;
}

struct Wanted {
  std::string place;
  std::atomic<long> passes_left{0};
  Wanted() {
    const char* text = std::getenv("PLUMBLINE_KILL_POINT");
    if (text == nullptr) return;
    const std::string_view whole(text);
    const std::size_t colon = whole.find(':');
    place = whole.substr(0, colon);
    passes_left = colon == std::string_view::npos ? 1 : std::atol(text + colon + 1);
    detail::kill_points_on = true;
  }
};

Wanted& wanted() {
  static Wanted w;
  return w;
}

}  // namespace

void on_kill_point(std::function<void(std::string_view place)> told) {
  handler() = std::move(told);
  detail::kill_points_on = handler() != nullptr || !wanted().place.empty();
}

namespace detail {

std::atomic<bool> kill_points_on{false};

// Read before main: nothing that passes a place runs earlier.
[[maybe_unused]] const bool read_environment = (wanted(), true);

void pass_kill_point(std::string_view place) {
  bool known = false;
  for (const std::string_view k : kill_points) known |= k == place;
  for (const std::string_view k : salvage_kill_points) known |= k == place;
  PLUMBLINE_CHECK(known, "every kill point stands in the list");
  if (handler()) return handler()(place);
  Wanted& w = wanted();
  if (place == w.place && w.passes_left.fetch_sub(1) == 1) std::raise(SIGKILL);
}

}  // namespace detail

}  // namespace plumbline::storage::kv
