use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::inventory::{ARTIFACT_TYPE, Bundle, BundleFile, EMPTY_CONFIG, MANIFEST_MEDIA_TYPE};
use crate::machine::Sha256Digest;

const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout that holds the blobs of bundles.
#[derive(Clone, Debug)]
pub struct BundleStore {
    root: PathBuf,
}

/// Why a bundle store, or a blob in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleStoreError {
    /// There is nothing at the path.
    #[error("there is no bundle store at `{}`", .0.display())]
    Absent(PathBuf),
    /// There is something else at the path.
    #[error("`{}` is not an OCI image layout: {reason}", .path.display())]
    NotALayout {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A blob is not there.
    #[error("the blob of `{file}` is missing: `{}`", .path.display())]
    MissingBlob {
        /// The file's path in its bundle.
        file: String,
        /// Where the blob should be.
        path: PathBuf,
    },
    /// A blob has another size than the bundle says.
    #[error("the blob of `{file}` has {found} octets, the bundle says {expected}: `{}`", .path.display())]
    WrongSize {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// Its size in octets.
        found: u64,
        /// The size that the bundle says.
        expected: u64,
    },
    /// A blob does not hash to its name.
    #[error("the blob of `{file}` hashes to {found}, not to its name: `{}`", .path.display())]
    WrongDigest {
        /// The file's path in its bundle.
        file: String,
        /// The blob.
        path: PathBuf,
        /// What it hashes to.
        found: Sha256Digest,
    },
    /// The disk refused.
    #[error("`{}`: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BundleStoreError {
    /// Says what an operator can do about it, where that is more than the message says.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Absent(_) | Self::NotALayout { .. } => Some(
                "name the store with `--bundles DIR` or `bundles:` of the site; README.md shows how one is made".into(),
            ),
            Self::MissingBlob { .. } | Self::WrongSize { .. } | Self::WrongDigest { .. } => Some(
                "copy the blob from where the bundle was built, or correct the Bundle document".into(),
            ),
            Self::Io { .. } => None,
        }
    }
}

impl BundleStore {
    /// Opens the layout at `root`.
    ///
    /// # Errors
    /// [`BundleStoreError::Absent`] when nothing is there, [`BundleStoreError::NotALayout`] when
    /// something else is.
    pub fn open(root: &Path) -> Result<Self, BundleStoreError> {
        if !root.exists() {
            return Err(BundleStoreError::Absent(root.to_owned()));
        }
        let refused = |reason: String| BundleStoreError::NotALayout {
            path: root.to_owned(),
            reason,
        };
        let text = fs::read_to_string(root.join(LAYOUT_FILE))
            .map_err(|error| refused(format!("`{LAYOUT_FILE}`: {error}")))?;
        let layout: Value =
            serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        match layout["imageLayoutVersion"].as_str() {
            Some("1.0.0") if !root.join(INDEX_FILE).is_file() => {
                Err(refused(format!("it has no `{INDEX_FILE}`")))
            }
            Some("1.0.0") => Ok(Self {
                root: root.to_owned(),
            }),
            other => Err(refused(format!("its version is {other:?}, not 1.0.0"))),
        }
    }

    /// Opens the layout at `root`, and makes an empty one where nothing is.
    ///
    /// # Errors
    /// As [`BundleStore::open`], and when the disk refuses.
    pub fn open_or_create(root: &Path) -> Result<Self, BundleStoreError> {
        let store = Self {
            root: root.to_owned(),
        };
        let blobs = store.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        if !root.join(INDEX_FILE).exists() {
            let empty = json!({"schemaVersion": 2, "manifests": []});
            store.publish(INDEX_FILE, &empty.to_string().into_bytes())?;
        }
        // The last: a layout that has it has the rest.
        if !root.join(LAYOUT_FILE).exists() {
            store.publish(LAYOUT_FILE, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Self::open(root)
    }

    /// Returns where the layout lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the blob of a digest lies, or would lie.
    pub fn blob_path(&self, digest: &Sha256Digest) -> PathBuf {
        self.blobs().join(digest.to_string())
    }

    /// Opens the blob of a bundle's file, and checks its size. Its digest is checked by
    /// [`super::Verifier`].
    ///
    /// # Errors
    /// When the blob is missing, of another size, or cannot be read.
    pub fn open_blob(&self, file: &BundleFile) -> Result<File, BundleStoreError> {
        let path = self.blob_path(&file.sha256);
        let opened = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BundleStoreError::MissingBlob {
                file: file.path.clone(),
                path: path.clone(),
            },
            _ => io_error(&path, source),
        })?;
        let metadata = opened
            .metadata()
            .map_err(|source| io_error(&path, source))?;
        if !metadata.is_file() || metadata.len() != file.size {
            let (found, expected) = (metadata.len(), file.size);
            return Err(BundleStoreError::WrongSize {
                file: file.path.clone(),
                path,
                found,
                expected,
            });
        }
        Ok(opened)
    }

