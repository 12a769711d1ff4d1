use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::database::{create_directory, lock_directory, lock_existing_directory};
use super::error::{StoreError, StoreFault};
use super::identity::{FileIdentity, StoreId};
use super::small_file::{open_regular, read_bounded};

/// The directory in which servers of the system are registered.
const SYSTEM_RUNTIME: &str = "/run/pxectl";

/// A server process that uses a store right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningServer {
    /// The service, such as `dhcp`.
    pub role: String,
    /// Its process ID.
    pub pid: u32,
    /// The state directory, without links.
    pub directory: PathBuf,
    /// The store that it opened there.
    pub store: Option<StoreId>,
    /// The file of that store.
    pub file: FileIdentity,
}

/// The registration of a running server, which other processes see. It ends with the process, even if
/// the process is killed.
#[derive(Debug)]
pub struct Registration {
    markers: Vec<Marker>,
}

/// A locked file. The lock distinguishes it from a file that a killed server left behind.
#[derive(Debug)]
struct Marker {
    path: PathBuf,
    _lock: File,
}

impl RunningServer {
    /// Makes a server visible to [`RunningServer::list`] until the registration is dropped.
    ///
    /// It is registered in the state directory, where every process that shares the directory finds it, and in
    /// the runtime directory of the system, where it is found after the state directory was deleted.
    ///
    /// # Errors
    /// Fails where the state directory cannot be written, and when the server is registered already.
    /// A runtime directory that cannot be written is left out.
    pub fn register(
        (store, file): (Option<StoreId>, FileIdentity),
        directory: &Path,
        role: &str,
        pid: u32,
    ) -> Result<Registration, StoreError> {
        let within = directory.join("run");
        let marker = || -> Result<Registration, StoreFault> {
            let server = Self {
                role: role.to_owned(),
                pid,
                directory: directory.canonicalize()?,
                store: store.clone(),
                file,
            };
            create_directory(&within)?;
            let _lock = lock_directory(directory)?;
            let name = format!("{role}-{pid}");
            let mut markers = vec![Marker::make(within.join(&name), &server)?];
            if let Some(runtime) = writable_runtime_directory() {
                let path = runtime.join(format!("{}-{name}", directory_digest(&server.directory)));
                markers.extend(Marker::make(path, &server));
            }
            Ok(Registration { markers })
        };
        marker().map_err(|fault| StoreError::new(&within, fault))
    }

    /// Lists the servers that use the store of a state directory, ordered by role; removes the markers
    /// of servers that were killed.
    ///
    /// # Errors
    /// Fails where the directory cannot be read. One that does not exist has no servers.
    pub fn list(directory: &Path) -> Result<Vec<Self>, StoreError> {
        let markers = directory.join("run");
        let listed = || {
            let mut servers = match lock_existing_directory(directory)? {
                Some(_lock) => live(&markers, "", |_| true)?,
                None => Vec::new(),
            };
            servers.extend(elsewhere(directory)?);
            Ok(servers)
        };
        let listed: io::Result<Vec<Self>> = listed();
        let mut servers =
            listed.map_err(|error| StoreError::new(&markers, StoreFault::from(error)))?;
        servers.sort_by(|a, b| (&a.role, a.pid).cmp(&(&b.role, b.pid)));
        servers.dedup();
        Ok(servers)
    }

    /// Finds a server that still uses a store of a state directory from which the store was removed.
    pub(super) fn deserted_at(directory: &Path) -> Result<Option<Self>, io::Error> {
        let mut servers = elsewhere(directory)?;
        if directory.join("run").is_dir() {
            servers.extend(live(&directory.join("run"), "", |_| true)?);
        }
        Ok(servers.into_iter().next())
    }

    /// Reports whether the server uses the store in `file`, and not another one that is or was at the
    /// same path.
    pub fn uses(&self, file: FileIdentity) -> bool {
        self.file == file
    }
}

impl Marker {
    /// Creates a marker that is locked before it gets its name.
    fn make(path: PathBuf, server: &RunningServer) -> Result<Self, io::Error> {
        match File::open(&path) {
            // A server that was killed left it behind.
            Ok(stale) => stale.try_lock()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let partial = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&partial)?;
        file.try_lock()?;
        file.write_all(&serde_json::to_vec(server)?)?;
        fs::rename(&partial, &path)?;
        Ok(Self { path, _lock: file })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for marker in &self.markers {
            // A marker that cannot be removed is stale, since its lock ends anyway.
            let _ = fs::remove_file(&marker.path);
        }
    }
}

