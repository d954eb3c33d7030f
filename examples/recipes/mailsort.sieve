# Pigeonhole with sieve_extprograms. `label` is a script in sieve_filter_bin_dir that runs
# `mailsort filter --labels /etc/mailsort/labels.txt`.
require ["vnd.dovecot.filter", "fileinto", "mailbox"];

filter "label";
if header :matches "X-Mailsort" "invoice;*" {
    fileinto :create "invoices";
}
