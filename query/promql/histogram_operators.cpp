#include "query/promql/histogram_operators.hpp"

#include <fmt/format.h>

#include "query/promql/binary_operators.hpp"

namespace plumbline::query::promql {

// At least one side is a histogram, or the operator is for histograms alone.
Evaluator::Combined Evaluator::combine(const Binary& b, const Operand& left, const Operand& right) {
  const auto unfit = [&]() -> Combined {
    const auto type = [](const Operand& o) { return o.h != nullptr ? "histogram" : "float"; };
    const std::string_view op = spelling(b.op);
    inform(b, fmt::format("incompatible sample types encountered for binary operator \"{}\": {} {} {}", op, type(left), op, type(right)));
    return {};
  };
  const auto changed = [](const NativeHistogram& h, const auto& change) -> Combined {
    auto out = std::make_shared<NativeHistogram>(h);
    change(*out);
    return {true, 0, std::move(out)};
  };
  if (left.h == nullptr && right.h == nullptr) return unfit();
  if (left.h == nullptr) {
    if (b.op == Tok::mul) return changed(*right.h, [&](NativeHistogram& h) { scale(h, left.v); });
    return unfit();
  }
  if (right.h == nullptr) {
    switch (b.op) {
      case Tok::mul: return changed(*left.h, [&](NativeHistogram& h) { scale(h, right.v); });
      case Tok::div: return changed(*left.h, [&](NativeHistogram& h) { divide(h, right.v); });
      case Tok::trim_upper:
      case Tok::trim_lower:
        return changed(*left.h, [&](NativeHistogram& h) { h = trimmed(h, right.v, b.op == Tok::trim_upper); });
      default: return unfit();
    }
  }
  switch (b.op) {
    case Tok::add:
    case Tok::sub: {
      const bool adds = b.op == Tok::add;
      auto out = std::make_shared<NativeHistogram>(*left.h);
      const Reconciled done = add(*out, *right.h, adds ? 1 : -1);
      if (done.incompatible) {
        warn(b, fmt::format("incompatible bucket layout encountered for binary operator {}", spelling(b.op)));
        return {};
      }
      const std::string_view operation = adds ? "addition" : "subtraction";
      if (done.bounds_mismatched) inform(b, fmt::format("mismatched custom buckets were reconciled during {}", operation));
      if (done.reset_collision) warn(b, fmt::format("conflicting counter resets during histogram {}", operation));
      return {true, 0, std::move(out)};
    }
    case Tok::eqlc:
    case Tok::neq: {
      const bool holds = same_value(*left.h, *right.h) == (b.op == Tok::eqlc);
      if (b.return_bool) return {true, holds ? 1.0 : 0.0, nullptr};
      if (!holds) return {};
      return changed(*left.h, [](NativeHistogram&) {});
    }
    default: return unfit();
  }
}

}  // namespace plumbline::query::promql
