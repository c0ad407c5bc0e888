// What every asynchronous operation of a coroutine is asked with here: its error comes back as a value.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace plumbline::runtime {

inline constexpr auto as_result = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace plumbline::runtime
