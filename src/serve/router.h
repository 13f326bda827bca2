#pragma once

#include <string>
#include <vector>

#include "serve/dialect.h"

namespace r1::serve {

// Finds who answers a path. Immutable.
class Router {
 public:
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // Throws ApiError: 404, or 405 where only the method is another. HEAD counts as GET.
  const Route& find(const HttpRequest& request) const;
  // Who words the errors of a path that nobody answers: a neighbour's way, else OpenAI's.
  ErrorWriter error_writer(const HttpRequest& request) const;
  // The methods of a path, for OPTIONS: "GET, POST".
  std::string methods(const std::string& path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace r1::serve
