#!/usr/bin/env bash
# Checks the node's program with `go vet`, built as setup.sh builds it: its dependencies are compiled there already.
# Usage: bash vet.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${DEVENV_AIRGAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devenv-airgap}
mkdir -p "$cache"
for part in common build; do
  # shellcheck source=/dev/null
  . "$here/lib/$part.sh"
done
trap stop_jobs EXIT

go_toolchain
# The findings follow from the sources and the toolchain: no need to look twice.
# shellcheck disable=SC2154 # go_toolchain sets go_version
vetted=$cache/go/vetted-$(key "$here/node" "$go_version")
[ ! -e "$vetted" ] || exit 0
say 'vetting the node'
patiently 'vetting the node' "$cache/go.log" go -C "$here/node" vet -trimpath -tags providerless,netgo,osusergo .
rm -f "$cache"/go/vetted-*
touch "$vetted"
