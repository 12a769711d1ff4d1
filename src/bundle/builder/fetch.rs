use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::archive::{StepReader, extract};
use super::error::BuildError;
use super::location::SourceLocation;
use super::progress::BuildProgress;
use super::url_path::below;
use super::web::WebClient;
use crate::bundle::parallel::run_parallel;
use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::{Bundle, BundleFile, FileSource};

/// Where to fetch the blobs of bundles from.
#[derive(Clone, Debug, Default)]
pub enum FetchFrom {
    /// The source of each file when its bundle was built.
    #[default]
    Sources,
    /// A URL or a directory: another store, or files under their titles.
    Base(String),
}

/// A blob that the store lacks.
struct MissingBlob<'b> {
    bundle: &'b str,
    key: &'b str,
    file: &'b BundleFile,
}

/// Fetches the blobs that bundles pin and the store lacks, and verifies each by its pinned digest; then adds
/// the names of the bundles to the store. Returns the number of fetched blobs.
///
/// # Errors
/// When a blob cannot be fetched or has another digest, or when a name has other content already.
pub fn fetch(
    store: &BundleStore,
    web: &WebClient,
    bundles: &[&Bundle],
    from: &FetchFrom,
    jobs: usize,
    progress: &dyn BuildProgress,
) -> Result<usize, BuildError> {
    let _lock = store.lock_shared()?;
    for bundle in bundles {
        store.check_name(bundle)?;
    }
    let mut missing = BTreeMap::new();
    for bundle in bundles {
        for (key, file) in &bundle.files {
            if !store.has_intact(file) {
                let bundle = bundle.name.as_str();
                missing.insert(file.sha256, MissingBlob { bundle, key, file });
            }
        }
    }
    let count = missing.len();
    let mut parts: BTreeMap<String, Vec<MissingBlob>> = BTreeMap::new();
    for blob in missing.into_values() {
        let part = match (from, &blob.file.source) {
            (FetchFrom::Base(_), _) => blob.file.sha256.to_string(),
            (FetchFrom::Sources, Some(source)) => source.from.clone(),
            (FetchFrom::Sources, None) => {
                return Err(BuildError::NoSource {
                    bundle: blob.bundle.to_owned(),
                    file: blob.key.to_owned(),
                });
            }
        };
        parts.entry(part).or_default().push(blob);
    }
    let parts = parts.into_iter().collect();
    run_parallel(jobs, parts, &web.stop, |(part, blobs)| match from {
        FetchFrom::Sources => from_source(store, web, &part, &blobs, progress),
        FetchFrom::Base(base) => blobs
            .iter()
            .try_for_each(|blob| from_base(store, web, base, blob, progress)),
    })?;
    for bundle in bundles {
        store.add_bundle(bundle)?;
    }
    Ok(count)
}

/// Fetches the file at a URL once, for itself or for the files inside it.
fn from_source(
    store: &BundleStore,
    web: &WebClient,
    url: &str,
    blobs: &[MissingBlob],
    progress: &dyn BuildProgress,
) -> Result<(), BuildError> {
    let members: Vec<(&MissingBlob, &str)> = blobs
        .iter()
        .filter_map(|blob| match &blob.file.source {
            Some(FileSource {
                member: Some(member),
                ..
            }) => Some((blob, member.as_str())),
            _ => None,
        })
        .collect();
    let step = progress.begin(url);
    let whole: Vec<&MissingBlob> = blobs
        .iter()
        .filter(|blob| {
            blob.file
                .source
                .as_ref()
                .is_some_and(|it| it.member.is_none())
        })
        .collect();
    // The size of an image is unknown if only files inside it are pinned.
    let limit = whole.iter().map(|blob| blob.file.size).max();
    let get = || web.download(store, url, limit, &*step, progress);
    let mut download = get()?;
    if download.resumed && whole.iter().any(|blob| blob.file.sha256 != download.digest) {
        drop(download);
        download = get()?;
    }
    for blob in &whole {
        if blob.file.sha256 != download.digest {
            return Err(wrong_digest(blob, url, download.digest));
        }
    }
    if !members.is_empty() {
        let names: Vec<&str> = members.iter().map(|(_, member)| *member).collect();
        let extracted = extract(store, url, download.open()?, &names, &*step)?;
        for (blob, member) in members {
            let found = extracted.get(member).map(|(digest, _)| *digest);
            if let Some(found) = found.filter(|found| *found != blob.file.sha256) {
                return Err(wrong_digest(blob, &format!("{member} of {url}"), found));
            }
        }
    }
    if !whole.is_empty() {
        download.store(store)?;
    }
    Ok(())
}

/// Fetches a blob below a base URL or directory: a blob of a store, or else a file with the title.
fn from_base(
    store: &BundleStore,
    web: &WebClient,
    base: &str,
    blob: &MissingBlob,
    progress: &dyn BuildProgress,
) -> Result<(), BuildError> {
    let in_store = below(base, &format!("blobs/sha256/{}", blob.file.sha256));
    let titled = below(base, &blob.file.path);
    let step = progress.begin(&blob.file.path);
    let limit = Some(blob.file.size);
    let mut not_found = None;
    for location in [in_store, titled] {
        match SourceLocation::new(&location, Path::new("")) {
            SourceLocation::Path(path) => {
                let Ok(file) = File::open(&path) else {
                    continue;
                };
                step.set_length(blob.file.size);
                store.reserve(blob.file.size)?;
                let (digest, size) = (&blob.file.sha256, Some(blob.file.size));
                let mut content = StepReader::new(file, &*step, 0);
                let what = format!("`{}`", path.display());
                store.add_blob_as(digest, size, &mut content, &what)?;
                return Ok(());
            }
            SourceLocation::Url(url) => match web.download(store, &url, limit, &*step, progress) {
                Ok(download) if download.digest == blob.file.sha256 => {
                    return download.store(store);
                }
                Ok(download) => return Err(wrong_digest(blob, &location, download.digest)),
                Err(
                    error @ BuildError::Refused {
                        status: 404 | 410, ..
                    },
                ) => not_found = Some(error),
                Err(error) => return Err(error),
            },
        }
    }
    Err(not_found.unwrap_or_else(|| {
        BuildError::Store(BundleStoreError::MissingBlob {
            file: blob.file.path.clone(),
            path: Path::new(base).to_owned(),
        })
    }))
}

fn wrong_digest(blob: &MissingBlob, what: &str, found: crate::machine::Sha256Digest) -> BuildError {
    BuildError::WrongDigest {
        what: super::web::without_credentials(what),
        found,
        expected: blob.file.sha256,
        stated_by: format!("bundle `{}`", blob.bundle),
    }
}
