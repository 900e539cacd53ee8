#!/bin/sh
# The shop's unit tests, and the promise that the services' copies of kit/ are the same. Needs python3, node and go.
set -eu
cd "$(dirname "$0")"

for pattern in log.py server.py database.py cache.py client.py log.js server.js client.js; do
    first=
    for copy in */src/kit/"$pattern"; do
        first=${first:-$copy}
        cmp "$first" "$copy"
    done
done

for service in user catalog order payment; do
    python3 -m unittest discover --start-directory "$service" --quiet
done
node --test gateway recommendation-api web
(cd inventory && go test ./...)
