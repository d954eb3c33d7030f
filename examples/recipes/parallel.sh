#!/bin/sh
# As many processes as cores, each with a hundred mails; one process of mailsort uses all cores by itself.
find "$1" -type f -print0 | parallel -0 -N 100 mailsort classify --quiet --threads 1 --labels "$HOME/labels.txt" {}
