#!/bin/sh
# Runs the suite; writes JUnit XML as well, where that can be written.
set -eu

results=/results
set -- --test-reporter=spec --test-reporter-destination=stdout
if [ -w "$results" ]; then
    set -- "$@" --test-reporter=./junit.js --test-reporter-destination="$results/junit.xml"
fi
exec node --test "$@" suite/
