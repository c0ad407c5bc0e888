#include "query/ml/records.hpp"

#include <algorithm>
#include <set>

#include "daemon/base/text.hpp"

namespace plumbline::query::ml {

Result<std::vector<std::string>> scan_records(const storage::Reader& reader, const Records& what, const BlockStart& on_block,
                                              const RowVisitor& visit) {
  if (what.window.end_ns <= what.window.start_ns)
    return fail(Code::invalid_input, "the window's end (" + format_rfc3339_ns(what.window.end_ns) +
                                         ") must be after its start (" + format_rfc3339_ns(what.window.start_ns) + ")");
  PLUMBLINE_TRY(const Filter filter, Filter::parse(what.window.where));
  storage::EventQuery query;
  query.kind = model::EventKind::inference;
  query.stream.push_back(model::Matcher::equal("model", what.model));
  if (const auto version = filter.version()) query.stream.push_back(model::Matcher::equal("version", *version));
  query.range_ns = {what.window.start_ns, what.window.end_ns - 1};
  query.columns = what.columns;
  for (const std::string& column : filter.columns())
    if (std::find(query.columns.begin(), query.columns.end(), column) == query.columns.end()) query.columns.push_back(column);
  // No column at all would mean every column; a name that costs nothing where it is absent keeps the scan narrow.
  if (query.columns.empty()) query.columns.emplace_back(model::field::status);
  bool any = false;
  std::set<std::string, std::less<>> missing(filter.columns().begin(), filter.columns().end());
  Status stopped;
  PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
    const Filter::Bound bound(filter, block);
    if (on_block) on_block(block);
    any = true;
    std::erase_if(missing, [&](const std::string& name) { return block.find(name) != nullptr; });
    for (std::size_t row = 0; row < block.times_ns.size(); ++row) {
      if (!bound.passes(row)) continue;
      stopped = visit(block, row);
      if (!stopped) return false;
    }
    return true;
  }));
  PLUMBLINE_CHECK_OK(stopped);
  std::vector<std::string> notes;
  if (any)
    for (const std::string& name : missing)
      notes.push_back("where: no record of the window has " + json_quote(name) + ", and what is missing passes no comparison but != and !~");
  return notes;
}

}  // namespace plumbline::query::ml
