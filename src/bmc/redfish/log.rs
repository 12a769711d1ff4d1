use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::RedfishController;
use super::collection::is_complete;
use super::details::optional;
use crate::bmc::error::BmcError;
use crate::bmc::fields::{Fields, members};
use crate::bmc::log::{LogEntry, LogQuery, LogService, is_newest_first};

/// The most logs to read.
const MAX_LOGS: usize = 16;
/// The most pages of one log to read.
const MAX_PAGES: usize = 100;
/// The most entries to request one by one.
const MAX_SINGLE_ENTRIES: usize = 200;

impl RedfishController {
    /// Reads the selected entries of the event logs, the newest last.
    ///
    /// # Errors
    /// [`BmcError::NoLog`] when there is no such log; otherwise see [`BmcError`].
    pub async fn read_log(&mut self, query: &LogQuery) -> Result<Vec<LogEntry>, BmcError> {
        self.context.report_progress("reading the event log");
        let services = self.log_services().await?;
        let selected: Vec<_> = services.iter().filter(|it| it.is_selected(query)).collect();
        if selected.is_empty() {
            let names: Vec<_> = services.iter().map(|it| format!("`{}`", it.name)).collect();
            let message = match (&query.log, names.as_slice()) {
                (_, []) => "the BMC has no event log".to_owned(),
                (Some(name), names) => {
                    format!("the BMC has no log `{name}`; it has {}", names.join(", "))
                }
                (None, names) => format!(
                    "the BMC has no event log that is enabled; it has {}",
                    names.join(", ")
                ),
            };
            return Err(BmcError::NoLog { message });
        }
        let mut logs = Vec::new();
        for service in selected {
            match self.read_entries(service, query).await {
                Ok(entries) => logs.push(entries),
                Err(error) => {
                    let reason = self.context.mask_error(error.clone()).to_string();
                    optional::<()>(Err(error))?;
                    let name = &service.name;
                    self.context
                        .note(&format!("cannot read the log `{name}`: {reason}"));
                }
            }
        }
        Ok(query.select(logs))
    }

    /// Finds the logs: those of the system, and those of its managers.
    async fn log_services(&mut self) -> Result<Vec<LogService>, BmcError> {
        let mut collections: Vec<String> = self.system.links.logs.iter().cloned().collect();
        for manager in self.system.links.managers.clone() {
            let manager = self.optional_body(&manager).await?;
            collections.extend(Fields::of(&manager).link("LogServices"));
        }
        let (mut services, mut known) = (Vec::new(), HashSet::new());
        for collection in collections {
            let collection = self.optional_body(&collection).await?;
            for path in members(&collection) {
                // A manager may list the logs of its system.
                let is_new = known.insert(path.trim_end_matches('/').to_owned());
                if !is_new || services.len() == MAX_LOGS {
                    continue;
                }
                let service = self.optional_body(&path).await?;
                if service.is_object() {
                    services.push(LogService::read(&path, &service));
                }
            }
        }
        Ok(services)
    }

    /// Reads the entries of one log in the order of the BMC: all that a query may select, or the
    /// newest ones if the log has very many.
    async fn read_entries(
        &mut self,
        service: &LogService,
        query: &LogQuery,
    ) -> Result<Vec<LogEntry>, BmcError> {
        let context = Arc::clone(&self.context);
        let read = |values: &[Value]| -> Vec<LogEntry> {
            let masked = values.iter().map(|value| context.masked_json(value));
            masked
                .filter_map(|value| LogEntry::read(&service.name, &value))
                .collect()
        };
        let mut page = self.session.require(&service.entries).await?.body;
        if !is_complete(&page) {
            page = self.read_collection(&service.entries).await?;
        }
        if !is_complete(&page) {
            let count = members(&page).len().min(query.lines);
            if count > MAX_SINGLE_ENTRIES {
                let name = &service.name;
                self.context.note(&format!(
                    "only the newest {MAX_SINGLE_ENTRIES} entries of the log `{name}` were read: \
                     the BMC sends one at a time"
                ));
            }
            let newest = newest_references(&page, count.min(MAX_SINGLE_ENTRIES));
            let values = self.complete_members(&newest, MAX_SINGLE_ENTRIES).await?;
            return Ok(read(&values));
        }
        let mut entries = read(Fields::of(&page).items("Members"));
        let newest_first = is_newest_first(&entries);
        if let Some(skipped) = self
            .skip_to_end(service, query, &page, newest_first)
            .await?
        {
            entries = read(Fields::of(&skipped).items("Members"));
            page = skipped;
        }
        let mut pages = 1;
        while let Some(next) = Fields::of(&page).link("Members@odata.nextLink") {
            let oldest = entries.last().and_then(|entry| entry.time);
            let has_enough = entries.len() >= query.lines
                || query
                    .since
                    .is_some_and(|since| oldest.is_some_and(|it| it < since));
            if newest_first && has_enough {
                break;
            }
            if pages == MAX_PAGES {
                let name = &service.name;
                self.context.note(&format!(
                    "the log `{name}` has more than {} entries; its newest ones may be missing",
                    entries.len()
                ));
                break;
            }
            pages += 1;
            page = self.session.require(&next).await?.body;
            entries.extend(read(Fields::of(&page).items("Members")));
        }
        Ok(entries)
    }

    /// Requests the last entries of a log that starts with the oldest. Returns `None` if the first
    /// page is enough, or if the BMC does not support it.
    async fn skip_to_end(
        &mut self,
        service: &LogService,
        query: &LogQuery,
        first_page: &Value,
        newest_first: bool,
    ) -> Result<Option<Value>, BmcError> {
        let fields = Fields::of(first_page);
        let total = fields.number("Members@odata.count").unwrap_or_default() as usize;
        let has_more = fields.has("Members@odata.nextLink") && total > query.lines;
        if newest_first || !has_more || query.since.is_some() {
            return Ok(None);
        }
        let path = format!("{}?$skip={}", service.entries, total - query.lines);
        let response = self.session.get(&path).await?;
        let first_id = |page: &Value| {
            let first = Fields::of(page).items("Members").first();
            first.and_then(|entry| Fields::of(entry).text("Id"))
        };
        let is_skipped = response.is_success() && first_id(&response.body) != first_id(first_page);
        Ok(is_skipped.then_some(response.body))
    }
}

/// Returns a collection with the references to its newest entries, by their numbers.
fn newest_references(collection: &Value, count: usize) -> Value {
    let mut paths = members(collection);
    let number = |path: &String| -> Option<u64> {
        path.trim_end_matches('/').rsplit('/').next()?.parse().ok()
    };
    if paths.iter().all(|path| number(path).is_some()) {
        paths.sort_by_key(number);
    }
    let skipped = paths.len().saturating_sub(count);
    serde_json::json!({ "Members": paths.split_off(skipped) })
}
