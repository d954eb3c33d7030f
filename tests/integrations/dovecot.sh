#!/bin/sh
# Dovecot lists the folders that route has made, by their real names, and finds the mail with its flags and its size.
. "$(dirname "$0")/begin.sh"
begin doveadm
maildir=$HOME/Maildir
mkdir -p "$maildir/cur" "$maildir/new" "$maildir/tmp"
cat > "$HOME/rules.toml" <<RULES
labels = "labels.txt"
[[rule]]
label = "invoice"
folder = "Money/Für mich & 台北"
[[rule]]
label = "meeting"
folder = "Meetings"
action = "header"
RULES
size=$(wc -c < "$HOME/invoice.eml")
cp "$HOME/invoice.eml" "$maildir/cur/1.a.host,S=$size,U=7:2,FS"
cp "$HOME/meeting.eml" "$maildir/cur/2.b.host,S=12,W=13:2,RS"
# One that Dovecot has compressed, with the size that it had.
gzip < "$HOME/meeting.eml" > "$maildir/cur/3.c.host,S=$(wc -c < "$HOME/meeting.eml"):2,F"
mailsort route "$maildir" --rules "$HOME/rules.toml" --quiet

# It will not run as root.
user=$(id -u)
if [ "$user" = 0 ]; then
    user=65534
    chown -R "$user:$user" "$maildir"
    chmod 755 "$HOME"
fi
cat > "$HOME/dovecot.conf" <<CONF
mail_location = maildir:$maildir
mail_home = $HOME
mail_uid = $user
mail_gid = $user
mail_plugins = zlib
first_valid_uid = 1
namespace inbox {
  inbox = yes
}
CONF
dovecot() {
    USER=me doveadm -c "$HOME/dovecot.conf" "$@" 2> "$HOME/said"
}
dovecot mailbox list > "$HOME/list" || skip "doveadm does not run here: $(cat "$HOME/said")"
grep -qx 'Money.Für mich & 台北' "$HOME/list" || grep -qx 'Money/Für mich & 台北' "$HOME/list" ||
    fail "the folder has another name: $(cat "$HOME/list")"
name=$(grep 'mich' "$HOME/list")
dovecot fetch 'flags size.physical hdr.subject' mailbox "$name" > "$HOME/fetched" || fail "$(cat "$HOME/said")"
grep -q '^flags:.*\\Flagged' "$HOME/fetched" || fail "the invoice has lost a flag: $(cat "$HOME/fetched")"
grep -q "^size.physical: $size$" "$HOME/fetched" || fail "the invoice has another size: $(cat "$HOME/fetched")"
dovecot fetch 'flags size.physical hdr.x-mailsort' mailbox Meetings > "$HOME/fetched" || fail "$(cat "$HOME/said")"
headers=$(grep -c '^hdr.x-mailsort: meeting; score=' "$HOME/fetched") || true
[ "$headers" = 2 ] || fail "not both meetings have a header: $(cat "$HOME/fetched")"
grep -q '^flags:.*\\Flagged' "$HOME/fetched" || fail "the compressed meeting has lost a flag: $(cat "$HOME/fetched")"
grep -q '^flags:.*\\Answered' "$HOME/fetched" || fail "the meeting has lost a flag: $(cat "$HOME/fetched")"
dovecot fetch 'body size.virtual' mailbox Meetings > "$HOME/fetched" || fail "$(cat "$HOME/said")"
[ "$(grep -c 'talk about the agenda' "$HOME/fetched")" = 2 ] || fail "a meeting has lost its text: $(cat "$HOME/fetched")"
[ ! -s "$HOME/said" ] || fail "Dovecot complains: $(cat "$HOME/said")"
