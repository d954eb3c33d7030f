#!/bin/sh
# systemd takes the units, and hands the daemon its socket.
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
systemd-socket-activate -l "$HOME/mailsort.sock" "$HOME/bin/mailsort" daemon --labels "$HOME/labels.txt" \
    > "$HOME/log" 2>&1 &
daemon=$!
await "$HOME/mailsort.sock"
mailsort filter --socket "$HOME/mailsort.sock" < "$HOME/invoice.eml" > "$HOME/filtered"
kill "$daemon"
wait "$daemon" || fail "the daemon failed: $(cat "$HOME/log")"
grep -q '^X-Mailsort: invoice; ' "$HOME/filtered" || fail "the daemon was not asked: $(cat "$HOME/log")"
