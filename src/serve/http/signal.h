#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "serve/http/asio.h"

namespace r1::serve {

// Lets other threads wake a coroutine. Waiting happens on the one thread of its executor.
class Signal : public std::enable_shared_from_this<Signal> {
 public:
  explicit Signal(const asio::any_io_executor& executor) : timer_(executor) {}

  // Any thread.
  void set() {
    asio::post(timer_.get_executor(), [self = shared_from_this()] {
      self->is_set_ = true;
      self->timer_.cancel();
    });
  }
  // True when set since the last wait, false when the time is over.
  asio::awaitable<bool> wait(std::chrono::steady_clock::duration time) {
    if (!is_set_) {
      ErrorCode error;
      timer_.expires_after(time);
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
    co_return std::exchange(is_set_, false);
  }

 private:
  asio::steady_timer timer_;
  bool is_set_ = false;
};

}  // namespace r1::serve
