//! Resource limits of the child that reads a PDF. The only file of this module that makes system calls.

/// Seconds of CPU time, not of waiting: whether a document can be read must not depend on the load of the machine.
pub(super) const CPU_SECONDS: u64 = 10;
/// The limit of mapped memory.
pub(super) const MEMORY: u64 = 512 * 1024 * 1024;

/// Limits this process and makes it die with its parent.
#[cfg(unix)]
pub(super) fn apply() {
    use rustix::process::Resource;
    // The soft limit sends a signal that tells the reason; the hard limit kills.
    limit(Resource::Cpu, CPU_SECONDS, CPU_SECONDS + 2);
    limit(Resource::As, MEMORY, MEMORY);
    // A signal to a whole service stops the parent, which first finishes its work and needs this text for it.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let _ = signal_hook::flag::register(signal, std::sync::Arc::<std::sync::atomic::AtomicBool>::default());
    }
    // No core dump of a killed child.
    limit(Resource::Core, 0, 0);
    #[cfg(target_os = "linux")]
    {
        // Where this is not available, the child ends when it writes to the closed pipe.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
}

/// Lowers a limit. A lower existing limit stays; if none can be set, the child runs without it.
#[cfg(unix)]
fn limit(resource: rustix::process::Resource, soft: u64, hard: u64) {
    use rustix::process::{Rlimit, getrlimit, setrlimit};
    let now = getrlimit(resource);
    let least = |now: Option<u64>, most: u64| Some(now.map_or(most, |now| now.min(most)));
    let _ = setrlimit(resource, Rlimit { current: least(now.current, soft), maximum: least(now.maximum, hard) });
}

/// Other systems have no safe API for this; the parent's timeout remains.
#[cfg(not(unix))]
pub(super) fn apply() {}

/// The error of a document whose child was ended by a signal.
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

/// Not available on other systems.
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

/// On other systems the child gets them too.
#[cfg(not(unix))]
pub(super) fn detach(_command: &mut std::process::Command) {}
