#!/usr/bin/env bash
# From a bare Debian to a chat with the bundled nano R1-Zero.
#
#   ./quickstart.sh         install what is missing, build, chat (without a terminal: one problem)
#   ./quickstart.sh serve   the same, then serve that model at http://127.0.0.1:8080
#   ./quickstart.sh train   the same, then train that model anew and measure it
set -euo pipefail
cd "$(dirname "$0")"

model=models/r1-zero-nano
base=runs/nano-base
zero=runs/nano-r1-zero
families=arithmetic,countdown,gcd,linear,modular,list,knights  # those of the recipes
r1=build/release/src/cli/r1
problem='Solve 3x + 7 = 31 for x.'

usage() {
  sed -n '2,/^set /{/^# \{0,1\}/s///p}' "$0"
}

say() {
  printf '%s\n' "$*" >&2
}

build() {
  scripts/install-packages.sh >&2
  [[ -f build/release/build.ninja ]] || cmake --preset release >&2
  [[ -x $r1 ]] || say "Building r1; the first time this takes some minutes."
  NINJA_STATUS='[%p] ' cmake --build --preset release --target r1 --parallel "$(nproc)" >&2
}

chat() {
  if [[ ! -f $model/config.json ]]; then
    say "error: $model is not here; ./quickstart.sh train makes such a model in about 70 minutes"
    exit 1
  fi
  if [[ -t 0 && -t 1 ]]; then
    exec "$r1" run "$model"
  fi
  say "No terminal is attached, so this is one problem: $problem"
  exec "$r1" run "$model" "$problem"
}

serve() {
  [[ -f $model/config.json ]] || {
    say "error: $model is not here; ./quickstart.sh train makes such a model in about 70 minutes"
    exit 1
  }
  exec "$r1" serve "$model" "$@"
}

# Each step goes on where an earlier run of it was stopped.
train() {
  say "1 of 4: a base model from generated text"
  "$r1" train recipes/nano/base.yaml --resume
  say "2 of 4: reinforcement learning alone"
  "$r1" train recipes/nano/r1-zero.yaml --resume
  say "3 of 4: held-out problems, before and after"
  local run
  for run in "$base" "$zero"; do
    say "$run/model"
    "$r1" eval "$run/model" --tasks "$families" --problems 100 --samples 4 --max-tokens 192 \
      --temperature 0.6 --top-p 0.95 --out "$run/eval.json"
  done
  say "4 of 4: the curves"
  "$r1" report "$base" "$zero" --out runs/nano-report
  say "Chat with your model: $r1 run $zero/model"
}

case ${1:-} in
  '')
    build
    chat
    ;;
  serve)
    build
    serve "${@:2}"
    ;;
  train)
    build
    train
    ;;
  -h | --help) usage ;;
  *)
    say "error: there is no '$1' (see $0 --help)"
    exit 2
    ;;
esac
