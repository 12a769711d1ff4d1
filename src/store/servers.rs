use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::database::{create_directory, lock_directory, lock_existing_directory};
use super::error::{StoreError, StoreFault};

/// A server process that uses a state directory right now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningServer {
    /// What it serves, such as `dhcp`.
    pub role: String,
    /// Its process id.
    pub pid: u32,
}

/// The sign by which others see a running server; it ends with the process, however that ends.
#[derive(Debug)]
pub struct Registration {
    path: PathBuf,
    _lock: File,
}

impl RunningServer {
    /// Makes a server visible to [`RunningServer::list`] until the registration is dropped.
    ///
    /// The sign is a locked file `run/<role>-<pid>`: the lock tells it from one that a killed
    /// server left behind.
    ///
    /// # Errors
    /// Fails where the directory cannot be written, and when the server is registered already.
    pub fn register(directory: &Path, role: &str, pid: u32) -> Result<Registration, StoreError> {
        let signs = directory.join("run");
        let path = signs.join(format!("{role}-{pid}"));
        let sign = || {
            create_directory(&signs)?;
            let _lock = lock_directory(directory)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            file.try_lock()?;
            Ok(file)
        };
        match sign() {
            Ok(lock) => Ok(Registration { path, _lock: lock }),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Lists the servers that use a state directory, ordered by role; removes the signs of servers
    /// that were killed.
    ///
    /// # Errors
    /// Fails where the directory cannot be read. One that does not exist has no servers.
    pub fn list(directory: &Path) -> Result<Vec<Self>, StoreError> {
        let signs = directory.join("run");
        let mut servers = live(directory, &signs).map_err(|error| failed(&signs, error))?;
        servers.sort();
        Ok(servers)
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let (role, pid) = name.rsplit_once('-')?;
        Some(Self {
            role: role.to_owned(),
            pid: pid.parse().ok()?,
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // What cannot be removed is seen as stale: the lock goes in any case.
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads the signs under the lock of the directory, so that none is between its making and its
/// lock.
fn live(directory: &Path, signs: &Path) -> Result<Vec<RunningServer>, io::Error> {
    let Some(_lock) = lock_existing_directory(directory)? else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(signs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut servers = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(server) = name.and_then(RunningServer::from_file_name) else {
            continue;
        };
        let file = match File::open(&path) {
            // Its server has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => servers.push(server),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {
                // Tidiness only: a reader may be unable to, and nobody counts a stale sign.
                let _ = fs::remove_file(&path);
            }
        }
    }
    Ok(servers)
}

fn failed(path: &Path, error: io::Error) -> StoreError {
    StoreError::new(path, StoreFault::from(error))
}
