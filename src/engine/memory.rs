//! Whether a model fits, before a minute is spent on loading it and the kernel ends the program.

use std::fs;

use anyhow::{Error, Result, ensure};

use super::device;

/// What batches, tokenizer and the program itself take beside the weights.
const BESIDE: u64 = 512 << 20;

/// Checks that weights of so many bytes fit into what is free.
///
/// # Errors
/// When they do not; the message says that, and `remedy`.
pub(super) fn check(weights: u64, kind: &str, remedy: &str) -> Result<()> {
    let Some(free) = free() else {
        return Ok(());
    };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    ensure!(
        weights + BESIDE <= free,
        "the weights take {:.1} GB as {kind}, and {:.1} GB of memory are free; use {remedy}",
        gigabytes(weights),
        gigabytes(free)
    );
    Ok(())
}

/// What an error of a pass or of loading means, where it is that the device has no memory left.
pub(super) fn explained(error: Error) -> Error {
    let full = error.chain().any(|cause| cause.downcast_ref().is_some_and(device::out_of_memory));
    match full {
        true => error.context(
            "the device has not enough memory; use a smaller --batch-tokens or --max-tokens, a GGUF file with Q8_0 or Q4_K \
             weights, or a smaller model",
        ),
        false => error,
    }
}

/// Bytes that may be taken: what the system says, and what the limits of a container leave. `None` where neither is
/// told.
fn free() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok();
    let system = system.and_then(|text| Some(kilobytes(&text, "MemAvailable:")? + kilobytes(&text, "SwapFree:")?));
    let number = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse::<u64>().ok();
    // What files are cached counts as used there, and yet is given up when memory is asked for.
    let stat = fs::read_to_string("/sys/fs/cgroup/memory.stat").unwrap_or_default();
    let named = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let cached = named("inactive_file ").unwrap_or(0) + named("active_file ").unwrap_or(0);
    let container =
        number("memory.max").and_then(|most| Some((most + cached).saturating_sub(number("memory.current")?)));
    system.into_iter().chain(container).min()
}

fn kilobytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(check(1 << 20, "f32", "less").is_ok());
        if free().is_some() {
            let error = check(1 << 50, "f32", "less").unwrap_err().to_string();
            assert!(error.contains("as f32") && error.ends_with("use less"), "{error}");
        }
    }

    #[test]
    fn numbers_of_meminfo() {
        let text = "MemTotal:       24690140 kB\nMemAvailable:   23456 kB\nSwapFree:       0 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(23456 * 1024));
        assert_eq!(kilobytes(text, "Buffers:"), None);
    }
}
