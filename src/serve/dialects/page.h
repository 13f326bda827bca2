#pragma once

#include <vector>

#include "serve/dialect.h"

namespace r1::serve {

// The page for people (web_page.h). It holds nothing of anybody's, so it answers without a key:
// that is where a visitor enters one.
void add_page_routes(std::vector<Route>& routes);

}  // namespace r1::serve
