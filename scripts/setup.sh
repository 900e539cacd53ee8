#!/usr/bin/env bash
# Prepares this machine for `make demo` and the tests on a cluster: docker, k3d and helm as anyone installs them,
# or, where no container registry is in reach, the air-gap kit (airgap/README.md).
# Usage: eval "$(bash scripts/setup.sh [--again] [--install-config])"
#   --again            decide anew between the two; the decision is kept otherwise
#   --install-config   let a plain `devenv` use the same tools, through its user-level config.yaml
# DEVENV_SETUP=registry or DEVENV_SETUP=kit decides by hand. Standard output is shell code to evaluate.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

k3d_minimum=5.8 k3d_release=5.9.0
helm_minimum=3.14 helm_release=3.21.4
# What k3d runs as a cluster's registry: an image that every environment needs anyway.
probe_image=registry:2

own_tools=$cache/bin
decision=$cache/decision
kit_cache=${DEVENV_AIRGAP_CACHE:-$cache_home/devenv-airgap}
user_config=${XDG_CONFIG_HOME:-$HOME/.config}/devenv/config.yaml

k3d_version() { k3d version 2>/dev/null | sed -n 's/^k3d version v//p'; }
helm_version() { helm version --short 2>/dev/null | sed 's/^v//; s/+.*//'; }

# download URL: into the scratch folder; gives up quickly where nothing answers.
download() { curl -fsSL --connect-timeout 5 --max-time 120 -o "$work/${1##*/}" "$1"; }

# verified FILE SUMS: whether FILE's checksum is the one that SUMS lists for its name.
verified() {
  local listed
  listed=$(awk -v name="$1" '{sub(".*/", "", $2)} $2 == name {print $1}' "$work/$2")
  [ -n "$listed" ] && echo "$listed  $work/$1" | sha256sum --check --status
}

architecture() {
  case $(uname -m) in
  x86_64) echo amd64 ;;
  aarch64) echo arm64 ;;
  *) uname -m ;;
  esac
}

fetch_k3d() {
  local file base=https://github.com/k3d-io/k3d/releases/download/v$k3d_release
  file=k3d-linux-$(architecture)
  say "fetching k3d $k3d_release"
  download "$base/$file" && download "$base/checksums.txt" && verified "$file" checksums.txt &&
    install -m 0755 "$work/$file" "$own_tools/k3d"
}

fetch_helm() {
  local platform file
  platform=linux-$(architecture)
  file=helm-v$helm_release-$platform.tar.gz
  say "fetching helm $helm_release"
  download "https://get.helm.sh/$file" && download "https://get.helm.sh/$file.sha256sum" && verified "$file" "$file.sha256sum" &&
    tar -xzf "$work/$file" -C "$work" "$platform/helm" &&
    install -m 0755 "$work/$platform/helm" "$own_tools/helm"
}

# install_tools: fetches what is missing or too old, beside what the user has.
install_tools() {
  at_least $k3d_minimum "$(k3d_version)" || fetch_k3d || return
  at_least $helm_minimum "$(helm_version)" || fetch_helm
}

registry_in_reach() { timeout 20 docker pull -q $probe_image >/dev/null 2>&1; }

# decide: `registry` or `kit`, and why, on one line. Nothing in it waits for long.
decide() {
  if ! registry_in_reach; then
    echo 'kit no container registry in reach'
  elif ! install_tools; then
    echo 'kit k3d or helm could not be fetched'
  else
    echo 'registry a container registry is in reach'
  fi
}

own_tools_config() {
  local name binaries=()
  for name in k3d helm; do
    [ ! -x "$own_tools/$name" ] || binaries+=("$name: \"$own_tools/$name\"")
  done
  (IFS=,; echo "binaries: { ${binaries[*]} }" | sed 's/,/, /g')
}

prepare_registry() {
  install_tools || fail "k3d >= $k3d_minimum and helm >= $helm_minimum are needed, and could not be fetched"
  # One that an earlier run with the kit left would go on using the kit's images.
  [ ! -e "$user_config" ] || ! ours "$user_config" || ! grep -q devenv.test "$user_config" || rm "$user_config"
  echo "export PATH=\"$own_tools:\$PATH\""
  # Tools from the user's own PATH need no configuration.
  [ -n "$(ls "$own_tools")" ] || return 0
  own_tools_config | write_config "$cache/config.yaml"
  offer_config "$cache/config.yaml"
}

prepare_kit() {
  bash "$root/airgap/setup.sh" --user-config "$kit_cache/config.yaml"
  echo "export DEVENV_CONFIG=\"$kit_cache/config.yaml\""
  offer_config "$kit_cache/config.yaml"
}

# offer_config FILE: makes FILE the user's config.yaml where that is asked for and he has none of his own.
offer_config() {
  [ -n "$install_config" ] || return 0
  local had=$user_config
  [ -e "$user_config" ] || had=
  if tail -n +2 "$1" | write_config "$user_config"; then
    [ -n "$had" ] || say "wrote $user_config: a plain \`devenv up\` uses the same tools"
  else
    say "to use the same tools with a plain \`devenv\`, type: export DEVENV_CONFIG=$1"
  fi
}

again='' install_config=''
while [ $# -gt 0 ]; do
  case $1 in
  --again) again=yes ;;
  --install-config) install_config=yes ;;
  *) sed -n '2,7s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift
done

mkdir -p "$own_tools"
PATH=$own_tools:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One at a time: a second one waits, and then finds all decided.
exec 8>"$cache/lock"
flock 8

build_tools
docker_engine
docker_daemon
if [ -n "${DEVENV_SETUP:-}" ]; then
  choice=$DEVENV_SETUP reason='as DEVENV_SETUP says'
else
  [ -z "$again" ] || rm -f "$decision"
  [ -s "$decision" ] || decide >"$decision"
  read -r choice reason <"$decision"
fi
case $choice in
registry)
  say "using docker, k3d and helm: $reason"
  prepare_registry
  ;;
kit)
  say "$reason: using the air-gap kit (airgap/README.md)"
  prepare_kit
  ;;
*) fail "DEVENV_SETUP is registry or kit, not $choice" ;;
esac
