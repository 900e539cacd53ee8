#!/usr/bin/env bash
# The unit tests of the example shop's services, each in its own language.
# Usage: bash scripts/test-shop.sh [FOLDER]
# Ends with a line in cargo's form, so that scripts/test.sh can add it up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
shop=${1:-examples/shop}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# folders_with PATTERN: the folders that hold such a file. In test/ is the suite that devenv runs as a task of the
# running shop: it can prove nothing here.
folders_with() { find "$shop" \( -path "$shop/test" -o -name node_modules \) -prune -o -name "$1" -printf '%h\n' | sort -u; }

# run FOLDER COMMAND...: one suite; its output stays in the log.
run() {
  local folder=$1
  shift
  echo "== $folder: $*"
  suite_failed=
  (cd "$folder" && "$@") >"$log" 2>&1 || suite_failed=yes
  cat "$log"
}

# count PASSED FAILED: a suite that failed before its first test counts as one failure.
count() {
  local bad=$2
  [ -z "$suite_failed" ] || [ "$bad" != 0 ] || bad=1
  passed=$((passed + $1)) failed=$((failed + bad))
}

# number PATTERN: the number that the log gives behind PATTERN, or 0.
number() { sed -nE "s/.*$1([0-9]+).*/\1/p" "$log" | tail -n 1 | grep . || echo 0; }

python_suite() {
  local total bad
  run "$1" python3 -m unittest discover -p 'test_*.py'
  total=$(number '^Ran ')
  bad=$(($(number 'failures=') + $(number 'errors=')))
  count $((total > bad ? total - bad : 0)) "$bad"
}

node_suite() {
  run "$1" node --test --test-reporter=tap
  count "$(number '^# pass ')" "$(number '^# fail ')"
}

go_suite() {
  run "$1" go test -v .
  count "$(grep -c '^--- PASS' "$log" || true)" "$(grep -c '^--- FAIL' "$log" || true)"
}

for folder in $(folders_with 'test_*.py'); do python_suite "$folder"; done
for folder in $(folders_with '*.test.js'); do node_suite "$folder"; done
for folder in $(folders_with '*_test.go'); do go_suite "$folder"; done
verdict=ok
[ $failed = 0 ] || verdict=FAILED
echo "test result: $verdict. $passed passed; $failed failed"
[ $failed = 0 ]
