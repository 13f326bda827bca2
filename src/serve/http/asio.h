#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>

namespace r1::serve {

namespace asio = boost::asio;
using ErrorCode = boost::beast::error_code;

}  // namespace r1::serve
