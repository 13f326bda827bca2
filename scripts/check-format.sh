#!/usr/bin/env bash
# Fails when clang-format would change a C++ file.
set -euo pipefail
cd "$(dirname "$0")/.."
find src tests bench -name '*.h' -print0 -o -name '*.cc' -print0 |
  xargs -0 clang-format --dry-run -Werror
