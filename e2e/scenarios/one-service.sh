#!/bin/sh
# One service out of a backup, with a way back. Needs API, TOKEN and BACKUP_ID.
set -eu
curl --silent --show-error --fail-with-body -X POST "${API}/api/backups/${BACKUP_ID}/restore" \
  -H "Authorization: Bearer ${TOKEN}" \
  -H 'Content-Type: application/json' \
  -H 'Prefer: wait=60' \
  -d '{
    "restoreType": "selective",
    "selectedServices": ["mysql"],
    "verifyIntegrity": true,
    "createRollbackPoint": true
  }'
