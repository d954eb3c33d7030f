#!/bin/sh
# Tags a document by its label: MAILSORT_URL, PAPERLESS_URL and PAPERLESS_TOKEN are set in the environment of Paperless.
set -eu
label=$(curl -sf "$MAILSORT_URL/v1/classify?threshold=0.5" -F "file=@$DOCUMENT_SOURCE_PATH" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["records"][0]["label"] or "")')
[ -n "$label" ] || exit 0
auth="Authorization: Token $PAPERLESS_TOKEN"
tag=$(curl -sf -G -H "$auth" --data-urlencode "name__iexact=$label" "$PAPERLESS_URL/api/tags/" |
    python3 -c 'import json, sys; found = json.load(sys.stdin)["results"]; print(found[0]["id"] if found else "")')
[ -n "$tag" ] || exit 0
curl -sf -H "$auth" -H 'Content-Type: application/json' "$PAPERLESS_URL/api/documents/bulk_edit/" \
    -d "{\"documents\": [$DOCUMENT_ID], \"method\": \"add_tag\", \"parameters\": {\"tag\": $tag}}" > /dev/null
