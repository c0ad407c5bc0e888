// Seeded values that codecs find hard, and equality by bits.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "storage/model/event.hpp"

namespace plumbline::test {

using Random = std::mt19937_64;
// From the clock, unless PLUMBLINE_SEED says; printed by whoever uses it.
std::uint64_t fresh_seed();

inline std::uint64_t below(Random& random, std::uint64_t n) { return random() % n; }
double odd_double(Random& random);
std::int64_t odd_int(Random& random);
std::string odd_string(Random& random);
model::Value odd_value(Random& random);
// A column of `n` values in one of many styles: one type, with nulls, mixed, constant, few distinct, decimals, ids.
std::vector<model::Value> odd_column(Random& random, std::size_t n);

bool same(const model::Value& a, const model::Value& b);  // doubles by their bits
bool same(std::span<const model::Value> a, std::span<const model::Value> b);
std::string show(const model::Value& v);  // the same text for the same bits

}  // namespace plumbline::test
