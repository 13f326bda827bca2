#pragma once

#include <vector>

#include "serve/dialect.h"

// Ollama's native API: NDJSON, durations in nanoseconds, streams unless told otherwise.
namespace r1::serve::ollama {

// {"error": "text"}
HttpReply error_reply(const ApiError& error, const HttpRequest& request);

void add_routes(std::vector<Route>& routes);

}  // namespace r1::serve::ollama
