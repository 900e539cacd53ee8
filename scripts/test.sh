#!/usr/bin/env bash
# Runs the project's checks, each with its chatter in a log, and adds the tests up.
# Usage: bash scripts/test.sh [STAGE...]; without one, all: fmt shell go clippy build unit hermetic shop scripts kit e2e
# Ends with `N passed, N failed`.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck disable=SC2034 # patiently reads it
failure_lines=200
logs=${CARGO_TARGET_DIR:-$root/target}/checks
passed=0 failed=0 failed_stages=() running='' setup=running

shell_scripts() { git ls-files -z | xargs -0 awk 'FNR == 1 {if (/^#!.*(ba)?sh/ || /^# shellcheck shell=/) print FILENAME; nextfile}'; }
go_modules() { git ls-files -- '*go.mod' | xargs -rn 1 dirname; }

# Delve, which is copied into containers: static. Built again for another release only.
delve_release=1.27.2
debuggers() {
  [ "$("$test_tools/dlv" version 2>/dev/null | sed -n 's/^Version: //p')" = $delve_release ] ||
    GOBIN=$test_tools CGO_ENABLED=0 go install github.com/go-delve/delve/cmd/dlv@v$delve_release
}

cargo_test() { cargo test --locked --profile $cargo_profile "$@"; }

stage_fmt() { cargo fmt --all --check; }
stage_shell() { shell_scripts | xargs shellcheck -x; }
stage_go() {
  local unformatted module
  unformatted=$(git ls-files -- '*.go' | xargs -r gofmt -l)
  [ -z "$unformatted" ] || {
    echo "gofmt would change: $unformatted"
    return 1
  }
  # The kit's own module is vetted where its hundreds of dependencies are compiled: airgap/vet.sh.
  for module in $(go_modules | grep '^examples/' || true); do
    (cd "$module" && go vet ./...) || return
  done
}
stage_clippy() { cargo clippy --locked --profile $cargo_profile --workspace --all-targets -- -D warnings; }
stage_build() { cargo_test --workspace --no-run; }
stage_unit() { cargo_test --workspace --lib --bins --test init --test archive --test protocol; }
stage_hermetic() { cargo_test --test hermetic; }
stage_shop() { bash scripts/test-shop.sh; }
stage_scripts() { bash scripts/test-setup.sh; }
# Where the kit is not in use its dependencies are not there to check against.
stage_kit() { [ -z "${DEVENV_NODE_IMAGE:-}" ] || bash airgap/vet.sh; }
# One at a time: each brings up a cluster of its own, and the machine is small. What tests left that were killed goes
# first: a test that finds it takes it for its own.
stage_e2e() { bash scripts/clean-tests.sh && debuggers && cargo_test --test e2e -- --test-threads=1; }

# tally LOG: "PASSED FAILED", over all result lines.
tally() {
  sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$1" | awk '{p += $1; f += $2} END {print p + 0, f + 0}'
}

run_stage() {
  local stage=$1 log=$logs/$1.log began=$SECONDS status=0 good bad
  running=$stage
  ! needs_cluster_tools "$stage" || await_setup "$stage" || return 0
  patiently "$stage" "$log" "stage_$stage" || status=$?
  read -r good bad < <(tally "$log")
  # A stage that fails without a failed test (a lint, a build) counts as one.
  [ $status = 0 ] || [ "$bad" != 0 ] || bad=1
  passed=$((passed + good)) failed=$((failed + bad))
  [ $status = 0 ] || failed_stages+=("$stage")
  say "$stage: $([ $status = 0 ] && echo ok || echo FAILED)$([ "$good$bad" = 00 ] || echo ", $good passed, $bad failed") in $((SECONDS - began)) s"
}

needs_cluster_tools() { [[ $1 == kit || $1 == e2e ]]; }

# await_setup STAGE: without its tools a stage counts as one failure.
await_setup() {
  case $setup in
  running)
    say 'waiting for docker, k3d and helm'
    if finish_setup; then setup=ready; else setup=failed; fi
    await_setup "$1"
    ;;
  failed)
    say "$1: FAILED, the set-up did not succeed"
    failed=$((failed + 1)) failed_stages+=("$1")
    return 1
    ;;
  esac
}

# report: also when the run is cut short, so that what failed is the last thing to see.
report() {
  local stage
  stop_jobs
  if [ -n "$running" ]; then
    say "cut short in $running"
    failed=$((failed + 1)) failed_stages+=("$running")
  fi
  for stage in ${failed_stages[@]+"${failed_stages[@]}"}; do
    say "failed: $stage (log: $logs/$stage.log)"
    grep -hE '^test .* FAILED$' "$logs/$stage.log" >&2 || true
  done
  echo "$passed passed, $failed failed"
}

all=(fmt shell go clippy build unit hermetic shop scripts kit e2e)
[ $# -gt 0 ] || set -- "${all[@]}"
for stage in "$@"; do
  [[ " ${all[*]} " == *" $stage "* ]] || fail "no stage $stage; there are: ${all[*]}"
done
cd "$root"
mkdir -p "$logs"
build_tools
commands shellcheck:shellcheck python3:python3 node:nodejs
# With these a service in Java is built and debugged.
[[ " $* " != *' e2e '* ]] || commands javac:default-jdk-headless jlink:default-jdk-headless jdb:default-jdk-headless
command -v go >/dev/null || fail 'go is missing (the shop and the air-gap kit are tested with it); install it as https://go.dev/doc/install says'
trap report EXIT
# The machine is set up beside the stages that need no cluster.
for stage in "$@"; do
  if needs_cluster_tools "$stage"; then
    begin_setup
    break
  fi
done
for stage in "$@"; do run_stage "$stage"; done
running=
[ $failed = 0 ]
