#!/usr/bin/env bash
# Removes the k3d clusters and registries that tests made and could not remove, and nothing else.
# Usage: bash scripts/clean-tests.sh
set -euo pipefail
# Every project that a test makes is named e2e-something, and so, in part, are its cluster and its containers.
prefix='^k3d-(devenv-)?e2e-'

command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1 || exit 0

# leavings KIND FORMAT [LABEL]: what k3d, or who gives that label, made for a test.
leavings() { docker "$1" ls ${all:+"$all"} --filter "label=${3:-app=k3d}" --format "$2" | grep -E "$prefix" || true; }

mapfile -t containers < <(all=--all leavings container '{{.Names}}')
[ ${#containers[@]} = 0 ] || docker container rm --force --volumes "${containers[@]}" >/dev/null
mapfile -t networks < <(leavings network '{{.Name}}')
[ ${#networks[@]} = 0 ] || docker network rm "${networks[@]}" >/dev/null
mapfile -t volumes < <(leavings volume '{{.Name}}' && leavings volume '{{.Name}}' devenv.environment)
[ ${#volumes[@]} = 0 ] || docker volume rm "${volumes[@]}" >/dev/null
[ ${#containers[@]} = 0 ] || echo "removed ${#containers[@]} containers that tests left" >&2
