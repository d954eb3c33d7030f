#!/bin/sh
# One process per core, each with a hundred messages. (One mailsort process by itself uses all cores too.)
find "$1" -type f -print0 | parallel -0 -N 100 mailsort classify --quiet --threads 1 --labels "$HOME/labels.txt" {}
