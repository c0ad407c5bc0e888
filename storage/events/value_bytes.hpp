// A single model::Value as bytes: how rows stand in the head and how late labels are stored. Tag, then the payload.
#pragma once

#include "daemon/base/bytes.hpp"
#include "storage/model/event.hpp"

namespace plumbline::storage::events {

void put_value(ByteWriter& out, const model::Value& value);
// False when the bytes end early or the tag is unknown.
bool get_value(ByteReader& in, model::Value& value);
bool skip_value(ByteReader& in);
// True when the next value is the string `text`; reads past it either way.
bool match_value(ByteReader& in, std::string_view text);

}  // namespace plumbline::storage::events
