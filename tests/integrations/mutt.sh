#!/bin/sh
# neomutt opens what procmail has filed, and finds the header.
. "$(dirname "$0")/begin.sh"
begin neomutt
command -v script > /dev/null || skip "script is not installed"
mkdir -p "$HOME/Maildir/cur" "$HOME/Maildir/new" "$HOME/Maildir/tmp"
for name in invoice meeting; do
    mailsort filter --labels "$HOME/labels.txt" < "$HOME/$name.eml" > "$HOME/Maildir/new/$name.a.host"
done
cat > "$HOME/rc" <<RC
set folder = "$HOME/Maildir"
set spoolfile = "$HOME/Maildir"
set wait_key = no
set pipe_decode = no
push "<tag-pattern>~h X-Mailsort:.invoice<enter><tag-prefix><pipe-message>cat > $HOME/seen<enter><exit>"
RC
export TERM=xterm
sleep 3 | timeout 20 script -qec "neomutt -n -F $HOME/rc -f $HOME/Maildir" /dev/null > "$HOME/screen" 2>&1 || true
[ -s "$HOME/seen" ] || fail "neomutt found no mail by the header: $(tail -c 400 "$HOME/screen")"
grep -q '^Subject: Your invoice' "$HOME/seen" || fail "neomutt found another mail"
[ "$(grep -c '^Subject:' "$HOME/seen")" = 1 ] || fail "neomutt found more than the invoice"
