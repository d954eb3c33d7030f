//! Panics that intake's guards hide. One that arose in mailsort's own source is a finding; one in a library is noted
//! with the input that made it, because the guard is there for such.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::sync::Once;

use mailsort::intake::{self, Raw, Reading, sniff::SourceFormat};
use mailsort::record::Origin;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SEEN: RefCell<HashSet<String>> = RefCell::default();
}

/// Remembers the input about to be run. The first call sets a hook over the one that intake's guard sets.
pub fn watch(bytes: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let origin = Origin { source: "x".into(), index: 0, offset: 0 };
        let raw = Raw { origin, format: SourceFormat::Mail, bytes: b"Subject: x\n\nx\n".to_vec(), truncated: false };
        let _ = intake::read(raw, &Reading::default());
        let guard = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            look_at(info);
            guard(info);
        }));
    });
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.extend_from_slice(bytes);
    });
}

fn look_at(info: &PanicHookInfo<'_>) {
    let Some(place) = info.location() else { return };
    let file = place.file().replace('\\', "/");
    let told = info.payload_as_str().unwrap_or("no message");
    if file.contains("src/") && !file.contains("/registry/") && !file.contains("/rustc/") {
        eprintln!("panicked at {file}:{}: {told}", place.line());
        // libFuzzer saves the input of a process that aborts.
        std::process::abort();
    }
    let library: Vec<&str> = file.rsplit('/').take(3).collect();
    let name = format!("{}-{}", library.into_iter().rev().collect::<Vec<_>>().join("-"), place.line());
    if !SEEN.with_borrow_mut(|seen| seen.insert(name.clone())) {
        return;
    }
    eprintln!("note: a guard hides a panic at {file}:{}: {told}", place.line());
    if let Some(folder) = std::env::var_os("FUZZ_NOTES") {
        let saved = INPUT.with_borrow(|input| fs::write(Path::new(&folder).join(&name), input));
        if let Err(error) = saved {
            eprintln!("note: {name} could not be written: {error}");
        }
    }
}
