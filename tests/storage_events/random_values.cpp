#include "tests/storage_events/random_values.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "daemon/base/text.hpp"

namespace plumbline::test {

using model::List;
using model::Value;

std::uint64_t fresh_seed() {
  if (const char* seed = std::getenv("PLUMBLINE_SEED")) return std::strtoull(seed, nullptr, 10);
  return std::random_device()();
}

double odd_double(Random& random) {
  constexpr std::array<std::uint64_t, 12> patterns{
      0x7ff0000000000002, 0x7ff8000000000000, 0xfff8000000000001, 0x7ff4deadbeef1234,  // NaN, with payloads
      0x8000000000000000, 0, 0x7ff0000000000000, 0xfff0000000000000,                  // -0, 0, infinities
      1, 0x7fefffffffffffff, 0x4340000000000001, 0x0010000000000000};                 // subnormal, max, 2^53+2, min normal
  switch (below(random, 6)) {
    case 0: return std::bit_cast<double>(patterns[below(random, patterns.size())]);
    case 1: return std::bit_cast<double>(random());
    case 2: return static_cast<double>(static_cast<std::int64_t>(below(random, 2000)) - 1000);
    case 3: return static_cast<double>(below(random, 100000)) / 100;
    case 4: return static_cast<float>(random()) * 1e-10f;
    default: return std::normal_distribution<double>(0, 1)(random);
  }
}

std::int64_t odd_int(Random& random) {
  switch (below(random, 5)) {
    case 0: return std::numeric_limits<std::int64_t>::min();
    case 1: return std::numeric_limits<std::int64_t>::max();
    case 2: return static_cast<std::int64_t>(random());
    case 3: return static_cast<std::int64_t>(random()) >> below(random, 64);
    default: return static_cast<std::int64_t>(below(random, 10)) * 1'000'000'000;
  }
}

std::string odd_string(Random& random) {
  switch (below(random, 6)) {
    case 0: return "";
    case 1: return fmt::format("{:016x}{:016x}", random(), random());
    case 2: return std::string(below(random, 300), static_cast<char>(random()));
    case 3: {
      std::string bytes;
      for (std::uint64_t i = below(random, 40); i > 0; --i) bytes.push_back(static_cast<char>(random()));
      return bytes;
    }
    case 4: return fmt::format("user {} said \"grüß\" to {}", below(random, 5), below(random, 50));
    default: return fmt::format("{:x}", below(random, 1000));
  }
}

Value odd_value(Random& random) {
  switch (below(random, 6)) {
    case 0: return std::monostate{};
    case 1: return below(random, 2) == 0;
    case 2: return odd_int(random);
    case 3: return odd_double(random);
    case 4: return odd_string(random);
    default: {
      List list;
      for (std::uint64_t i = below(random, 5); i > 0; --i) list.push_back(odd_double(random));
      return list;
    }
  }
}

std::vector<Value> odd_column(Random& random, std::size_t n) {
  const std::uint64_t style = below(random, 16);
  const std::uint64_t null_each = below(random, 3) == 0 ? 2 + below(random, 20) : 0;
  const Value constant = odd_value(random);
  std::vector<Value> few;
  for (int i = 0; i < 7; ++i) few.push_back(odd_value(random));
  const double scale = std::array{1.0, 10.0, 1000.0, 1e9, 1e15}[below(random, 5)];
  std::int64_t walk = odd_int(random) / 4;
  std::vector<Value> out;
  for (std::size_t i = 0; i < n; ++i) {
    walk = static_cast<std::int64_t>(static_cast<std::uint64_t>(walk) + below(random, 1000) * 1'000'000);
    if (null_each != 0 && below(random, null_each) == 0) {
      out.emplace_back();
      continue;
    }
    switch (style) {
      case 0: out.push_back(constant); break;
      case 1: out.push_back(few[below(random, few.size())]); break;
      case 2: out.emplace_back(below(random, 2) == 0); break;
      case 3: out.emplace_back(odd_int(random)); break;
      case 4: out.emplace_back(walk); break;
      case 5: out.emplace_back(odd_double(random)); break;
      case 6: out.emplace_back(static_cast<double>(below(random, 1'000'000)) / scale); break;
      case 7: out.emplace_back(below(random, 50) == 0 ? odd_double(random) : static_cast<double>(below(random, 999)) / 10); break;
      case 8: out.emplace_back(static_cast<double>(static_cast<float>(std::normal_distribution<double>(5, 2)(random)))); break;
      case 9: out.emplace_back(std::normal_distribution<double>(5, 2)(random)); break;
      case 10: out.emplace_back(odd_string(random)); break;
      case 11: out.emplace_back(fmt::format("{:016x}", random())); break;
      case 12: out.emplace_back(fmt::format("class-{}", below(random, 5))); break;
      case 13: out.emplace_back(List{odd_double(random), 1.5, static_cast<double>(i)}); break;
      case 14: out.emplace_back(std::exp2(static_cast<double>(below(random, 3)))); break;
      default: out.push_back(odd_value(random)); break;
    }
  }
  return out;
}

bool same(const Value& a, const Value& b) {
  const auto bits = [](double v) { return std::bit_cast<std::uint64_t>(v); };
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<double>(&a)) return bits(*x) == bits(std::get<double>(b));
  if (const auto* x = std::get_if<List>(&a)) {
    const List& y = std::get<List>(b);
    if (x->size() != y.size()) return false;
    for (std::size_t i = 0; i < y.size(); ++i)
      if (bits((*x)[i]) != bits(y[i])) return false;
    return true;
  }
  return a == b;
}

bool same(std::span<const Value> a, std::span<const Value> b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same(a[i], b[i])) return false;
  return true;
}

std::string show(const Value& v) {
  if (const auto* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&v)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&v)) return fmt::format("f:{:016x}", std::bit_cast<std::uint64_t>(*d));
  if (const auto* s = std::get_if<std::string>(&v)) return "\"" + hex(*s) + "\"";
  if (const auto* l = std::get_if<List>(&v)) {
    std::string out = "[";
    for (const double d : *l) out += fmt::format("{:016x},", std::bit_cast<std::uint64_t>(d));
    return out + "]";
  }
  return "null";
}

}  // namespace plumbline::test
