#!/bin/sh
# Makes the database at the first start, then runs the server as the user postgres.
set -eu

as_postgres=
if [ "$(id -u)" = 0 ]; then
    as_postgres='setpriv --reuid=postgres --regid=postgres --init-groups --'
fi

own() {
    [ -z "$as_postgres" ] || find "$1" ! -user postgres -exec chown postgres:postgres {} +
}

make_database() {
    # Made beside its final place and renamed, so that an interrupted start leaves nothing half done.
    fresh=$PGDATA.new
    rm -rf "$fresh"
    mkdir -p "$fresh"
    own "$fresh"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    own "$password"
    $as_postgres initdb --pgdata="$fresh" --username="$POSTGRES_USER" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    rm "$password"
    cat /usr/local/share/shop/postgresql.conf >>"$fresh/postgresql.conf"
    echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | $as_postgres postgres --single -D "$fresh" postgres >/dev/null
    mv "$fresh" "$PGDATA"
}

# The volume itself keeps its owner; the server only has to get through it.
[ -z "$as_postgres" ] || chmod a+rx "$(dirname "$PGDATA")"
[ -d "$PGDATA" ] || make_database
mkdir -p /run/postgresql
own /run/postgresql
own "$PGDATA"

$as_postgres postgres &
server=$!
# SIGTERM asks the server to wait for its clients; the fast mode ends their sessions and stops at once.
trap 'stopping=yes; $as_postgres pg_ctl stop --silent --no-wait --mode=fast' TERM INT
stopping=
status=0
wait "$server" || status=$?
if [ -n "$stopping" ]; then
    # The signal ended the first wait before the server had ended.
    status=0
    wait "$server" || status=$?
fi
exit "$status"
