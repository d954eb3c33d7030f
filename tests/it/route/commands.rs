//! Commands that get mails.

use std::fs;
use std::time::{Duration, Instant};

use super::*;

const SHELL: &str =
    "labels = \"labels.txt\"\n[[rule]]\nlabel = \"invoice\"\nfolder = \"Done\"\nexec = [\"sh\", \"-c\", \"COMMAND\"]\n";

fn home(command: &str) -> Home {
    let home = Home::new(&SHELL.replace("COMMAND", &command.replace('\\', "\\\\").replace('"', "\\\"")));
    home.put("new/1.a.h", INVOICE);
    home
}

#[test]
fn a_command_gets_the_mail_and_what_is_known_of_it() {
    let home = home("unset MAILSORT_KILLS MAILSORT_INSTALL; cat > mail; env | grep ^MAILSORT_ | sort > env");
    fs::write(
        home.path("Maildir/new/1.a.h"),
        format!("Message-ID: <1@x>\nFrom: =?utf-8?q?A=00=1b=5b2J?= <a@b>\nSubject: $(touch owned); {INVOICE}"),
    )
    .unwrap();
    let mail = fs::read(home.path("Maildir/new/1.a.h")).unwrap();
    home.routed(&[], 0);
    assert_eq!(fs::read(home.path("mail")).unwrap(), mail);
    let env = fs::read_to_string(home.path("env")).unwrap();
    let names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    let all = ["FROM", "ID", "INDEX", "LABEL", "MODEL", "SCORE", "SET", "SOURCE", "SUBJECT"];
    assert_eq!(names, all.map(|name| format!("MAILSORT_{name}")), "{env}");
    for line in ["LABEL=invoice", "SET=labels", "ID=<1@x>", "SUBJECT=$(touch owned); Your invoice", "MODEL=builtin"] {
        assert!(env.contains(&format!("MAILSORT_{line}\n")), "{env}");
    }
    assert!(!env.contains('\u{1b}') && !home.path("owned").exists());
    assert_eq!(home.mails(), [".Done/new/1.a.h"]);
}

#[test]
fn a_command_gets_a_compressed_mail_as_it_was() {
    let home = home("cat > mail");
    let mail = home.zip("new/1.a.h");
    home.routed(&[], 0);
    assert_eq!(fs::read(home.path("mail")).unwrap(), mail);
    assert_eq!(home.mails(), [".Done/new/1.a.h"]);
}

#[test]
fn a_mail_whose_command_fails_stays_and_is_tried_again() {
    let home = home("echo x >> tries; echo 'no queue' >&2; exit 3");
    let said = home.routed(&["--exec-retries", "2", "--exec-wait", "0.01"], 1);
    assert!(said.contains("the command \"sh\": exited with status 3: no queue"), "{said}");
    assert_eq!(home.mails(), ["new/1.a.h"]);
    assert_eq!(fs::read_to_string(home.path("tries")).unwrap().lines().count(), 3);
    let status = home.routed(&["--exec-retries", "0"], 1);
    assert_eq!(fs::read_to_string(home.path("tries")).unwrap().lines().count(), 4, "{status}");
}

#[test]
fn a_command_that_takes_too_long_is_killed() {
    let home = home("sleep 60");
    let started = Instant::now();
    let said = home.routed(&["--exec-timeout", "0.3", "--exec-retries", "0"], 1);
    assert!(said.contains("timed out after 0.3 s") && started.elapsed() < Duration::from_secs(30), "{said}");
    assert_eq!(home.mails(), ["new/1.a.h"]);
}

#[test]
fn a_command_runs_once_for_a_mail_that_stays() {
    let home = Home::new("");
    home.put("new/1.a.h", INVOICE);
    home.put("new/2.b.h", MEETING);
    let run = || {
        let flags =
            ["route", "Maildir", "--labels", "labels.txt", "--exec", "echo \"$MAILSORT_LABEL\" >> log; exec 0<&-"];
        mailsort(flags).in_folder(home.folder.path())
    };
    assert!(ended(run(), 0).contains("2 given to a command"));
    fs::rename(home.path("Maildir/new/1.a.h"), home.path("Maildir/cur/1.a.h:2,S")).unwrap();
    assert!(ended(run(), 0).contains("nothing to do"));
    assert_eq!(fs::read_to_string(home.path("log")).unwrap(), "invoice\nmeeting\n");
}

#[test]
fn a_move_that_failed_does_not_run_the_command_again() {
    let home = home("echo x >> log");
    fs::create_dir_all(home.path("Maildir/.Done")).unwrap();
    fs::write(home.path("Maildir/.Done/new"), "a file in the way").unwrap();
    home.routed(&[], 1);
    fs::remove_file(home.path("Maildir/.Done/new")).unwrap();
    home.routed(&[], 0);
    assert_eq!(
        (home.mails(), fs::read_to_string(home.path("log")).unwrap()),
        (vec![".Done/new/1.a.h".into()], "x\n".into())
    );
}
