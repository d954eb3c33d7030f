#!/bin/sh
# getmail takes mail from a POP3 server on loopback, through the filter, into a maildir.
. "$(dirname "$0")/begin.sh"
begin getmail
command -v python3 > /dev/null || skip "python3 is not installed"
mkdir -p "$HOME/Maildir/cur" "$HOME/Maildir/new" "$HOME/Maildir/tmp" "$HOME/.config/getmail"
python3 "$here/pop3.py" "$HOME/port" "$HOME/invoice.eml" "$HOME/meeting.eml" &
server=$!
trap 'kill $server 2> /dev/null; rm -rf "$HOME"' EXIT
await "$HOME/port"
sed -e "s|^port = .*|port = $(cat "$HOME/port")|" -e "s|/usr/local/bin/mailsort|$HOME/bin/mailsort|" \
    "$recipes/getmailrc" > "$HOME/.config/getmail/getmailrc"
# getmail wants to be told where it is root, and delivers as somebody else.
if [ "$(id -u)" = 0 ]; then
    sed -i -e "s|^type = Filter_external|&\nallow_root_commands = true|" -e "s|^type = Maildir|&\nuser = nobody|" \
        "$HOME/.config/getmail/getmailrc"
    chmod 755 "$HOME"
    chown -R nobody "$HOME/Maildir"
fi
chmod 600 "$HOME/.config/getmail/getmailrc"
said=$(getmail --getmaildir "$HOME/.config/getmail" 2>&1) || fail "$said"
[ "$(count "$HOME"/Maildir/new/*)" = 2 ] || fail "not both mails came: $said"
grep -lq '^X-Mailsort: invoice;' "$HOME"/Maildir/new/* || fail "no header: $said"
! grep -q forged "$HOME"/Maildir/new/* || fail "a forged header stayed"
