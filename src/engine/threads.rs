//! The threads of candle's own pool, which does the products of K-quants and some sums beside the pool of the run.

use std::env;

/// How often a thread of the pool looks for work before it sleeps. candle's own 25,000 times keep a core from whoever else
/// needs it, and on a busy machine the pool waits for itself: there products became a hundred times slower.
const LOOKS: &str = "200";

/// Tells candle how many threads it may use, and to sleep rather than to spin. What the user has set wins.
///
/// To be called by `main` before there is a second thread.
#[allow(unsafe_code)]
pub fn settle(threads: Option<usize>) {
    let set = |name: &str, value: &str| {
        if env::var_os(name).is_none() {
            // SAFETY: the program has no second thread yet that could read the environment meanwhile.
            unsafe { env::set_var(name, value) };
        }
    };
    set("CANDLE_BARRIER_POOL_SPIN_LIMIT", LOOKS);
    if let Some(threads) = threads {
        set("CANDLE_NUM_THREADS", &threads.to_string());
    }
}
