//! What the child that reads a PDF may use. The only file that speaks to the operating system.

/// Seconds of computing. Not of waiting: whether a document can be read must not depend on what else the machine does.
pub(super) const CPU_SECONDS: u64 = 10;
/// Memory that may be mapped.
pub(super) const MEMORY: u64 = 512 * 1024 * 1024;

/// Limits this process for good, and makes it die with its parent.
#[cfg(unix)]
pub(super) fn apply() {
    use rustix::process::Resource;
    // The lower limit sends a signal that says why; the higher one kills without a word.
    limit(Resource::Cpu, CPU_SECONDS, CPU_SECONDS + 2);
    limit(Resource::As, MEMORY, MEMORY);
    // What stops a whole service stops the parent, which first finishes what it has in hand and needs this text for it.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _ = signal_hook::flag::register(signal, std::sync::Arc::<std::sync::atomic::AtomicBool>::default());
    }
    // A killed child is nothing to keep on disk.
    limit(Resource::Core, 0, 0);
    #[cfg(target_os = "linux")]
    {
        // Where it cannot be had, the child ends when it writes to a pipe that nobody reads.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
}

/// Lowers a limit. A lower one stays, and where none can be set the child runs without it.
#[cfg(unix)]
fn limit(resource: rustix::process::Resource, soft: u64, hard: u64) {
    use rustix::process::{Rlimit, getrlimit, setrlimit};
    let now = getrlimit(resource);
    let least = |now: Option<u64>, most: u64| Some(now.map_or(most, |now| now.min(most)));
    let _ = setrlimit(resource, Rlimit { current: least(now.current, soft), maximum: least(now.maximum, hard) });
}

/// Elsewhere there is no such thing in safe Rust; the parent's patience remains.
#[cfg(not(unix))]
pub(super) fn apply() {}

/// What a signal that ended the child means for its document.
#[cfg(unix)]
pub(super) fn killed_by(status: std::process::ExitStatus) -> Option<String> {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal()?;
    Some(if signal == Signal::XCPU.as_raw() {
        format!("the PDF takes longer than {CPU_SECONDS} s to read")
    } else if [Signal::ABORT, Signal::SEGV, Signal::BUS].iter().any(|end| end.as_raw() == signal) {
        format!("the PDF needs more than {} MiB of memory, or is nested too deep", MEMORY >> 20)
    } else {
        "the process that read the PDF was killed".to_string()
    })
}

/// Elsewhere nothing is known.
#[cfg(not(unix))]
pub(super) fn killed_by(_status: std::process::ExitStatus) -> Option<String> {
    None
}

/// Keeps the terminal's signals from the child: Ctrl-C is for the parent, with which the child ends.
#[cfg(unix)]
pub(super) fn detach(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

/// Elsewhere the child gets them too.
#[cfg(not(unix))]
pub(super) fn detach(_command: &mut std::process::Command) {}
