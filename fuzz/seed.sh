#!/bin/sh
# Fills fuzz/corpus/ with inputs to start from: the samples, the label sets, the inputs kept from earlier runs, and,
# where the folder ../shared/data is there, mails that other projects test their parsers with.
set -u
cd "$(dirname "$0")/.." || exit 2
torture=../shared/data/mail/torture
largest=131072c

# Copies the files that `find` lists on standard input, under names of their own.
into() {
    mkdir -p "fuzz/corpus/$1"
    while IFS= read -r file; do
        copy=fuzz/corpus/$1/seed-$(echo "$file" | cksum | cut -d' ' -f1)
        cp "$file" "$copy"
        chmod u+w "$copy"
    done
}

for target in mail mbox html clean labels text tables; do
    mkdir -p "fuzz/corpus/$target" "tests/corpus/$target"
    for file in "tests/corpus/$target"/*; do
        [ -f "$file" ] && cp "$file" "fuzz/corpus/$target/kept-$(basename "$file")"
    done
done
# Seeds do not change: once is enough.
[ -f fuzz/corpus/.seeded ] && exit 0

mails=$(mktemp) || exit 2
trap 'rm -f "$mails"' EXIT
find samples -type f \( -name '*.eml' -o -path '*/cur/*' -o -path '*/new/*' \) >"$mails"
if [ -d "$torture" ]; then
    find "$torture" -type f -size "-$largest" ! -name '*.json' ! -name '*.js' ! -name '*.ts' >>"$mails"
else
    echo "fuzz: $torture is not there; starting from the samples alone"
fi
into mail <"$mails"
into mbox <"$mails"
find samples -name '*.mbox' | into mbox
pages() { tr '\n' '\0' <"$mails" | xargs -0 grep -Ilis '<div\|<p>\|<html\|<td'; }
{ find samples -name '*.html'; pages; } | into html
into clean <"$mails"
find samples -name '*.txt' -o -name '*.md' | into clean
# Without its headers the text of a mail is no forward.
for file in fuzz/corpus/clean/seed-*; do
    sed '1,/^\r*$/d' "$file" >"$file.body"
    [ -s "$file.body" ] || rm "$file.body"
done
find labels samples -name '*.txt' -o -name '*.toml' | into labels
find samples labels tests/it/models \( -name '*.csv' -o -name '*.tsv' -o -name '*.json' -o -name '*.xlsx' \) -size "-$largest" |
    into tables
find samples labels -type f -size "-$largest" | into text
pages | into text
touch fuzz/corpus/.seeded
