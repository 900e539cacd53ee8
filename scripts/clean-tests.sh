#!/usr/bin/env bash
# Removes the k3d clusters and registries that tests made and could not remove, and nothing else.
# Usage: bash scripts/clean-tests.sh
set -euo pipefail
# Every project that a test makes is named e2e-something, and so, in part, are its cluster and its containers.
prefix='^k3d-(devenv-)?e2e-'

command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1 || exit 0

# leavings KIND FORMAT: what k3d made, by its label, for a test.
leavings() { docker "$1" ls "${@:3}" --filter label=app=k3d --format "$2" | grep -E "$prefix" || true; }

mapfile -t containers < <(leavings container '{{.Names}}' --all)
[ ${#containers[@]} = 0 ] || docker container rm --force --volumes "${containers[@]}" >/dev/null
mapfile -t networks < <(leavings network '{{.Name}}')
[ ${#networks[@]} = 0 ] || docker network rm "${networks[@]}" >/dev/null
mapfile -t volumes < <(leavings volume '{{.Name}}')
[ ${#volumes[@]} = 0 ] || docker volume rm "${volumes[@]}" >/dev/null
[ ${#containers[@]} = 0 ] || echo "removed ${#containers[@]} containers that tests left" >&2
