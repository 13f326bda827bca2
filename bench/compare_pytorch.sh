#!/bin/bash
# The nano training step beside the same step in PyTorch (Debian: apt-get install python3-torch).
#
#   bench/compare_pytorch.sh [R1] [ROUNDS]      R1: the binary; default build/release/src/cli/r1
#
# Alternates one step of PyTorch with a few of ours, as the machine's speed changes from moment to
# moment, and prints the ratio of every round and its median.
set -euo pipefail
cd "$(dirname "$0")/.."
r1=${1:-build/release/src/cli/r1}
rounds=${2:-7}
threads=2

# Idle threads of PyTorch would spin through our steps otherwise.
export OMP_WAIT_POLICY=passive
coproc torch { exec /usr/bin/python3 bench/pytorch_step.py --threads "$threads" --serve; }
read -r line <&"${torch[0]}"
[[ $line == ready ]]
echo "ready"

ratios=()
printf '%8s %12s %12s %8s\n' round "r1 (ms)" "PyTorch (ms)" ratio
for round in $(seq "$rounds"); do
  ours=$("$r1" bench train --shape nano --threads "$threads" --steps 3 --json |
    sed -n 's/.*"seconds_per_step": \([0-9.e+-]*\),.*/\1/p' | head -n 1)
  echo step >&"${torch[1]}"
  read -r theirs <&"${torch[0]}"
  ratio=$(awk -v a="$theirs" -v b="$ours" 'BEGIN { printf "%.3f", a / b }')
  awk -v n="$round" -v a="$ours" -v b="$theirs" -v r="$ratio" \
    'BEGIN { printf "%8d %12.1f %12.1f %8.2f\n", n, a * 1e3, b * 1e3, r }'
  ratios+=("$ratio")
done
exec {torch[1]}>&-
printf '%s\n' "${ratios[@]}" | sort -g |
  awk '{ r[NR] = $1 } END { printf "median ratio: %.2f times as fast as PyTorch\n", r[int((NR + 1) / 2)] }'
