//! Connections that break off or fall silent, hubs that refuse or are not there, disks that are full, other processes.

use std::fs;
use std::time::Duration;

use super::server::{COMMIT, Manners, sha256};
use super::{Place, bad, good, weights};
use crate::mailsort::{command, root, until};

/// The requests for the weights themselves.
fn fetched(asked: &[String]) -> Vec<&str> {
    asked.iter().filter_map(|line| line.strip_prefix("GET /store/")?.get(64..)).map(str::trim_start).collect()
}

#[test]
fn a_connection_that_breaks_off_is_gone_on_with() {
    let place = Place::with_a_model(Manners { breaks_off: Some((100_000, 2)), ..Default::default() });
    let said = good(place.run("models pull owner/tiny"));
    assert!(said.contains("trying again in 0.5 s"), "{said}");
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), ["", "100000-", "200000-"]);
}

#[test]
fn a_hub_that_always_breaks_off_at_once_is_given_up() {
    let place = Place::with_a_model(Manners { breaks_off: Some((0, 99)), ..Default::default() });
    bad(place.run("models pull owner/tiny"), &["owner/tiny", "model.safetensors", "given up after 5 attempts"]);
    assert!(!place.snapshot().join("model.safetensors").exists());
}

#[test]
fn a_silent_hub_is_asked_again() {
    let place = Place::with_a_model(Manners { falls_silent: Some((100_000, 1)), ..Default::default() });
    let said = good(place.run("models pull owner/tiny").env("HF_HUB_DOWNLOAD_TIMEOUT", "1"));
    assert!(said.contains("silent for 1 s"), "{said}");
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), ["", "100000-"]);
}

#[test]
fn a_killed_run_is_gone_on_with() {
    let place = Place::with_a_model(Manners { falls_silent: Some((120_000, 1)), ..Default::default() });
    let mut child = place.run("models pull owner/tiny").start();
    until(|| fs::metadata(place.part()).is_ok_and(|part| part.len() >= 120_000), || "nothing comes".into());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.snapshot().join("model.safetensors").exists(), "half a file is not shown");
    bad(place.run("models path owner/tiny"), &["not in the cache"]);
    place.hub.asked();
    let said = good(place.run("models pull owner/tiny"));
    assert!(said.contains("of which 120.00 kB are there"), "{said}");
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), ["120000-"]);
}

#[test]
fn a_hub_that_ignores_ranges_sends_all_again() {
    let manners = Manners { breaks_off: Some((100_000, 1)), ignores_ranges: true, ..Default::default() };
    let place = Place::with_a_model(manners);
    good(place.run("models pull owner/tiny"));
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), ["", "100000-"]);
}

