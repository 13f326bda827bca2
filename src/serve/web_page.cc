#include "serve/web_page.h"

#include <algorithm>

namespace r1::serve {

const WebFile* find_web_file(std::string_view path) {
  if (path == "/") path = "/index.html";
  const std::span<const WebFile> files = web_page();
  const auto found = std::ranges::lower_bound(files, path, {}, &WebFile::path);
  return found != files.end() && found->path == path ? &*found : nullptr;
}

bool immutable(const WebFile& file) { return file.path.starts_with("/assets/"); }

}  // namespace r1::serve
