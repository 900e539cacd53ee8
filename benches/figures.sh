#!/usr/bin/env bash
# The figures of the README's table, measured on this machine with the example shop. Takes about ten minutes.
# It removes the shop's environment with its data, its images, and docker's build layers that no image uses.
# Usage: make bench    (or: bash scripts/with-tools.sh bash benches/figures.sh [RUNS])
# Prints the rows: medians of RUNS (3), the first one of a single run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
commands time:time
runs=${1:-3}
devenv=$(devenv_binary)
shop=("$devenv" -f devenv.example.yaml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# timed COMMAND...: its seconds; its talk goes to a file that is shown when it fails.
timed() {
  command time --output "$work/time" --format '%e %M' "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
  cut -d' ' -f1 "$work/time"
}
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
# shellcheck disable=SC2016 # the backquotes are Markdown's
row() { printf '| %s | %s | `%s` |\n' "$1" "$2" "$3"; }

say 'from nothing: no cluster, no image of the shop, no layer of one'
"${shop[@]}" down --volumes --yes >/dev/null 2>&1
docker image prune --force >/dev/null
docker builder prune --all --force >/dev/null
row 'the shop from no cluster and no images' "$(timed "${shop[@]}" up) s" 'devenv up'
memory=$(awk '{printf "%.0f MB", $2 / 1024}' "$work/time")
say 'again after down, and start after stop'
for ((run = 0; run < runs; run++)); do
  "${shop[@]}" down >/dev/null 2>&1
  timed "${shop[@]}" up >>"$work/warm"
  "${shop[@]}" stop >/dev/null 2>&1
  timed "${shop[@]}" start >>"$work/start"
  for _ in 1 2 3; do timed "${shop[@]}" up >>"$work/no-op"; done
done
start=$(date +%s%N)
for _ in {1..50}; do "$devenv" version >/dev/null; done
version=$((($(date +%s%N) - start) / 50000))
# shellcheck disable=SC2016 # the backquotes are Markdown's
{
  row 'again after `down`' "$(median <"$work/warm") s" 'devenv down && devenv up'
  row '`start` after `stop`' "$(median <"$work/start") s" 'devenv stop && devenv start'
  row 'an `up` with nothing to do' "$(median <"$work/no-op") s" 'devenv up'
  row '`version`, mean of 50' "$(awk "BEGIN {printf \"%.1f\", $version / 1000}") ms" 'devenv version'
  row 'memory of the first `up`, at most' "$memory" 'command time --format %M devenv up'
}
