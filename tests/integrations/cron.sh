#!/bin/sh
# The lines of the crontab, run as cron does: mail is sorted, a run that meets another leaves the mail to it, figures are
# written, and logrotate keeps the log short while it is written to.
. "$(dirname "$0")/begin.sh"
begin crontab
maildir=$HOME/Maildir
mkdir -p "$maildir/cur" "$maildir/new" "$maildir/tmp" "$HOME/metrics"
cat > "$HOME/rules.toml" <<RULES
labels = "labels.txt"
[[rule]]
label = "invoice"
folder = "Money/Für mich"
[[rule]]
label = "meeting"
exec = "touch $HOME/begun; until [ -e $HOME/end ]; do sleep 0.1; done"
folder = "Meetings"
RULES
cp "$recipes/logrotate.conf" "$HOME/logrotate.conf"
crontab -n "$recipes/crontab" > "$HOME/checked" 2>&1 || fail "cron does not take the crontab: $(cat "$HOME/checked")"

# as_cron WORD: runs the line with that word
as_cron() {
    line=$(grep "^[0-9*].* $1" "$recipes/crontab" | cut -d ' ' -f 6-)
    path=$(sed -n 's/^PATH=//p' "$recipes/crontab")
    env -i HOME="$HOME" LOGNAME=me SHELL=/bin/sh PATH="$HOME/bin:$path" /bin/sh -c "$line"
}

cp "$HOME/meeting.eml" "$maildir/new/2.b.host"
as_cron mailsort &
first=$!
await "$HOME/begun"
cp "$HOME/invoice.eml" "$maildir/new/1.a.host"
status=0
as_cron mailsort || status=$?
[ "$status" = 75 ] || fail "a second run ended with $status"
[ -e "$maildir/new/1.a.host" ] || fail "a second run has sorted mail"
touch "$HOME/end"
wait "$first" || fail "the first run failed"
as_cron mailsort || fail "the third run failed"
[ "$(count "$maildir"/.Meetings/new/*)" = 1 ] || fail "the meeting is not in its folder"
invoices=$(printf '.Money.F&APw-r mich')
cmp "$HOME/invoice.eml" "$maildir/$invoices/new/1.a.host" || fail "the invoice is not in its folder, or has changed"
grep -q '^mailsort_mails_total{label="invoice"} 1$' "$HOME/metrics/mailsort.prom" || fail "the figures are wrong"
grep -q '^mailsort_last_success_timestamp_seconds [0-9]' "$HOME/metrics/mailsort.prom" || fail "there is no last success"

command -v logrotate > /dev/null || skip "logrotate is not installed"
echo broken >> "$HOME/rules.toml"
! as_cron mailsort || fail "broken rules were taken"
grep -q 'rules.toml' "$HOME/mailsort.log" || fail "the log does not say what is wrong"
# A log is rotated a week after it was first seen.
printf 'logrotate state -- version 2\n"%s/mailsort.log" 2024-1-1-0:0:0\n' "$HOME" > "$HOME/.logrotate-state"
as_cron logrotate || fail "logrotate failed"
zgrep -q 'rules.toml' "$HOME/mailsort.log.1.gz" || fail "the log is not rotated: $(ls "$HOME")"
! as_cron mailsort || fail "broken rules were taken"
grep -q 'rules.toml' "$HOME/mailsort.log" || fail "the log is not begun anew"
