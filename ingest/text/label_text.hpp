// A label set as text, {a="b", c="d"}: what Loki's protobuf push carries in place of labels.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::ingest {

// Values are Go strings: "..." with escapes or `...` without. Only equality. Order and duplicates are kept.
// Fails: invalid_input with the column.
Result<std::vector<model::Label>> parse_label_text(std::string_view text);

// [A-Za-z_][A-Za-z0-9_]*: what LogQL can name.
bool is_label_name(std::string_view name);

}  // namespace plumbline::ingest
