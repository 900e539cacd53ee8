# shellcheck shell=bash
# Shared by the scripts of this folder: where things are, and the machine's set-up.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache_home=${XDG_CACHE_HOME:-$HOME/.cache}
cache=$cache_home/devenv-setup
mkdir -p "$cache"
for part in common docker config; do
  # shellcheck source=/dev/null
  . "$root/airgap/lib/$part.sh"
done
# Where rustup and Go's own installation put them; login shells alone have these on their PATH.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin

# Without its optimiser a build of devenv takes half the time; `make release` makes the one to ship.
cargo_profile=e2e

devenv_binary() { echo "${CARGO_TARGET_DIR:-$root/target}/$cargo_profile/devenv"; }

# What the tests alone need, beside the user's own.
test_tools=$cache/test-tools
PATH=$test_tools:$PATH

# commands NAME:PACKAGE...: installs the packages whose command is missing.
commands() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} = 0 ] || packages "${missing[@]}"
}

# build_tools: what a build of devenv needs.
build_tools() {
  commands gcc:gcc gcc:libc6-dev git:git curl:curl curl:ca-certificates
  command -v cargo >/dev/null || fail 'cargo is missing; install Rust as https://rustup.rs says, then run this again'
}

# begin_setup FLAG...: prepares the machine's cluster tools beside whatever comes next.
begin_setup() {
  setup_log=$cache/setup.log
  set -m
  bash "$root/scripts/setup.sh" "$@" >"$cache/env" 2>"$setup_log" </dev/null &
  setup_job=$!
  set +m
}

# finish_setup: waits for it, passing on what it says, and takes over its environment.
finish_setup() {
  tail -n +1 -f --pid="$setup_job" "$setup_log" >&2
  wait "$setup_job" || return
  # shellcheck source=/dev/null
  . "$cache/env"
}
