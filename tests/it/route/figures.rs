//! Figures for Prometheus.

use std::fs;

use super::*;

const EXEC: &str = "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nexec = [\"true\"]\n\
    [[rule]]\nlabel = \"meeting\"\nfolder = \"Meetings\"\n";

#[test]
fn figures_grow_from_run_to_run() {
    let home = Home::new(EXEC);
    for name in ["1.a.h", "2.b.h"] {
        home.put(&format!("new/{name}"), INVOICE);
    }
    home.put("new/3.c.h", MEETING);
    let run = |status: i32| {
        home.routed(&["--metrics", "mailsort.prom"], status);
        fs::read_to_string(home.path("mailsort.prom")).unwrap()
    };
    let has = |text: &str, lines: &[&str]| {
        lines.iter().for_each(|line| assert!(text.lines().any(|own| own.starts_with(line)), "{line} in {text}"));
    };
    let text = run(0);
    has(
        &text,
        &[
            "mailsort_mails_total{label=\"invoice\"} 2",
            "mailsort_mails_total{label=\"meeting\"} 1",
            "mailsort_actions_total{action=\"exec\"} 2",
            "mailsort_actions_total{action=\"move\"} 1",
            "mailsort_unsure_total 0",
            "mailsort_errors_total 0",
            "mailsort_last_run_mails{outcome=\"all\"} 3",
            "# TYPE mailsort_seconds_per_mail summary",
            "mailsort_seconds_per_mail{quantile=\"0.5\"} 0.",
            "mailsort_seconds_per_mail{quantile=\"0.95\"} 0.",
            "mailsort_seconds_per_mail_count 3",
            "mailsort_last_success_timestamp_seconds 1",
        ],
    );
    // A mail without text is an error, and no failure of the run.
    fs::write(home.path("Maildir/new/4.d.h"), "Subject:\n\n\n").unwrap();
    let text = run(1);
    has(
        &text,
        &[
            "mailsort_errors_total 1",
            "mailsort_last_run_mails{outcome=\"error\"} 1",
            "mailsort_seconds_per_mail_count 6",
        ],
    );
}

#[test]
fn a_run_that_fails_is_no_success() {
    let home = Home::new(&EXEC.replace("true", "false"));
    home.put("new/1.a.h", INVOICE);
    home.routed(&["--metrics", "mailsort.prom", "--exec-retries", "0"], 1);
    let text = fs::read_to_string(home.path("mailsort.prom")).unwrap();
    assert!(
        !text.contains("mailsort_last_success_timestamp_seconds") && text.contains("mailsort_errors_total 1"),
        "{text}"
    );
    // A file that cannot be written is said before anything is done.
    let said = home.routed(&["--metrics", "gone/mailsort.prom"], 2);
    assert!(said.contains("cannot write the metrics gone/mailsort.prom"), "{said}");
}
