#!/usr/bin/env bash
# Builds every fuzz target and runs each for SECONDS (default 60) from its seed corpus, one after
# the other. New inputs go to the build folder, findings stop the script and are named.
#
#   scripts/run-fuzzers.sh [SECONDS] [NAME...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

build=${R1_FUZZ_BUILD:-build/fuzz}
cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --target fuzzers

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for source in src/*/*_fuzz.cc; do
    names+=("$(basename "$source" _fuzz.cc)")
  done
fi
for name in "${names[@]}"; do
  found="$build/corpus/$name"
  mkdir -p "$found" "fuzz/corpus/$name"
  echo "== fuzz_$name for $seconds s"
  "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$build/fuzz_$name-" -print_final_stats=1 -verbosity=0 \
    "$found" "fuzz/corpus/$name"
done
echo "no findings"
