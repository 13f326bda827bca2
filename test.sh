#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
set -euo pipefail
cd "$(dirname "$0")"

scripts/install-packages.sh
cmake --preset release
cmake --build --preset release --parallel "$(nproc)"
scripts/check-floors.py
ctest --test-dir build/release --output-on-failure
scripts/test-clients.sh
scripts/test-web.sh
