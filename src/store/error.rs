use std::fmt;
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use super::schema;

/// An operation of a store failed; no part of the change was kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {subject} `{location}`: {fault}")]
pub struct StoreError {
    /// What the file is in this operation.
    pub subject: StoreSubject,
    /// The file or the server.
    pub location: String,
    /// What went wrong there.
    pub fault: StoreFault,
}

/// What a file is in an operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreSubject {
    /// A store, or a part of one.
    Store,
    /// A backup that is restored.
    BackupToRead,
    /// A backup that is written.
    BackupToWrite,
    /// The copy of a store.
    Copy,
}

impl fmt::Display for StoreSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "use the store",
            Self::BackupToRead => "restore the backup",
            Self::BackupToWrite => "write the backup",
            Self::Copy => "write the copy",
        })
    }
}

/// What went wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// A file could not be made, opened or locked.
    #[error("{0}")]
    Io(io::Error),
    /// The store does not exist.
    #[error("the store does not exist")]
    Absent,
    /// A store that a running server opened at the path was deleted or replaced.
    #[error("process {pid} still uses a store that was deleted or replaced here")]
    Deserted {
        /// The server.
        pid: u32,
    },
    /// A store already exists.
    #[error("a store already exists")]
    Present,
    /// The witness file could not be written; nothing can be armed without it.
    #[error("cannot write the witness file in `{directory}`: {error}")]
    Witness {
        /// The directory of witness files.
        directory: String,
        /// Why.
        error: io::Error,
    },
    /// The witness file would be a part of every copy of the store.
    #[error("the witness directory `{directory}` is inside the state directory, or contains it")]
    WitnessInside {
        /// The directory that was named.
        directory: String,
    },
    /// The path does not lead to the file that was opened.
    #[error("the file was deleted or replaced")]
    Replaced,
    /// A running server keeps the witness file in another directory.
    #[error("process {pid} keeps its witness file in `{recorded}`")]
    WitnessElsewhere {
        /// The server.
        pid: u32,
        /// The directory that the store records.
        recorded: String,
    },
    /// Another process kept its write lock for longer than we waited.
    #[error("another process held the lock for too long")]
    Busy,
    /// Another process writes it, and only one may.
    #[error("another DHCP server is using the leases")]
    InUse,
    /// The file or its file system refuses writes.
    #[error("the file or its file system is read-only")]
    ReadOnly,
    /// No space is left.
    #[error("the disk is full")]
    Full,
    /// A restore would replace leases.
    #[error("leases without a store already exist")]
    LeasesPresent,
    /// A backup would replace a file.
    #[error("the file already exists")]
    FileExists,
    /// The file is not what the operation needs.
    #[error("expected {expected}, found {found}")]
    Foreign {
        /// What the operation needs.
        expected: &'static str,
        /// What the file is.
        found: &'static str,
    },
    /// The write-ahead log is missing while processes use the database.
    #[error("its write-ahead log `{log}` is missing, and with it the newest changes")]
    LogMissing {
        /// The path of the log.
        log: String,
    },
    /// The content of the file is damaged.
    #[error("the file is damaged: {what}")]
    Corrupt {
        /// What was found.
        what: String,
    },
    /// A newer `pxectl` has altered its tables.
    #[error(
        "the file has schema version {found}, but this pxectl supports only versions up to {supported}"
    )]
    NewerSchema {
        /// The version of the tables.
        found: u32,
        /// The highest version that this program knows.
        supported: u32,
    },
    /// The caller asked for a change that contradicts itself or the store.
    #[error("inconsistent change of host `{host}`: {what}")]
    Unfit {
        /// The host.
        host: String,
        /// What contradicts what.
        what: &'static str,
    },
    /// Anything else that the database reported.
    #[error("{0}")]
    Database(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(super) fn new(path: &Path, fault: impl Into<StoreFault>) -> Self {
        Self::of(StoreSubject::Store, path, fault)
    }

    pub(super) fn of(subject: StoreSubject, path: &Path, fault: impl Into<StoreFault>) -> Self {
        let location = path.display().to_string();
        let fault = match fault.into() {
            StoreFault::LogMissing { .. } => StoreFault::LogMissing {
                log: format!("{location}-wal"),
            },
            fault => fault,
        };
        Self {
            subject,
            location,
            fault,
        }
    }

    /// Returns the help text for an operator.
    pub fn help(&self) -> String {
        let location = &self.location;
        match &self.fault {
            StoreFault::Io(_) | StoreFault::Corrupt { .. } | StoreFault::Foreign { .. }
                if self.subject == StoreSubject::BackupToRead =>
            {
                "use a file that `pxectl store backup` wrote, and check its path; to copy a store, \
                 use `pxectl store copy DIR`"
                    .into()
            }
            StoreFault::Io(_) if self.subject == StoreSubject::BackupToWrite => {
                "check the path and its disk, or choose another file".into()
            }
            StoreFault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run as the user who owns the store, or name another one with `--state`".into()
            }
            StoreFault::Io(_) => {
                "check the path and its disk, or name another store with `--state`".into()
            }
            StoreFault::Absent => {
                "run `pxectl store create`, or start `pxectl serve`, which creates the store; or \
                 choose another store with `--state`"
                    .into()
            }
            StoreFault::Deserted { pid } => format!(
                "stop process {pid}, then restore a backup with `pxectl store restore FILE`, or \
                 start `pxectl serve` with a new store"
            ),
            StoreFault::Present if self.subject == StoreSubject::Copy => {
                "choose another directory for the copy, or move the store there away first".into()
            }
            StoreFault::LeasesPresent => format!(
                "move `{location}` away first: the leases of the backup would replace it"
            ),
            StoreFault::FileExists => {
                "choose another file: a backup never replaces one".into()
            }
            StoreFault::Foreign { .. } => {
                "name the state directory of the site with `--state DIR`; if the store was \
                 overwritten, move the file away and restore a backup with `pxectl store restore FILE`"
                    .into()
            }
            StoreFault::LogMissing { .. } => {
                "stop the servers of the store, move its directory away, then restore a backup with \
                 `pxectl store restore FILE`"
                    .into()
            }
            StoreFault::Present => {
                "stop its servers and move it away first, or name another directory with `--state`"
                    .into()
            }
            StoreFault::Witness { .. } => {
                "make the directory writable, or name another one with `pxectl serve --witness DIR`"
                    .into()
            }
            StoreFault::WitnessInside { .. } => {
                "name a directory elsewhere with `--witness DIR`; a copy of the store must not \
                 contain its witness file"
                    .into()
            }
            StoreFault::Replaced => {
                "stop its servers; restore a backup with `pxectl store restore`, or start again"
                    .into()
            }
            StoreFault::WitnessElsewhere { recorded, .. } => {
                format!("leave out `--witness`, or use `--witness {recorded}`")
            }
            StoreFault::Busy => format!(
                "look for a stopped or hung pxectl with `fuser -v {location}`, then try again"
            ),
            StoreFault::InUse => {
                "stop the other `pxectl serve` first, or name another store with `--state`".into()
            }
            StoreFault::ReadOnly => {
                "make the file and its file system writable, or name another store with `--state`"
                    .into()
            }
            StoreFault::Full => "free some space on its file system, then try again".into(),
            StoreFault::Corrupt { .. } => format!(
                "keep a copy of `{location}`, then restore a backup, or move it away: \
                 a new store arms no host"
            ),
            StoreFault::NewerSchema { .. } => {
                "use the newest pxectl version that has opened this store".into()
            }
            StoreFault::Unfit { .. } | StoreFault::Database(_) => {
                "this is probably a bug in pxectl; please report it with this message".into()
            }
        }
    }
}

