//! Reads the event logs of one machine, and follows them on request.

use std::collections::HashSet;
use std::time::Duration;

use super::context::TaskContext;
use super::controller::Controller;
use super::error::BmcError;
use super::log::{LogEntry, LogQuery, LogSink};
use super::task::TaskResult;

/// The interval between two reads of an event log that is followed.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(5);
/// How many of the newest entries to compare in each read.
const MIN_FOLLOWED_ENTRIES: usize = 200;

/// Reads the event logs. Follows them if the query has a sink: then every entry goes there.
///
/// # Errors
/// See [`BmcError`].
pub async fn read_log(
    controller: &mut Controller,
    query: &LogQuery,
    context: &TaskContext,
) -> Result<TaskResult, BmcError> {
    let Some(LogSink(send)) = &query.follow else {
        return Ok(TaskResult {
            log: printable(controller.read_log(query).await?, context),
            ..TaskResult::default()
        });
    };
    let newest = LogQuery {
        since: None,
        lines: query.lines.max(MIN_FOLLOWED_ENTRIES),
        ..query.clone()
    };
    let key = |entry: &LogEntry| (entry.log.clone(), entry.id.clone(), entry.time);
    let entries = controller.read_log(&newest).await?;
    let mut known: HashSet<_> = entries.iter().map(key).collect();
    let mut new = query.select(vec![entries]);
    while send(&context.host, printable(new, context)) {
        context.pause(FOLLOW_INTERVAL).await?;
        new = controller.read_log(&newest).await?;
        new.retain(|entry| known.insert(key(entry)));
    }
    Ok(TaskResult::default())
}

/// Masks the secrets that a BMC logs.
fn printable(mut entries: Vec<LogEntry>, context: &TaskContext) -> Vec<LogEntry> {
    for entry in &mut entries {
        entry.message = context.printable(&entry.message);
    }
    entries
}
