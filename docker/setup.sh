#!/bin/sh
# The one-shot `setup` service: makes keys, migrates both databases, makes the admin, project and destination.
# Safe to run again.
set -eu
node --import tsx packages/stack/src/setup.ts

# Each kind of process gets the keys that it needs and no others: the API must not be able to open credentials that
# are sealed for workers, and a worker must not be able to sign plans.
cd "$KEYS_DIR"
install -m 0400 api-keys.json pools.json /var/lib/tarfleet/api-keys/
install -m 0400 pool-default.json keyring.json /var/lib/tarfleet/worker-keys/
