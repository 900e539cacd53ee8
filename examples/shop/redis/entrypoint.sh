#!/bin/sh
# Gives the data directory, which may be a fresh volume, to redis and starts the server as that user.
set -eu

if [ "$(id -u)" = 0 ]; then
    chown redis:redis /data
    find /data ! -user redis -exec chown redis:redis {} +
    exec setpriv --reuid=redis --regid=redis --init-groups -- sh "$0" "$@"
fi
exec redis-server /usr/local/share/shop/redis.conf "$@"
