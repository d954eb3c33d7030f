//! Bytes of a kind that nobody names: sniffed, decoded, read as page, text and row.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailsort_fuzz::run(mailsort_fuzz::checks::text, bytes));
