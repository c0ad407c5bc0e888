// One binary operator on two floats. A comparison yields the left value and whether to keep it.
#pragma once

#include <cmath>

#include "query/promql/lexer.hpp"

namespace plumbline::query::promql {

struct Outcome {
  double value = 0;
  bool keep = true;
};

inline Outcome apply_operator(Tok op, double l, double r) {
  switch (op) {
    case Tok::add: return {l + r};
    case Tok::sub: return {l - r};
    case Tok::mul: return {l * r};
    case Tok::div: return {l / r};
    case Tok::pow: return {std::pow(l, r)};
    case Tok::mod: return {std::fmod(l, r)};
    case Tok::atan2: return {std::atan2(l, r)};
    case Tok::eqlc: return {l, l == r};
    case Tok::neq: return {l, l != r};
    case Tok::gtr: return {l, l > r};
    case Tok::lss: return {l, l < r};
    case Tok::gte: return {l, l >= r};
    case Tok::lte: return {l, l <= r};
    default: return {l, false};
  }
}

}  // namespace plumbline::query::promql
