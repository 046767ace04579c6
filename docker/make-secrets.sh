#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, each once, as files in docker/secrets (or $SECRETS_DIR).
# What is there stays as it is.
set -eu
cd "$(dirname "$0")/.."
dir="${SECRETS_DIR:-docker/secrets}"
umask 077
mkdir -p "$dir"

# Files are mounted with their host's mode into containers whose users differ, so each is readable by all; the folder,
# which containers do not see, is closed instead.
chmod 0700 "$dir"
put() {
  [ -s "$dir/$1" ] || printf '%s\n' "$2" >"$dir/$1"
  chmod 0444 "$dir/$1"
}
get() { cat "$dir/$1"; }
random() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

put postgres_password "$(random 24)"
put app_db_password "$(random 24)"
put queue_db_password "$(random 24)"
put redis_password "$(random 24)"
put admin_password "$(random 12)"
put s3_access_key_id "$(random 10)"
put s3_secret_access_key "$(random 24)"

# What processes read: an address with its password. Hexadecimal needs no escaping in one.
put database_url "postgres://tarfleet:$(get app_db_password)@postgres:5432/tarfleet"
put queue_redis_url "redis://:$(get redis_password)@redis:6379/0"
put queue_postgres_url "postgres://tarfleet_queue:$(get queue_db_password)@postgres:5432/tarfleet_queue"

echo "The secrets are in $dir. The admin's first password: $dir/admin_password"
