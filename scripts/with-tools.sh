#!/usr/bin/env bash
# Runs a command with this machine's cluster tools, set up first where they are missing.
# Usage: bash scripts/with-tools.sh COMMAND [ARGUMENT...]
set -euo pipefail
tools=$(bash "$(dirname "${BASH_SOURCE[0]}")/setup.sh")
eval "$tools"
exec "$@"
