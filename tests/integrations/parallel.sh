#!/bin/sh
# GNU parallel: one record for every mail.
. "$(dirname "$0")/begin.sh"
begin parallel
parallel --version 2> /dev/null | grep -q GNU || skip "parallel is not GNU's"
mkdir -p "$HOME/Maildir/cur"
for number in 1 2 3 4 5 6 7 8 9; do
    cp "$HOME/invoice.eml" "$HOME/Maildir/cur/$number.a.host:2,S"
done
mkdir -p "$HOME/.parallel" && touch "$HOME/.parallel/will-cite"
sed 's/-N 100/-N 4/' "$recipes/parallel.sh" > "$HOME/run.sh"
[ "$(sh "$HOME/run.sh" "$HOME/Maildir" | grep -c '"label":"invoice"')" = 9 ] || fail "not one record for every mail"
