#!/bin/sh
# systemd takes the units, and hands the server its socket.
. "$(dirname "$0")/begin.sh"
begin systemd-analyze
mkdir "$HOME/units" "$HOME/run"
for unit in mailsort.service mailsort.socket mailsort-watch.service; do
    cp "$recipes/$unit" "$HOME/units"
done
sed -i "s|/usr/local/bin/mailsort|$HOME/bin/mailsort|" "$HOME"/units/*.service
said=$(XDG_RUNTIME_DIR=$HOME/run systemd-analyze --user --man=no verify "$HOME"/units/* 2>&1) || fail "the units: $said"
[ -z "$said" ] || fail "the units: $said"

command -v systemd-socket-activate > /dev/null || skip "systemd-socket-activate is not installed"
systemd-socket-activate -l "$HOME/mailsort.sock" "$HOME/bin/mailsort" serve --labels "$HOME/labels.txt" \
    > "$HOME/log" 2>&1 &
server=$!
await "$HOME/mailsort.sock"
mailsort filter --socket "$HOME/mailsort.sock" < "$HOME/invoice.eml" > "$HOME/filtered"
kill "$server"
wait "$server" || fail "the server failed: $(cat "$HOME/log")"
grep -q '^X-Mailsort: invoice; ' "$HOME/filtered" || fail "the server was not asked: $(cat "$HOME/log")"
