//! The bytes of a label file: text, TOML and CSV, in any charset.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailsort_fuzz::run(mailsort_fuzz::checks::labels, bytes));
