# shellcheck shell=bash disable=SC2154 # the caller sets cache
# devenv's user-level config.yaml: what belongs to this machine and to no project.

config_marker='# Written by airgap/setup.sh; remove this line to keep your own changes.'

ours() { head -n 1 "$1" | grep -qxF "$config_marker"; }

# write_config FILE: puts standard input there under the marker line. A file that a person wrote stays as it is.
write_config() {
  local file=$1 new
  new=$(echo "$config_marker" && cat)
  if [ -e "$file" ] && ! ours "$file"; then
    say "$file is your own: left as it is"
    return 1
  fi
  [ "$new" != "$(cat "$file" 2>/dev/null)" ] || return 0
  mkdir -p "$(dirname "$file")"
  echo "$new" >"$file.new"
  mv "$file.new" "$file"
}

# node_images: an entry for each Kubernetes version that has a node image here.
node_images() {
  docker image ls --format '{{.Tag}}' devenv.test/node |
    sort -V | sed -nE 's|^v([0-9]+\.[0-9]+)\..*|"\1": "devenv.test/node:&"|p' | paste -sd, | sed 's/,/, /g'
}

kit_config() {
  cat <<EOT
nodeImages: { $(node_images) }
images: { loadBalancer: "$load_balancer_image", tools: "$tools_image", registry: "$registry_image" }
binaries: { k3d: "$cache/bin/k3d", helm: "$cache/bin/helm", docker: docker, kubectl: "$cache/bin/kubectl" }
EOT
}
