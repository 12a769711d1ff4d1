//! The store that a `host` command works on.

use std::path::PathBuf;

use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::store::{RunningServer, SqliteStore, Store};

/// The store of a site, opened by a `host` command.
pub(super) struct OpenStore<'a> {
    pub(super) output: &'a Output,
    pub(super) store: SqliteStore,
    pub(super) directory: PathBuf,
}

impl<'a> OpenStore<'a> {
    pub(super) fn open(output: &'a Output, directory: PathBuf) -> CommandResult<Self> {
        let store = SqliteStore::open(&directory)?;
        Ok(Self {
            output,
            store,
            directory,
        })
    }
}

impl OpenStore<'_> {
    /// Gives a store that was restored, copied or moved a new identity before hosts are armed in it,
    /// and warns about the sessions that this suspends. A running server does this itself, and its paths
    /// of the store and the witness file may differ from those of this process.
    pub(super) fn settle(&self) -> CommandResult<()> {
        let servers = RunningServer::list(&self.directory)?;
        if servers.iter().any(|server| server.uses(self.store.file())) {
            return Ok(());
        }
        let settled = self.store.settle()?;
        if let Some(doubt) = settled.doubt {
            let hosts = match settled.suspended.as_slice() {
                [] => "no session was open".to_owned(),
                hosts => format!("suspended the sessions of {}", hosts.join(", ")),
            };
            self.output.warning(&format!("{doubt}; {hosts}"), "");
        }
        Ok(())
    }

    /// Warns if nothing destructive is served to any host.
    pub(super) fn warn_of_impediment(&self) -> CommandResult<()> {
        let standing = self.store.standing()?;
        if let Some(impediment) = standing.impediment() {
            let what = format!("no host can install: {impediment}");
            self.output.warning(&what, impediment.help());
        }
        Ok(())
    }
}
