#!/usr/bin/env bash
# Runs the official clients of the APIs that r1 serves (tests/clients) against it. Installs what is
# missing.
#
#   scripts/test-clients.sh [FILE...]   such as tests/clients/openai.test.js
set -euo pipefail
cd "$(dirname "$0")/.."

# A Node.js from elsewhere brings its own npm.
command -v npm >/dev/null || scripts/install-packages.sh nodejs npm

export R1_BINARY=${R1_BINARY:-$PWD/build/release/src/cli/r1}
[[ -x $R1_BINARY ]] || {
  echo "error: $R1_BINARY is not there; build r1 first" >&2
  exit 1
}
files=()
for file in "$@"; do files+=("$(realpath "$file")"); done

cd tests/clients
stamp=node_modules/.package-lock.json
[[ $stamp -nt package-lock.json ]] || npm ci --no-audit --no-fund --ignore-scripts
exec node --test "${files[@]}"
