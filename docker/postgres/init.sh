#!/bin/sh
# Run once by the Postgres image, on an empty volume: two databases, each with a role of its own. Workers may know
# the queue's role (where the queue is kept here); nothing of the other database opens to it.
set -eu
psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
  --set app_password="$(cat /run/secrets/app_db_password)" \
  --set queue_password="$(cat /run/secrets/queue_db_password)" <<'SQL'
create role tarfleet login password :'app_password';
create database tarfleet owner tarfleet;
revoke all on database tarfleet from public;

create role tarfleet_queue login password :'queue_password';
create database tarfleet_queue owner tarfleet_queue;
revoke all on database tarfleet_queue from public;
SQL
