#include "query/promql/ast.hpp"

namespace plumbline::query::promql {
namespace {

void collect(const Expr& e, std::vector<const Selector*>& out) {
  switch (e.kind) {
    case Kind::number:
    case Kind::string: return;
    case Kind::selector: return out.push_back(static_cast<const Selector*>(&e));
    case Kind::matrix: return out.push_back(static_cast<const MatrixSelector&>(e).selector.get());
    case Kind::subquery: return collect(*static_cast<const Subquery&>(e).inner, out);
    case Kind::paren: return collect(*static_cast<const Paren&>(e).inner, out);
    case Kind::unary: return collect(*static_cast<const Unary&>(e).inner, out);
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      collect(*b.left, out);
      return collect(*b.right, out);
    }
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      if (a.parameter) collect(*a.parameter, out);
      return collect(*a.inner, out);
    }
    case Kind::call:
      for (const ExprPtr& argument : static_cast<const Call&>(e).arguments) collect(*argument, out);
      return;
  }
}

}  // namespace

std::vector<const Selector*> selectors_of(const Expr& expr) {
  std::vector<const Selector*> out;
  collect(expr, out);
  return out;
}

}  // namespace plumbline::query::promql