/// Finds the servers that registered a state directory in a runtime directory.
fn elsewhere(directory: &Path) -> Result<Vec<RunningServer>, io::Error> {
    let Some(directory) = real_path(directory) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}-", directory_digest(&directory));
    let mut trusted = vec![0, rustix::process::geteuid().as_raw()];
    trusted.extend(fs::metadata(&directory).ok().map(|it| it.uid()));
    let mut servers = Vec::new();
    for runtime in runtime_directories() {
        // Users may write to their own directories, but must not affect the servers of other users.
        let is_of_system = runtime == Path::new(SYSTEM_RUNTIME);
        let is_trusted = |owner| is_of_system || trusted.contains(&owner);
        let found = live(&runtime, &prefix, is_trusted)?;
        servers.extend(found.into_iter().filter(|it| it.directory == directory));
    }
    Ok(servers)
}

/// Resolves a path of which the last part may be missing.
fn real_path(directory: &Path) -> Option<PathBuf> {
    if let Ok(path) = directory.canonicalize() {
        return Some(path);
    }
    let absolute = std::path::absolute(directory).ok()?;
    let (parent, name) = (absolute.parent()?, absolute.file_name()?);
    Some(real_path(parent)?.join(name))
}

/// Names a state directory in a file name.
fn directory_digest(directory: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let digest = Sha256::digest(directory.as_os_str().as_bytes());
    HEXLOWER.encode(&digest[..8])
}

/// Lists the directories in which servers may be registered outside their state directories: those of
/// the system and of this user, and for root those of every user.
fn runtime_directories() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(SYSTEM_RUNTIME)];
    if rustix::process::geteuid().is_root() {
        let users = fs::read_dir("/run/user").into_iter().flatten().flatten();
        found.extend(users.map(|user| user.path().join("pxectl")));
    }
    found.extend(own_runtime_directories());
    found.sort();
    found.dedup();
    found
}

/// The runtime directories that this user may make, the best first. Source: XDG Base Directory
/// Specification 0.8; file-hierarchy(7).
fn own_runtime_directories() -> Vec<PathBuf> {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return vec![PathBuf::from(SYSTEM_RUNTIME)];
    }
    let xdg = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let xdg = xdg.filter(|path| path.is_absolute());
    let of_login = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    let mut found: Vec<PathBuf> = xdg.into_iter().chain([of_login]).collect();
    found.iter_mut().for_each(|path| path.push("pxectl"));
    found.push(PathBuf::from(SYSTEM_RUNTIME));
    // A service without a login session has no other directory that every process of its user knows.
    found.push(PathBuf::from(format!("/tmp/pxectl-{}", user.as_raw())));
    found
}

/// Creates a runtime directory of this user, if possible.
fn writable_runtime_directory() -> Option<PathBuf> {
    let user = rustix::process::geteuid();
    own_runtime_directories().into_iter().find(|path| {
        let _ = DirBuilder::new().mode(0o755).create(path);
        // Do not use a link, or a directory of another user.
        fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == user.as_raw())
    })
}

/// Reads the markers of trusted owners whose names begin with a prefix; those of servers that have ended
/// are removed.
fn live(
    markers: &Path,
    prefix: &str,
    is_trusted: impl Fn(u32) -> bool,
) -> Result<Vec<RunningServer>, io::Error> {
    let entries = match fs::read_dir(markers) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut servers = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.strip_prefix(prefix)?.rsplit('-').next());
        if pid.is_none_or(|pid| pid.parse::<u32>().is_err()) {
            continue;
        }
        // The server has just ended, the file belongs to another user, or it is not a marker.
        let Ok(file) = open_regular(&path) else {
            continue;
        };
        if !file.metadata().is_ok_and(|it| is_trusted(it.uid())) {
            continue;
        }
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let text = read_bounded(&file)?;
                servers.extend(serde_json::from_slice::<RunningServer>(&text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {
                // Cleanup only: a reader may lack permission, and stale markers are not counted.
                let _ = fs::remove_file(&path);
            }
        }
    }
    Ok(servers)
}
