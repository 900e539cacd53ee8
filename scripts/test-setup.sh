#!/usr/bin/env bash
# Tests the scripts of this folder with stand-ins for docker, k3d, helm, curl and the air-gap kit, in a home of their own.
# Usage: bash scripts/test-setup.sh
# Ends with a line in cargo's form, so that scripts/test.sh can add it up.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
passed=0 failed=0
work=
trap 'rm -rf "$work"' EXIT

stand_in() { # stand_in PATH: a program of that name, from standard input
  mkdir -p "$(dirname "$1")"
  { echo '#!/bin/bash' && cat; } >"$1"
  chmod +x "$1"
}

# machine: a fresh home, and a checkout whose tools are stand-ins. Files in $work/is/ say what they answer.
machine() {
  work=$(mktemp -d)
  mkdir -p "$work"/{home,is,served,repo/airgap}
  cp -r "$source/scripts" "$work/repo/scripts"
  cp -r "$source/airgap/lib" "$work/repo/airgap/lib"
  echo 5.9.0 >"$work/is/k3d"
  echo 3.21.4 >"$work/is/helm"
  local bin=$work/bin
  # shellcheck disable=SC2016 # expanded in the stand-ins
  {
    stand_in "$bin/docker" <<<'echo "$*" >>"$WORK/calls"
      case $1 in
      pull) [ -e "$WORK/is/online" ] ;;
      container) [ "$2" != ls ] || cat "$WORK/is/containers" ;;
      esac'
    stand_in "$bin/k3d" <<<'echo "k3d version v$(cat "$WORK/is/k3d")"'
    stand_in "$bin/helm" <<<'echo "v$(cat "$WORK/is/helm")+g0"'
    stand_in "$bin/curl" <<<'for last; do :; done; while [ "$1" != -o ]; do shift; done; cp "$WORK/served/${last##*/}" "$2" 2>/dev/null'
    stand_in "$bin/cargo" <<<':'
    stand_in "$work/repo/airgap/setup.sh" <<<'echo kit >>"$WORK/calls"; mkdir -p "${2%/*}"; printf "%s\n" "# Written by airgap/setup.sh; remove this line to keep your own changes." "images: { tools: devenv.test/k3d-tools }" >"$2"
      echo "export DEVENV_NODE_IMAGE=node"'
    stand_in "$bin/gcc" <<<':'
    stand_in "$bin/git" <<<':'
  }
}

script() { # script NAME [VARIABLE=VALUE...] [-- ARGUMENT...]: output in $work/out, talk in $work/talk
  local name=$1 settings=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do settings+=("$1") && shift; done
  env -i WORK="$work" HOME="$work/home" PATH="$work/bin:/usr/bin:/bin" ${settings[@]+"${settings[@]}"} \
    bash "$work/repo/scripts/$name" "${@:2}" >"$work/out" 2>"$work/talk"
}
setup() { script setup.sh "$@"; }

says() { grep -qF -- "$1" "$work/talk"; }
gives() { grep -qF -- "$1" "$work/out"; }
called() { [ "$(grep -c -- "$1" "$work/calls")" = "$2" ]; } # called WHAT TIMES
not() { ! "$@"; }
own_config=home/.config/devenv/config.yaml

# A release of k3d on the download server, with the checksum given or the right one.
serve_k3d() {
  # shellcheck disable=SC2016 # expanded in the stand-in
  stand_in "$work/served/k3d-linux-amd64" <<<'echo "k3d version v5.9.0"'
  cp "$work/served/k3d-linux-amd64" "$work/served/k3d-linux-arm64"
  local sum=${1:-$(sha256sum "$work/served/k3d-linux-amd64" | cut -d' ' -f1)}
  printf '%s  _dist/k3d-linux-%s\n' "$sum" amd64 "$sum" arm64 >"$work/served/checksums.txt"
}

