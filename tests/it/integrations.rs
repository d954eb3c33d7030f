//! The mail programs around us, by the scripts of `tests/integrations/`: each runs a recipe of `examples/recipes/` with
//! the real program. `.ci/run` installs what they need.

use std::fs;

use crate::mailsort::{command, root};
use crate::requirements::lacks;

/// The exit status of a script whose program is not installed.
const SKIPPED: i32 = 77;

fn script(name: &str) {
    let path = root().join("tests/integrations").join(name);
    let output = command("sh").arg(&path).env("MAILSORT", env!("CARGO_BIN_EXE_mailsort")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        Some(SKIPPED) => lacks(name.trim_end_matches(".sh"), said.trim_start_matches("skipped: ").trim_end()),
        code => panic!("{name} ended with {code:?}: {said}{complained}"),
    }
}

macro_rules! scripts {
    ($($name:ident: $file:literal,)*) => {
        $(#[test] fn $name() { script($file); })*

        #[test]
        fn every_script_is_run() {
            let mut found: Vec<String> = fs::read_dir(root().join("tests/integrations")).unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".sh") && name != "begin.sh").collect();
            found.sort();
            assert_eq!(found, [$($file),*]);
        }
    };
}

scripts! {
    cron: "cron.sh",
    dovecot: "dovecot.sh",
    getmail: "getmail.sh",
    maildrop: "maildrop.sh",
    mutt: "mutt.sh",
    notmuch: "notmuch.sh",
    parallel: "parallel.sh",
    pigeonhole: "pigeonhole.sh",
    procmail: "procmail.sh",
    systemd: "systemd.sh",
}