    /// Adds a blob, and returns its digest and size in octets. A blob that is there stays as it is.
    ///
    /// # Errors
    /// When the content cannot be read or the disk refuses; nothing is left behind then.
    pub fn add_blob(
        &self,
        content: &mut dyn Read,
    ) -> Result<(Sha256Digest, u64), BundleStoreError> {
        let blobs = self.blobs();
        fs::create_dir_all(&blobs).map_err(|source| io_error(&blobs, source))?;
        let mut temporary = Temporary::create(&blobs)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = content
                .read(&mut buffer)
                .map_err(|source| io_error(&temporary.path, source))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            temporary.write(&buffer[..read])?;
            size += read as u64;
        }
        let digest = Sha256Digest::new(hasher.finalize().into());
        temporary.rename(&self.blob_path(&digest))?;
        Ok((digest, size))
    }

    /// Adds a bundle whose blobs are all there: its manifest, and its name in the index.
    ///
    /// # Errors
    /// When a blob is missing or of another size, or when the disk refuses.
    pub fn add_bundle(&self, bundle: &Bundle) -> Result<Sha256Digest, BundleStoreError> {
        for file in bundle.files.values() {
            self.open_blob(file)?;
        }
        self.add_blob(&mut &EMPTY_CONFIG[..])?;
        let manifest = bundle.manifest();
        let (digest, size) = self.add_blob(&mut manifest.as_slice())?;
        // Two that add at once would lose one of the two names.
        let layout = self.root.join(LAYOUT_FILE);
        let lock = File::open(&layout).map_err(|source| io_error(&layout, source))?;
        lock.lock().map_err(|source| io_error(&layout, source))?;
        let path = self.root.join(INDEX_FILE);
        let text = fs::read_to_string(&path).map_err(|source| io_error(&path, source))?;
        let refused = |reason: String| BundleStoreError::NotALayout {
            path: path.clone(),
            reason,
        };
        let mut index: Value =
            serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        let manifests = index["manifests"]
            .as_array_mut()
            .ok_or_else(|| refused("it lists no manifests".into()))?;
        manifests.retain(|entry| entry["annotations"][NAME_ANNOTATION] != bundle.name.as_str());
        manifests.push(json!({
            "mediaType": MANIFEST_MEDIA_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "digest": format!("sha256:{digest}"),
            "size": size,
            "annotations": { NAME_ANNOTATION: bundle.name },
        }));
        self.publish(INDEX_FILE, &index.to_string().into_bytes())?;
        Ok(digest)
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    /// Replaces a file of the layout at once: readers see the old one or the new one.
    fn publish(&self, name: &str, content: &[u8]) -> Result<(), BundleStoreError> {
        let mut temporary = Temporary::create(&self.root)?;
        temporary.write(content)?;
        temporary.rename(&self.root.join(name))
    }
}

/// A file that is being written; it is removed unless it is renamed.
struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    fn create(directory: &Path) -> Result<Self, BundleStoreError> {
        for attempt in 0u32.. {
            let path = directory.join(format!(".{}-{attempt}.partial", std::process::id()));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        renamed: false,
                    });
                }
                Err(source)
                    if source.kind() == io::ErrorKind::AlreadyExists && attempt < 10_000 => {}
                Err(source) => return Err(io_error(&path, source)),
            }
        }
        Err(io_error(directory, io::ErrorKind::AlreadyExists.into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BundleStoreError> {
        self.file
            .write_all(bytes)
            .map_err(|source| io_error(&self.path, source))
    }

    fn rename(mut self, to: &Path) -> Result<(), BundleStoreError> {
        self.file
            .sync_all()
            .map_err(|source| io_error(&self.path, source))?;
        fs::rename(&self.path, to).map_err(|source| io_error(to, source))?;
        self.renamed = true;
        // The name is durable only once its directory is.
        let directory = to.parent().unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| io_error(directory, source))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> BundleStoreError {
    BundleStoreError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn bundle(store: &BundleStore, content: &[u8]) -> Bundle {
        let (sha256, size) = store.add_blob(&mut &content[..]).unwrap();
        let file = BundleFile {
            path: "linux".into(),
            sha256,
            size,
        };
        Bundle {
            name: "b".into(),
            arch: "x86_64".into(),
            expires: None,
            files: BTreeMap::from([("kernel".to_owned(), file)]),
        }
    }

    #[test]
    fn a_bundle_is_added_and_its_blobs_are_read_by_digest() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(&directory.path().join("store")).unwrap();
        let bundle = bundle(&store, b"kernel");
        let digest = store.add_bundle(&bundle).unwrap();
        assert_eq!(digest, bundle.manifest_digest());
        store.add_bundle(&bundle).unwrap();
        let index: Value =
            serde_json::from_str(&fs::read_to_string(store.root().join(INDEX_FILE)).unwrap())
                .unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        let mut text = String::new();
        store
            .open_blob(&bundle.files["kernel"])
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "kernel");
        let left: Vec<_> = fs::read_dir(store.blobs())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 3, "blob, config and manifest: {left:?}");
    }

    #[test]
    fn blobs_that_are_missing_or_short_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = BundleStore::open_or_create(directory.path()).unwrap();
        let bundle = bundle(&store, b"kernel");
        let file = &bundle.files["kernel"];
        fs::write(store.blob_path(&file.sha256), "kern").unwrap();
        assert!(matches!(
            store.open_blob(file),
            Err(BundleStoreError::WrongSize { found: 4, .. })
        ));
        fs::remove_file(store.blob_path(&file.sha256)).unwrap();
        assert!(matches!(
            store.open_blob(file),
            Err(BundleStoreError::MissingBlob { .. })
        ));
        assert!(store.add_bundle(&bundle).is_err());
    }

    #[test]
    fn anything_else_is_no_layout() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            BundleStore::open(directory.path()),
            Err(BundleStoreError::NotALayout { .. })
        ));
        let absent = directory.path().join("absent");
        assert!(matches!(
            BundleStore::open(&absent),
            Err(BundleStoreError::Absent(_))
        ));
    }
}
