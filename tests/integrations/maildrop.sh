#!/bin/sh
# maildrop files by the header, and says "try again" when the filter does.
. "$(dirname "$0")/begin.sh"
begin maildrop
for folder in "$HOME/Maildir" "$HOME/Maildir/.invoices"; do
    mkdir -p "$folder/cur" "$folder/new" "$folder/tmp"
done
# maildrop takes HOME and PATH from the system.
{
    printf 'HOME="%s"\nPATH="%s"\n' "$HOME" "$PATH"
    cat "$recipes/mailfilter"
} > "$HOME/.mailfilter"
chmod 600 "$HOME/.mailfilter"
for name in invoice meeting; do
    maildrop "$HOME/.mailfilter" < "$HOME/$name.eml"
done
[ "$(count "$HOME"/Maildir/.invoices/new/*)" = 1 ] || fail "the invoice is not in its folder"
[ "$(count "$HOME"/Maildir/new/*)" = 1 ] || fail "the other mail is not in the inbox"
rm "$HOME/labels.txt"
status=0
maildrop "$HOME/.mailfilter" < "$HOME/invoice.eml" 2> /dev/null || status=$?
[ "$status" = 75 ] || fail "maildrop ended with $status, not 75"
[ "$(count "$HOME"/Maildir/new/* "$HOME"/Maildir/.invoices/new/*)" = 2 ] || fail "the mail was delivered all the same"
