#!/bin/sh
# procmail files by the header, and keeps the mail when the filter cannot run.
. "$(dirname "$0")/begin.sh"
begin procmail
mkdir -p "$HOME/Maildir"
for name in invoice meeting; do
    procmail HOME="$HOME" PATH="$PATH" "$recipes/procmailrc" < "$HOME/$name.eml"
done
[ "$(count "$HOME"/Maildir/.invoices/new/*)" = 1 ] || fail "the invoice is not in its folder"
[ "$(count "$HOME"/Maildir/new/*)" = 1 ] || fail "the other mail is not in the inbox"
grep -q '^X-Mailsort: invoice; score=0\.[0-9]*; model=builtin$' "$HOME"/Maildir/.invoices/new/* || fail "no header"
! grep -q forged "$HOME"/Maildir/new/* || fail "a forged header stayed"
rm "$HOME/bin/mailsort"
procmail HOME="$HOME" PATH="$PATH" "$recipes/procmailrc" < "$HOME/invoice.eml" 2> /dev/null
[ "$(count "$HOME"/Maildir/new/*)" = 2 ] || fail "without the filter the mail is lost"
