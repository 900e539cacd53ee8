#!/usr/bin/env bash
# Sets up what is missing, builds devenv, and brings up the example shop; `down` removes it again.
# Usage: bash scripts/demo.sh [down]
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
manifest=devenv.example.yaml
devenv=$(devenv_binary)
cd "$root"

if [ "${1:-}" = down ]; then
  [ -x "$devenv" ] || fail 'devenv is not built, so there is no demo to end'
  exec bash scripts/with-tools.sh "$devenv" down -f $manifest --volumes --yes
fi

trap stop_jobs EXIT
build_tools
begin_setup --install-config
say 'building devenv (the machine is set up beside it)'
cargo build --locked --profile $cargo_profile
say 'preparing docker, k3d and helm'
finish_setup
say 'bringing up the shop'
"$devenv" up -f $manifest

cat <<EOT

The shop runs. To type the short form: alias devenv='$devenv -f $root/$manifest'
Then try:
  devenv status                         what runs, where, and why not
  devenv logs -f order                  what a service says
  devenv exec test -- npm run integration   the shop's own tests, inside the cluster
  devenv attach                         then edit a file of examples/shop: what becomes of it, and how fast
  devenv stop; devenv start             everything is as it was
The end of it:
  make demo-down
EOT
