#!/bin/sh
# The hook of notmuch tags new mail, once.
. "$(dirname "$0")/begin.sh"
begin notmuch
mkdir -p "$HOME/Maildir/cur" "$HOME/Maildir/new" "$HOME/Maildir/tmp"
cp "$HOME/invoice.eml" "$HOME/Maildir/new/1.a.host"
cp "$HOME/meeting.eml" "$HOME/Maildir/new/2.b.host"
NOTMUCH_CONFIG=$HOME/.notmuch-config
export NOTMUCH_CONFIG
unset NOTMUCH_DATABASE NOTMUCH_PROFILE
printf '[database]\npath=%s/Maildir\n[user]\nname=me\nprimary_email=me@example.org\n[new]\ntags=new\n' "$HOME" > "$NOTMUCH_CONFIG"
notmuch new --quiet --no-hooks
mkdir -p "$HOME/Maildir/.notmuch/hooks"
cp "$recipes/notmuch-post-new" "$HOME/Maildir/.notmuch/hooks/post-new"
chmod +x "$HOME/Maildir/.notmuch/hooks/post-new"
notmuch new --quiet
[ "$(notmuch search --output=messages tag:invoice)" = "id:invoice@example.org" ] || fail "the invoice has not its tag"
[ "$(notmuch count tag:new)" = 0 ] || fail "what is tagged is still new"
