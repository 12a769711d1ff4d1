//! Secrets: named in the inventory, kept elsewhere, and fetched only by commands that need them.

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

/// No password is longer; what is, is no password.
const LONGEST: usize = 64 * 1024;
/// How long a command may take to print one: somebody may have to touch a key.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// Why a secret cannot be had. No variant holds any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment has no `{0}`")]
    NoVariable(String),
    /// There is nothing where it should be.
    #[error("{0} is empty")]
    Empty(String),
    /// It is larger than any password.
    #[error("{0} holds more than {LONGEST} octets")]
    TooLarge(String),
    /// It is no text.
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
        /// What the system said.
        reason: String,
    },
    /// A command does not do it.
    #[error("`{command}` {reason}")]
    Command {
        /// The command.
        command: String,
        /// What it did instead.
        reason: String,
    },
    /// Vault does not give it.
    #[error("vault `{path}`: {reason}")]
    Vault {
        /// Where it should be.
        path: String,
        /// What was answered.
        reason: String,
    },
}

/// Told when a secret could be read by others: what, and what to do.
pub type Warn = Box<dyn Fn(&str, &str) + Send + Sync>;

type Slot = Arc<OnceCell<Result<Secret, SecretError>>>;

/// Fetches secrets, each of them once.
pub struct Secrets {
    directory: PathBuf,
    warn: Warn,
    found: Mutex<BTreeMap<SecretReference, Slot>>,
    vault: OnceCell<Result<vault::Vault, String>>,
}

impl Secrets {
    /// Starts with none. Paths are relative to `directory`, where commands run too.
    pub fn new(directory: &Path, warn: Warn) -> Self {
        Self {
            directory: directory.to_owned(),
            warn,
            found: Mutex::default(),
            vault: OnceCell::new(),
        }
    }

    /// Fetches a secret, or returns what came of fetching it before.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn fetch(&self, reference: &SecretReference) -> Result<Secret, SecretError> {
        let slot = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(reference.clone()).or_default())
        };
        let fetched = slot.get_or_init(|| self.fetch_anew(reference)).await;
        fetched.clone()
    }

    async fn fetch_anew(&self, reference: &SecretReference) -> Result<Secret, SecretError> {
        match reference {
            SecretReference::Env(name) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| SecretError::NoVariable(name.clone()))?;
                let octets = Zeroizing::new(value.into_encoded_bytes());
                text(octets, &format!("the variable `{name}`"))
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
                text(value, "this field")
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
            let what = format!("everybody on this machine can read the password in `{shown}`");
            (self.warn)(&what, &format!("chmod o-r '{shown}'"));
        }
        let octets = limited(file).await.map_err(refused)?;
        text(octets, &format!("`{shown}`"))
    }

    /// Runs a command without a shell and without input; what it says on the side is not shown,
    /// since it may be the secret.
    async fn command(&self, words: &[String]) -> Result<Secret, SecretError> {
        let shown = words.join(" ");
        let refused = |reason: String| SecretError::Command {
            command: shown.clone(),
            reason,
        };
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| refused("names no program".to_owned()))?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| refused(format!("cannot be run: {error}")))?;
        let printed = child.stdout.take();
        let finished = async {
            let octets = match printed {
                Some(printed) => limited(printed).await,
                None => Ok(Zeroizing::default()),
            };
            let octets = octets.map_err(|error| refused(error.to_string()))?;
            if octets.len() > LONGEST {
                return Err(SecretError::TooLarge(format!("what `{shown}` prints")));
            }
            let status = child
                .wait()
                .await
                .map_err(|error| refused(error.to_string()))?;
            match status.success() {
                true => Ok(octets),
                false => Err(refused(format!(
                    "fails ({status}): run it by hand to see why"
                ))),
            }
        };
        let octets = tokio::time::timeout(COMMAND_TIME, finished).await;
        let late = |_| refused(format!("is not done after {} s", COMMAND_TIME.as_secs()));
        text(octets.map_err(late)??, &format!("what `{shown}` prints"))
    }
}

/// Reads to the end, or to one octet more than is allowed.
async fn limited(from: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(4096));
    from.take(LONGEST as u64 + 1)
        .read_to_end(&mut octets)
        .await?;
    Ok(octets)
}

/// Makes a secret of what was read; one line end belongs to the file and not to the secret.
fn text(octets: Zeroizing<Vec<u8>>, what: &str) -> Result<Secret, SecretError> {
    if octets.len() > LONGEST {
        return Err(SecretError::TooLarge(what.to_owned()));
    }
    let text = std::str::from_utf8(&octets).map_err(|_| SecretError::NoText(what.to_owned()))?;
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