impl StoreFault {
    pub(super) fn witness(directory: &Path, error: io::Error) -> Self {
        Self::Witness {
            directory: directory.display().to_string(),
            error,
        }
    }
}

impl From<io::Error> for StoreFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange};
        use rusqlite::Error::{InvalidColumnType, QueryReturnedNoRows};
        let what = match (error.sqlite_error_code(), &error) {
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => return Self::Busy,
            (Some(ErrorCode::ReadOnly), _) => return Self::ReadOnly,
            (Some(ErrorCode::DiskFull), _) => return Self::Full,
            (Some(ErrorCode::PermissionDenied), _) => {
                return Self::Io(io::ErrorKind::PermissionDenied.into());
            }
            // SQLite fills up a database that is cut short, but not its log.
            (Some(ErrorCode::SystemIoFailure), _)
                if error.sqlite_error().map(|it| it.extended_code)
                    == Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ) =>
            {
                return Self::LogMissing { log: String::new() };
            }
            (Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure), _) => {
                return Self::Io(io::Error::other(error));
            }
            (Some(ErrorCode::NotADatabase), _) => {
                return Self::Foreign {
                    expected: schema::STATE.name,
                    found: "a file that is not an SQLite database",
                };
            }
            (Some(ErrorCode::DatabaseCorrupt), _) => error.to_string(),
            (_, FromSqlConversionFailure(_, _, source)) => source.to_string(),
            (_, IntegralValueOutOfRange(..) | InvalidColumnType(..)) => error.to_string(),
            (_, QueryReturnedNoRows) => "a required row is missing".into(),
            _ => return Self::Database(Box::new(error)),
        };
        Self::Corrupt { what }
    }
}
