#!/bin/sh
# Fuzzes every target for the given number of seconds each (600 unless told) and prints what came out.
# Ends with 1 when there is a finding. FUZZ_TARGETS="mail html" runs only these; FUZZ_SANITIZER=address checks the
# memory accesses of libraries too, at half the speed.
set -u
cd "$(dirname "$0")/.." || exit 2
seconds=${1:-600}
targets=${FUZZ_TARGETS:-mail mbox html clean labels tables text}
out=fuzz/artifacts
# mailsort reads documents on threads with stacks of 2 MiB: what overflows there shall overflow here.
ulimit -s 2048
sh fuzz/seed.sh || exit 2
cp Cargo.lock fuzz/Cargo.lock || exit 2
mkdir -p "$out"
cargo +nightly fuzz build --release --sanitizer "${FUZZ_SANITIZER:-none}" || exit 2

found=0
table=$(printf '%-8s %12s %8s %9s %8s %6s %9s' target executions exec/s coverage corpus notes findings)
for target in $targets; do
    case $target in
        mbox | text) dict=mail ;;
        *) dict=$target ;;
    esac
    log=$out/log/$target
    folder=$out/$target
    noted=$out/notes/$target
    mkdir -p "$folder" "$noted" "$out/log"
    before=$(find "$folder" -type f | wc -l)
    echo "== $target for $seconds s"
    FUZZ_NOTES=$PWD/$noted nice -n 10 cargo +nightly fuzz run --release --sanitizer "${FUZZ_SANITIZER:-none}" "$target" -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -max_len=131072 -len_control=20 \
        -dict="fuzz/dict/$dict.dict" -print_final_stats=1 >"$log" 2>&1
    status=$?
    after=$(find "$folder" -type f | wc -l)
    findings=$((after - before))
    # A run that ended badly without saving an input is a finding too.
    [ "$status" -ne 0 ] && [ "$findings" -eq 0 ] && findings=1
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
    corpus=$(find "fuzz/corpus/$target" -type f | wc -l)
    notes=$(find "$noted" -type f | wc -l)
    row=$(printf '%-8s %12s %8s %9s %8s %6s %9s' "$target" "$(stat number_of_executed_units)" \
        "$(stat average_exec_per_sec)" "$coverage" "$corpus" "$notes" "$findings")
    table="$table
$row"
    echo "$row"
    if [ "$findings" -ne 0 ]; then
        found=1
        grep -a -A 3 -e 'panicked at' -e 'ERROR: libFuzzer' -e 'Failing input' "$log"
    fi
done
echo
echo "$table"
exit $found
