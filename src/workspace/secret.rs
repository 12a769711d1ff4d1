//! Secrets: the inventory names their sources, and only the commands that need them fetch them.

mod vault;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::inventory::SecretReference;
use crate::machine::Secret;

/// The longest secret, in bytes.
const LONGEST: usize = 64 * 1024;
/// The time limit of a command: a person may have to touch a security key.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// Why a secret cannot be fetched. No variant contains the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable `{0}` is not set")]
    NoVariable(String),
    /// It is empty.
    #[error("{0} is empty")]
    Empty(String),
    /// It is too long.
    #[error("{0} exceeds 64 KiB")]
    TooLarge(String),
    /// It is not UTF-8 text.
    #[error("{0} is not text in UTF-8")]
    NoText(String),
    /// It has more than one line.
    #[error("{0} has more than one line")]
    Lines(String),
    /// A file cannot be read.
    #[error("`{path}`: {reason}")]
    File {
        /// The file.
        path: String,
        /// The error of the system.
        reason: String,
    },
    /// The command failed.
    #[error("`{command}` {reason}")]
    Command {
        /// The command.
        command: String,
        /// How it failed.
        reason: String,
    },
    /// Vault returned an error.
    #[error("vault `{path}`: {reason}")]
    Vault {
        /// The path and the field.
        path: String,
        /// The reason.
        reason: String,
    },
}

/// Receives a warning about a secret that other users can read, and its help.
pub type Warn = Box<dyn Fn(&str, &str) + Send + Sync>;

type Slot = Arc<OnceCell<Result<Secret, SecretError>>>;

/// Fetches each secret once.
pub struct Secrets {
    directory: PathBuf,
    warn: Warn,
    found: Mutex<BTreeMap<SecretReference, Slot>>,
    vault: OnceCell<Result<vault::Vault, String>>,
}

impl Secrets {
    /// Paths are relative to `directory`, and commands run in it.
    pub fn new(directory: &Path, warn: Warn) -> Self {
        Self {
            directory: directory.to_owned(),
            warn,
            found: Mutex::default(),
            vault: OnceCell::new(),
        }
    }

    /// Fetches a secret, or returns the result of the first fetch.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn fetch(&self, reference: &SecretReference) -> Result<Secret, SecretError> {
        let slot = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(reference.clone()).or_default())
        };
        let fetched = slot.get_or_init(|| self.fetch_now(reference)).await;
        fetched.clone()
    }

    async fn fetch_now(&self, reference: &SecretReference) -> Result<Secret, SecretError> {
        match reference {
            SecretReference::Env(name) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| SecretError::NoVariable(name.clone()))?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                text(bytes, &format!("the variable `{name}`"))
            }
            SecretReference::File(name) => self.file(&self.directory.join(name)).await,
            SecretReference::Exec(words) => self.command(words).await,
            SecretReference::Vault { path, field } => {
                let refused = |reason| SecretError::Vault {
                    path: format!("{path}#{field}"),
                    reason,
                };
                let vault = self
                    .vault
                    .get_or_init(|| async { vault::Vault::of_environment() });
                let vault = vault
                    .await
                    .as_ref()
                    .map_err(|reason| refused(reason.clone()))?;
                let value = vault.read(path, field).await.map_err(refused)?;
                text(value, "the field")
            }
        }
    }

    async fn file(&self, path: &Path) -> Result<Secret, SecretError> {
        let shown = path.display().to_string();
        let refused = |error: std::io::Error| SecretError::File {
            path: shown.clone(),
            reason: error.to_string(),
        };
        let file = tokio::fs::File::open(path).await.map_err(refused)?;
        let mode = file.metadata().await.map_err(refused)?.permissions().mode();
        if mode & 0o004 != 0 {
            let what = format!("all users of this machine can read the password in `{shown}`");
            (self.warn)(&what, &format!("chmod o-r '{shown}'"));
        }
        let bytes = limited(file).await.map_err(refused)?;
        text(bytes, &format!("`{shown}`"))
    }

    /// Runs a command without a shell and without input. Its standard error is not shown, because it may
    /// contain the secret.
    async fn command(&self, words: &[String]) -> Result<Secret, SecretError> {
        let shown = words.join(" ");
        let refused = |reason: String| SecretError::Command {
            command: shown.clone(),
            reason,
        };
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| refused("has no program".to_owned()))?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| refused(format!("cannot be started: {error}")))?;
        let printed = child.stdout.take();
        let finished = async {
            let bytes = match printed {
                Some(printed) => limited(printed).await,
                None => Ok(Zeroizing::default()),
            };
            let bytes = bytes.map_err(|error| refused(error.to_string()))?;
            if bytes.len() > LONGEST {
                return Err(SecretError::TooLarge(format!("the output of `{shown}`")));
            }
            let status = child
                .wait()
                .await
                .map_err(|error| refused(error.to_string()))?;
            if status.success() {
                return Ok(bytes);
            }
            Err(refused(format!(
                "failed ({status}): run the command to see why"
            )))
        };
        let bytes = tokio::time::timeout(COMMAND_TIME, finished).await;
        let late = |_| refused(format!("timed out after {} s", COMMAND_TIME.as_secs()));
        text(bytes.map_err(late)??, &format!("the output of `{shown}`"))
    }
}

/// Reads to the end, or to one byte more than the limit.
async fn limited(from: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    from.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}

/// Makes a secret from bytes, without the final line end.
fn text(bytes: Zeroizing<Vec<u8>>, what: &str) -> Result<Secret, SecretError> {
    if bytes.len() > LONGEST {
        return Err(SecretError::TooLarge(what.to_owned()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NoText(what.to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err(SecretError::Empty(what.to_owned())),
        text if text.contains('\n') => Err(SecretError::Lines(what.to_owned())),
        text if text.contains('\0') => Err(SecretError::NoText(what.to_owned())),
        text => Ok(Secret::new(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
