#!/bin/sh
# Makes the passwords that docker-compose.yml mounts, once: what is there stays.
set -eu
cd "$(dirname "$0")"
# The folder keeps others out; the files are readable, since compose mounts them as they are, for
# containers whose users are not this one.
mkdir -p secrets
chmod 700 secrets
for name in postgres_password worker_password rowvec_runner_password; do
    if [ ! -e "secrets/$name" ]; then
        (umask 022 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "secrets/$name")
        echo "made docker/secrets/$name"
    fi
done
