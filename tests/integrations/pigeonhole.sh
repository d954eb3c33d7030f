#!/bin/sh
# Sieve of Dovecot: `filter` changes the mail and `execute` gives the label, both with CRLF as Dovecot sends it.
. "$(dirname "$0")/begin.sh"
begin sieve-test
printf '#!/bin/sh\nexec mailsort filter --labels %s/labels.txt\n' "$HOME" > "$HOME/bin/label"
printf '#!/bin/sh\nexec mailsort filter --print-label --labels %s/labels.txt\n' "$HOME" > "$HOME/bin/print-label"
chmod +x "$HOME/bin/label" "$HOME/bin/print-label"
# Dovecot gives its programs an environment of its own.
sed -i "s|mailsort|$HOME/bin/mailsort|" "$HOME/bin/label" "$HOME/bin/print-label"

# It will not run as root.
user=$(id -u)
if [ "$user" = 0 ]; then
    user=65534
    chmod 755 "$HOME"
fi

sieve() {
    sieve-test -x "+vnd.dovecot.filter +vnd.dovecot.execute" -o plugin/sieve_plugins=sieve_extprograms \
        -o mail_location="maildir:$HOME/Maildir" -o plugin/sieve_filter_bin_dir="$HOME/bin" \
        -o plugin/sieve_execute_bin_dir="$HOME/bin" -o mail_home="$HOME" -o mail_uid="$user" -o mail_gid="$user" "$@" 2>&1
}

for script in mailsort mailsort-execute; do
    said=$(sieve "$recipes/$script.sieve" "$HOME/invoice.eml") || fail "$script: $said"
    echo "$said" | grep -q 'folder: *invoices' || fail "$script: the invoice is not filed: $said"
    said=$(sieve "$recipes/$script.sieve" "$HOME/meeting.eml") || fail "$script: $said"
    ! echo "$said" | grep -q 'folder: *invoices' || fail "$script: the meeting is filed: $said"
done
