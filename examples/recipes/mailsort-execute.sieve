# The label in a variable. `print-label` is a script in sieve_execute_bin_dir that runs
# `mailsort filter --print-label --labels /etc/mailsort/labels.txt`.
require ["vnd.dovecot.execute", "variables", "fileinto", "mailbox"];

if execute :pipe :output "label" "print-label" {
    if string :matches "${label}" "invoice*" {
        fileinto :create "invoices";
    }
}