#[test]
fn what_is_left_of_another_attempt_may_be_anything() {
    for left in [&b"not its beginning"[..], &[b'x'; 400_000], &[b'x'; 300_000], &weights(1)] {
        let place = Place::with_a_model(Manners::default());
        fs::create_dir_all(place.part().parent().unwrap()).unwrap();
        fs::write(place.part(), left).unwrap();
        good(place.run("models pull owner/tiny"));
        place.is_whole();
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_got_again() {
    let place = Place::with_a_model(Manners::default());
    let blob = place.part().with_extension("");
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(&blob, b"cut short").unwrap();
    good(place.run("models pull owner/tiny"));
    place.is_whole();
}

#[test]
fn another_file_than_the_hub_has_is_an_error() {
    for name in ["model.safetensors", "config.json"] {
        let place = Place::with_a_model(Manners { spoils: Some(name), ..Default::default() });
        let said = bad(place.run("models pull owner/tiny"), &[name, "its checksum should be", "it was removed"]);
        assert!(name != "model.safetensors" || said.contains(&sha256(&weights(1))), "{said}");
        assert!(!place.snapshot().join(name).exists() && !place.part().exists());
    }
}

#[test]
fn who_may_not_read_it_is_told_how() {
    let place = Place::with_a_model(Manners { token: Some("hf_secret"), ..Default::default() });
    let page = format!("{}/owner/tiny", place.hub.address);
    bad(place.run("models pull owner/tiny"), &["owner/tiny", "401", "does not exist", &page, "set HF_TOKEN"]);
    let wrong = place.run("models pull owner/tiny").env("HF_TOKEN", "hf_wrong");
    let said = bad(wrong, &["the token from HF_TOKEN", "403", &page]);
    assert!(!said.contains("hf_wrong"), "a token is never printed");
    let odd = place.run("models pull owner/tiny").env("HF_TOKEN", "hf_\u{1}odd");
    assert!(!bad(odd, &["HF_TOKEN"]).contains("odd"), "a token is never printed");
    place.hub.asked();
    good(place.run("models pull owner/tiny").env("HF_TOKEN", " hf_secret\n"));
    place.is_whole();
    // The files lie in a store elsewhere, which must not see it.
    let asked = place.hub.asked();
    assert!(asked.iter().all(|line| line.contains("/store/") != line.ends_with(" hf_secret")), "{asked:?}");
}

#[test]
fn a_token_may_stand_in_the_file_that_other_programs_write() {
    let place = Place::with_a_model(Manners { token: Some("hf_secret"), ..Default::default() });
    fs::create_dir_all(place.home.path().join("hf")).unwrap();
    fs::write(place.home.path().join("hf/token"), "hf_secret\n").unwrap();
    good(place.run("models pull owner/tiny"));
    place.is_whole();
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::with_a_model(Manners::default());
    bad(place.run("models pull owner/tiny --revision v9"), &["owner/tiny", "no revision \"v9\"", "404"]);
    bad(place.run("models pull owner/other"), &["owner/other", "404", "check the name"]);
    place.hub.behave(Manners { answers: vec![("tokenizer.json", "404 Not Found", 9)], ..Default::default() });
    bad(place.run("models pull owner/tiny"), &["owner/tiny", "tokenizer.json", "404"]);
    let bare = Place::new(&[("pytorch_model.bin", b"pickle"), ("config.json", b"{}")], Manners::default());
    bad(bare.run("models pull owner/tiny"), &["owner/tiny", "model.safetensors", "never opened"]);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let soon = "429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0";
    let out = "503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0";
    let answers = vec![("/api/models", soon, 2), ("config.json", out, 3), ("/store/", out, 2)];
    let place = Place::with_a_model(Manners { answers, ..Default::default() });
    good(place.run("models pull owner/tiny"));
    place.is_whole();
    for (answer, expected) in [(soon, "asked too often (429)"), (out, "out of order (503")] {
        let place = Place::with_a_model(Manners { answers: vec![("/", answer, 99)], ..Default::default() });
        bad(place.run("models pull owner/tiny"), &["owner/tiny", "given up after 5 attempts", expected]);
        assert_eq!(place.hub.asked().len(), 5);
    }
}

#[test]
fn without_a_network_it_says_so() {
    let place = Place::with_a_model(Manners::default());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}");
    let run = place.run("models pull owner/tiny").env("HF_ENDPOINT", &endpoint);
    bad(run, &["owner/tiny", &endpoint, "refused"]);
    let run = place.run("models pull owner/tiny").env("HF_ENDPOINT", "http://no-such-host.invalid");
    bad(run, &["owner/tiny", "no-such-host.invalid"]);
    for wrong in ["huggingface.co", "ftp://x", "http://", "http:///x"] {
        let run = place.run("models pull owner/tiny").env("HF_ENDPOINT", wrong);
        bad(run, &["HF_ENDPOINT", wrong]);
    }
}

#[test]
fn two_processes_get_it_once() {
    let place = Place::with_a_model(Manners { slow: Some(Duration::from_millis(700)), ..Default::default() });
    let children: Vec<_> = (0..3).map(|_| place.run("models pull owner/tiny").start()).collect();
    let said: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}");
            said
        })
        .collect();
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), [""], "{said:?}");
}

#[test]
fn a_disk_that_is_full_is_named_and_nothing_is_lost() {
    let place = Place::with_a_model(Manners::default());
    // What a full disk does to a write, a limit on the size of files does too; 200 blocks of 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" models pull owner/tiny";
    let output = command("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_mailsort")])
        .current_dir(root())
        .env("HF_HOME", place.home.path().join("hf"))
        .env("HF_ENDPOINT", &place.hub.address)
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write") && said.contains(&sha256(&weights(1))), "{said}");
    assert!(!said.contains("trying again"), "{said}");
    let kept = fs::metadata(place.part()).unwrap().len();
    assert!(kept > 0, "what came is kept");
    place.hub.asked();
    good(place.run("models pull owner/tiny"));
    place.is_whole();
    assert_eq!(fetched(&place.hub.asked()), [format!("{kept}-")]);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let place = Place::with_a_model(Manners::default());
    fs::write(place.home.path().join("hf"), b"a file in the way").unwrap();
    bad(place.run("models pull owner/tiny"), &["cannot write", "models--owner--tiny"]);
    assert!(!place.hub.asked().iter().any(|line| line.contains(&format!("GET /owner/tiny/resolve/{COMMIT}"))));
}
