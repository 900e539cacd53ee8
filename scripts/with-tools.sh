#!/usr/bin/env bash
# Runs a command with this machine's cluster tools, set up first where they are missing.
# Usage: bash scripts/with-tools.sh COMMAND [ARGUMENT...]
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tools=$(bash "$root/scripts/setup.sh")
eval "$tools"
exec "$@"
