#pragma once

#include <cstddef>
#include <span>
#include <string_view>

// The page for people (web/), which is part of the program. Nothing of it is read from disk.
namespace r1::serve {

struct WebFile {
  std::string_view path;          // in a URL, from "/"; the page itself is "/index.html"
  std::string_view content_type;  // for the header of that name
  std::span<const std::byte> bytes;
  std::string_view etag;  // with its quotes; depends on the bytes alone
};

// Every file, ordered by path. What they refer to has a relative address, so the page may be served
// under a prefix.
std::span<const WebFile> web_page();

// The file that GET asks for by this path, without query: "/" is the page. Null if there is none.
const WebFile* find_web_file(std::string_view path);

// Whether the name of a file changes with its content, so that browsers may keep it for ever. The
// others must be asked for again, with their etag.
bool immutable(const WebFile& file);

// The value of the header Content-Security-Policy that goes with every file. The page's tests run
// under it: no script, style, picture or connection from elsewhere, none written inline, no HTML
// from strings that were not sanitised, no frame around the page.
std::string_view content_security_policy();

}  // namespace r1::serve
