#!/bin/sh
# Everything of a backup, the careful way: look, verify, restore, follow to the end.
# Needs API (http://host:port), TOKEN and BACKUP_ID; exits with 1 when the restore did not complete.
set -eu
call() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer ${TOKEN}" "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

call -X GET "${API}/api/backups/${BACKUP_ID}/restore-preview"
echo
call -X POST -H 'Prefer: wait=60' "${API}/api/backups/${BACKUP_ID}/verify"
echo
RESTORE_JOB_ID=$(
  call -X POST "${API}/api/backups/${BACKUP_ID}/restore" \
    -H 'Content-Type: application/json' \
    -d '{
      "restoreType": "full",
      "verifyIntegrity": true,
      "createRollbackPoint": true
    }' | field restoreJobId
)
while :; do
  job=$(call -X GET "${API}/api/backups/restore-jobs/${RESTORE_JOB_ID}")
  case $(printf '%s' "$job" | sed 's/"audit_logs".*//' | field status) in
    completed) printf '%s\n' "$job" && exit 0 ;;
    failed | rolled_back) printf '%s\n' "$job" && exit 1 ;;
  esac
  sleep 1
done