installed_tools_are_used_where_a_registry_is_in_reach() {
  touch "$work/is/online"
  setup && not called kit 1 && not gives DEVENV_CONFIG
}
without_a_registry_the_kit_is_used_and_says_so() {
  setup && says 'no container registry in reach: using the air-gap kit (airgap/README.md)' &&
    called kit 1 && gives "export DEVENV_CONFIG=\"$work/home/.cache/devenv-airgap/config.yaml\"" && gives DEVENV_NODE_IMAGE
}
the_decision_is_made_once() {
  setup && setup && called pull 1 && called kit 2
}
again_decides_anew_and_drops_the_kits_configuration() {
  setup -- --install-config && [ -e "$work/$own_config" ] && touch "$work/is/online" &&
    setup -- --again && not gives DEVENV_CONFIG && [ ! -e "$work/$own_config" ]
}
the_caller_can_decide() {
  setup DEVENV_SETUP=registry && not called pull 1 && not called kit 1
}
a_wrong_decision_is_refused_and_not_kept() {
  not setup DEVENV_SETUP=magic && says 'registry or kit, not magic' && setup
}
an_old_k3d_is_replaced_in_our_folder_only() {
  touch "$work/is/online" && echo 5.4.6 >"$work/is/k3d" && serve_k3d
  setup && [ -x "$work/home/.cache/devenv-setup/bin/k3d" ] && gives "$work/home/.cache/devenv-setup/bin:"
}
fetched_tools_reach_a_plain_devenv() {
  touch "$work/is/online" && echo 5.4.6 >"$work/is/k3d" && serve_k3d
  setup -- --install-config && grep -qF "binaries: { k3d: \"$work/home/.cache/devenv-setup/bin/k3d\" }" "$work/$own_config"
}
a_download_with_a_wrong_checksum_is_not_used() {
  touch "$work/is/online" && echo 5.4.6 >"$work/is/k3d" && serve_k3d 0000
  setup && [ ! -e "$work/home/.cache/devenv-setup/bin/k3d" ] && says 'k3d or helm could not be fetched: using the air-gap kit'
}
the_users_configuration_is_not_touched_unasked() {
  setup && [ ! -e "$work/$own_config" ]
}
the_configuration_is_installed_once_and_said() {
  setup -- --install-config && says "wrote $work/$own_config" && grep -q devenv.test "$work/$own_config" &&
    setup -- --install-config && not says wrote
}
a_persons_configuration_stays() {
  mkdir -p "$work/home/.config/devenv" && echo 'binaries: { k3d: mine }' >"$work/$own_config"
  setup -- --install-config && grep -qx 'binaries: { k3d: mine }' "$work/$own_config" &&
    says "type: export DEVENV_CONFIG=$work/home/.cache/devenv-airgap/config.yaml"
}
a_missing_cargo_names_its_mend() {
  rm "$work/bin/cargo"
  not setup && says https://rustup.rs
}
a_failing_kit_fails_the_setup() {
  stand_in "$work/repo/airgap/setup.sh" <<<'exit 1'
  not setup
}
cleaning_takes_only_what_tests_made() {
  printf '%s\n' k3d-e2e-up-server-0 k3d-devenv-e2e-a-serverlb k3d-shop-server-0 k3d-my-e2e-server-0 >"$work/is/containers"
  script clean-tests.sh && called '^rm' 0 && grep -qx 'container rm --force --volumes k3d-e2e-up-server-0 k3d-devenv-e2e-a-serverlb' "$work/calls"
}
shop_tests_are_added_up() {
  mkdir -p "$work/shop/a" "$work/shop/b"
  printf '%s\n' 'import unittest' 'class T(unittest.TestCase):' '  def test_a(self): pass' '  def test_b(self): self.fail()' >"$work/shop/a/test_a.py"
  echo 'not python' >"$work/shop/b/test_b.py"
  not script test-shop.sh -- "$work/shop" && gives 'test result: FAILED. 1 passed; 2 failed'
}

for name in $(declare -F | awk '$3 ~ /_.*_/ {print $3}'); do
  machine
  if "$name"; then
    passed=$((passed + 1)) verdict=ok
  else
    failed=$((failed + 1)) verdict=FAILED
  fi
  echo "test $name ... $verdict"
  [ $verdict = ok ] || tail -v -n 20 "$work/out" "$work/talk" "$work/calls" 2>&1
  rm -rf "$work"
done
verdict=ok
[ $failed = 0 ] || verdict=FAILED
echo "test result: $verdict. $passed passed; $failed failed"
[ $failed = 0 ]
