#pragma once

#include <vector>

#include "serve/dialect.h"

// Anthropic's Messages API with thinking blocks.
namespace r1::serve::anthropic {

// {"type": "error", "error": {"type", "message"}, "request_id"}
HttpReply error_reply(const ApiError& error, const HttpRequest& request);

void add_routes(std::vector<Route>& routes);

}  // namespace r1::serve::anthropic
