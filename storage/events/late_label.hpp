// The stored form of a late label: version, time, value. The key names model and prediction.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/error.hpp"
#include "storage/events/head.hpp"

namespace plumbline::storage::events {

std::string encode_label(const PendingLabel& label);
Result<PendingLabel> decode_label(std::string_view bytes);

}  // namespace plumbline::storage::events
