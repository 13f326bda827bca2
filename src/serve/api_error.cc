#include "serve/api_error.h"

#include "base/error.h"

namespace r1::serve {

int ApiError::status() const {
  switch (kind) {
    case Kind::invalid:
      return 400;
    case Kind::unauthorized:
      return 401;
    case Kind::no_balance:
      return 402;
    case Kind::forbidden:
      return 403;
    case Kind::not_found:
      return 404;
    case Kind::bad_method:
      return 405;
    case Kind::not_acceptable:
      return 406;
    case Kind::timeout:
      return 408;
    case Kind::too_large:
      return 413;
    case Kind::bad_type:
      return 415;
    case Kind::unprocessable:
      return 422;
    case Kind::rate_limited:
      return 429;
    case Kind::internal:
      return 500;
    case Kind::unsupported:
      return 501;
    case Kind::overloaded:
      return 503;
  }
  R1_CHECK(false, "error kind {}", static_cast<int>(kind));
}

void refuse(std::string_view param, const std::string& message) {
  throw ApiError(ApiError::Kind::invalid, message, param);
}

void refuse_unsupported(std::string_view param, std::string_view what) {
  refuse(param, fmt::format("{} is not supported by this server", what));
}

}  // namespace r1::serve
