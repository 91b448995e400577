#!/bin/sh
# A secret is a file with the password alone; libpq takes it from its environment. The passwords of
# several users (<user>_password each) it takes from a file of its own form.
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
fi
if [ -n "${PGPASSWORD_USERS:-}" ]; then
    umask 077
    export PGPASSFILE=/tmp/pgpass
    for user in $PGPASSWORD_USERS; do
        echo "*:*:*:$user:$(cat "/run/secrets/${user}_password")"
    done > "$PGPASSFILE"
fi
exec "$@"
