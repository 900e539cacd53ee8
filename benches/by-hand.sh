#!/usr/bin/env bash
# `devenv up` of the shop after `devenv down`, beside a script that does the same one after another:
# k3d cluster create, docker build, docker push, helm upgrade --install --wait. Both have the same charts and values,
# every image in docker's build cache, and a registry that kept its layers.
# Usage: make bench    (or: bash scripts/with-tools.sh bash benches/by-hand.sh [RUNS])
# Ends with the medians in seconds and their ratio.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runs=${1:-3}
devenv=${CARGO_TARGET_DIR:-$PWD/target}/e2e/devenv
manifest=devenv.example.yaml
name=by-hand port=15555 http=18555
work=$(mktemp -d)
# In the order of dependsOn.
services=(postgres redis user catalog inventory payment order recommendation-api gateway web)
kubeconfig=$work/kubeconfig

remove_cluster() {
  k3d cluster delete $name >/dev/null 2>&1 || true
  k3d registry delete k3d-$name-registry >/dev/null 2>&1 || true
}
finish() {
  remove_cluster
  # Files of the databases belong to their users in the containers.
  docker run --rm --volume "$work:/work" debian:bookworm-slim rm -rf /work/volumes /work/registry || true
  docker image ls --quiet "127.0.0.1:$port/*" | sort -u | xargs -r docker image rm --force >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT

# since START: seconds from a reading of the clock in nanoseconds until now.
since() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN {printf "%.1f\n", (to - from) / 1e9}'; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# The values that devenv gives the chart, with the images that are built here.
take_values() {
  local service from
  from=$("$devenv" -f $manifest kubeconfig)
  mkdir -p "$work/values"
  for service in "${services[@]}"; do
    helm --kubeconfig "$from" --namespace default get values "$service" --output json |
      sed -E "s|\"image\":\"[^\"]*\"|\"image\":\"k3d-$name-registry:$port/$service:1\"|" >"$work/values/$service.json"
  done
}

by_hand() {
  local service
  mkdir -p "$work/volumes" "$work/registry"
  k3d registry create $name-registry --port "127.0.0.1:$port" --volume "$work/registry:/var/lib/registry" \
    ${DEVENV_REGISTRY_IMAGE:+--image "$DEVENV_REGISTRY_IMAGE"} --no-help
  k3d cluster create $name ${DEVENV_NODE_IMAGE:+--image "$DEVENV_NODE_IMAGE"} --api-port 127.0.0.1:16555 \
    --port "127.0.0.1:$http:80@loadbalancer" --registry-use "k3d-$name-registry:$port" \
    --volume "$work/volumes:/var/lib/devenv/volumes@all" --kubeconfig-update-default=false
  k3d kubeconfig get $name >"$kubeconfig"
  for service in "${services[@]}"; do
    docker build --tag "127.0.0.1:$port/$service:1" "${arguments[@]:0:$([ "$service" = inventory ] && echo 4 || echo 0)}" \
      "examples/shop/$service"
    docker push "127.0.0.1:$port/$service:1"
    helm --kubeconfig "$kubeconfig" --namespace default upgrade --install --wait "$service" charts/service \
      --values "$work/values/$service.json"
  done
}
arguments=(--target runtime --build-arg VERSION=1.0)

"$devenv" -f $manifest up >/dev/null
take_values
ours=() theirs=()
for ((run = 0; run <= runs; run++)); do
  "$devenv" -f $manifest down >/dev/null
  start=$(date +%s%N)
  by_hand >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }
  took_by_hand=$(since "$start")
  remove_cluster
  start=$(date +%s%N)
  "$devenv" -f $manifest up >/dev/null
  took=$(since "$start")
  echo "by hand $took_by_hand s, devenv up $took s$([ $run -gt 0 ] || echo ' (fills the caches, not counted)')" >&2
  [ $run = 0 ] || { ours+=("$took") theirs+=("$took_by_hand"); }
done
printf '%s\n' "${ours[@]}" | median >"$work/ours"
printf '%s\n' "${theirs[@]}" | median >"$work/theirs"
awk '{ours = $1; getline < other; printf "devenv up %s s, by hand %s s, ratio %.2f\n", ours, $1, ours / $1}' \
  other="$work/theirs" "$work/ours"
