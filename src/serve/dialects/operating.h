#pragma once

#include <vector>

#include "serve/dialect.h"

namespace r1::serve {

// /health alone answers without a key.
void add_operating_routes(std::vector<Route>& routes);

}  // namespace r1::serve
