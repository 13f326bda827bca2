#pragma once

#include <string>

#include "serve/config.h"
#include "serve/http/message.h"

namespace r1::serve {

// Whether a browser may send this request, and what it is told about it. A page from anywhere can
// make its visitor's browser ask a server on their own machine; and a page's own name can be made
// to point there (DNS rebinding). So the request's Host must be a name of this server, and its
// Origin this server or one that the operator named.
struct OriginVerdict {
  bool allowed = true;
  std::string reason;
  std::string allow_origin;  // for Access-Control-Allow-Origin; empty: not told
};

OriginVerdict judge_origin(const HttpRequest& request, const ServerConfig& config);

}  // namespace r1::serve
