# The label alone, in a variable: `print-label` in sieve_execute_bin_dir is a script that runs
# `mailsort filter --print-label --labels /etc/mailsort/labels.txt`.
require ["vnd.dovecot.execute", "variables", "fileinto", "mailbox"];

if execute :pipe :output "label" "print-label" {
    if string :matches "${label}" "invoice*" {
        fileinto :create "invoices";
    }
}
