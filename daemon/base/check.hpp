// PLUMBLINE_CHECK(condition, "what this means"): on in every build; prints the place and stops the process. For what only
// our own mistake can make false; never for input, disk or network.
#pragma once

namespace plumbline {
[[noreturn]] void check_failed(const char* condition, const char* meaning, const char* file, int line);
}

#define PLUMBLINE_CHECK(condition, meaning) \
  (static_cast<bool>(condition) ? void(0) : ::plumbline::check_failed(#condition, meaning, __FILE__, __LINE__))
