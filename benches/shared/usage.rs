//! What a process has cost so far, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The unit of processor time in `/proc`; Linux never shows programs another (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Reads a line of `/proc/PID/status` in bytes; none once the process has ended.
pub fn memory(process: u32, line: &str) -> anyhow::Result<Option<u64>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
        .map(|text| text.trim().trim_end_matches(" kB").parse::<u64>());
    Ok(kibibytes.transpose()?.map(|kibibytes| kibibytes << 10))
}

/// Reads the processor time of a process that was not waited for yet, and of those of its children
/// that have ended and that it has waited for.
///
/// Source: proc(5), `/proc/pid/stat`: fields 14 to 17.
pub fn processor_time(process: u32) -> anyhow::Result<Duration> {
    read(&format!("/proc/{process}/stat"))
}

/// Reads the processor time of the thread that asks.
pub fn own_processor_time() -> anyhow::Result<Duration> {
    read("/proc/thread-self/stat")
}

fn read(path: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(path)?;
    let (_, after_name) = stat.rsplit_once(')').context("`stat` names no command")?;
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
