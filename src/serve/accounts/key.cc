#include "serve/accounts/key.h"

#include <algorithm>

namespace r1::serve {

bool Key::may_use(std::string_view model) const {
  return models.empty() || std::ranges::find(models, model) != models.end();
}

}  // namespace r1::serve
