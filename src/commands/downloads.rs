//! Lets the report show what the hub sends.

use crate::engine::hub::Progress;
use crate::report::Downloads;

impl Progress for Downloads {
    fn begin(&self, file: &str, total: Option<u64>, there: u64) {
        Downloads::begin(self, file, total, there);
    }

    fn place(&self, bytes: u64) {
        Downloads::place(self, bytes);
    }

    fn end(&self) {
        Downloads::end(self);
    }

    fn note(&self, message: &str) {
        Downloads::note(self, message);
    }
}
