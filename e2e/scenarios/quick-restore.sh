#!/bin/sh
# Everything, as fast as can be: nothing is verified before or checked after, and nothing is kept. Needs API, TOKEN and
# BACKUP_ID.
set -eu
curl --silent --show-error --fail-with-body -X POST "${API}/api/backups/${BACKUP_ID}/restore" \
  -H "Authorization: Bearer ${TOKEN}" \
  -H 'Content-Type: application/json' \
  -H 'Prefer: wait=60' \
  -d '{
    "restoreType": "full",
    "verifyIntegrity": false,
    "createRollbackPoint": false,
    "skipHealthChecks": true
  }'
