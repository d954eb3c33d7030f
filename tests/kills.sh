#!/bin/sh
# The long form of the tests that kill `mailsort route`: 200 SIGKILLs at random points, the same in every run, for each of moves,
# copies, headers and moves to another file system, over 500 mails each. sh tests/kills.sh [KILLS IN ALL]
cd "$(dirname "$0")/.." && MAILSORT_KILLS=${1:-800} exec cargo test --test it -- route::kill --nocapture
