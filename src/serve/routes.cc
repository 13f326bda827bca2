#include "serve/dialect.h"
#include "serve/dialects/anthropic.h"
#include "serve/dialects/ollama.h"
#include "serve/dialects/openai.h"
#include "serve/dialects/operating.h"
#include "serve/dialects/page.h"

namespace r1::serve {

std::vector<Route> all_routes() {
  std::vector<Route> routes;
  openai::add_chat_routes(routes);
  openai::add_completion_routes(routes);
  openai::add_model_routes(routes);
  openai::add_response_routes(routes);
  ollama::add_routes(routes);
  anthropic::add_routes(routes);
  add_operating_routes(routes);
  add_page_routes(routes);
  return routes;
}

}  // namespace r1::serve
