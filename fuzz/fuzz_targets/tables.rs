//! Tables: delimited text, arrays of JSON, workbooks.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mailsort_fuzz::run(mailsort_fuzz::checks::tables, bytes));
