#!/usr/bin/env bash
# Tests the page: that web/dist is what npm builds, the types, the modules, and the page itself in
# Chromium, against a test double and, where r1 is built, against r1 serve. Installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(chromium fonts-liberation fonts-noto-cjk)
# A Node.js from elsewhere brings its own npm.
command -v npm >/dev/null || packages+=(nodejs npm)
scripts/install-packages.sh "${packages[@]}"

cd web
stamp=node_modules/.package-lock.json
[[ $stamp -nt package-lock.json ]] || npm ci --no-audit --no-fund --ignore-scripts

npm run --silent check
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
npm run --silent build -- --outDir "$built" --emptyOutDir --logLevel warn
if ! diff -rq dist "$built"; then
  echo "error: web/dist is not what its sources make; run 'npm run build' in web/ and commit it" >&2
  exit 1
fi

npm test
