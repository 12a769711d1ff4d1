use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::archive::{Counted, extract};
use super::error::BuildError;
use super::location::{Place, below};
use super::progress::Progress;
use super::web::Web;
use crate::bundle::parallel::at_once;
use crate::bundle::store::{BundleStore, BundleStoreError};
use crate::inventory::{Bundle, BundleFile, FileSource};

/// Where the blobs of bundles are looked for.
#[derive(Clone, Debug, Default)]
pub enum FetchFrom {
    /// Where each was had when its bundle was built.
    #[default]
    Sources,
    /// Below a URL or a directory: another store, or files under their titles.
    Base(String),
}

/// One blob that is not here.
struct Missing<'b> {
    bundle: &'b str,
    key: &'b str,
    file: &'b BundleFile,
}

/// Brings the blobs that bundles pin and the store lacks, each verified by the digest that the
/// bundle says; then gives the bundles their names in the store. Returns how many blobs came.
///
/// # Errors
/// When a blob cannot be had or is not what the bundle pins, or when a name stands for other content
/// already.
pub fn fetch(
    store: &BundleStore,
    web: &Web,
    bundles: &[&Bundle],
    from: &FetchFrom,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<usize, BuildError> {
    let _writing = store.write()?;
    for bundle in bundles {
        store.check_name(bundle)?;
    }
    let mut missing = BTreeMap::new();
    for bundle in bundles {
        for (key, file) in &bundle.files {
            if !store.has_good(file) {
                let bundle = bundle.name.as_str();
                missing.insert(file.sha256, Missing { bundle, key, file });
            }
        }
    }
    let count = missing.len();
    let mut parts: BTreeMap<String, Vec<Missing>> = BTreeMap::new();
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
    at_once(jobs, parts, &web.stop, |(part, blobs)| match from {
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

/// Fetches what lies at one URL once, whole or for the files inside it.
fn from_source(
    store: &BundleStore,
    web: &Web,
    url: &str,
    blobs: &[Missing],
    progress: &dyn Progress,
) -> Result<(), BuildError> {
    let members: Vec<(&Missing, &str)> = blobs
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
    let whole: Vec<&Missing> = blobs
        .iter()
        .filter(|blob| {
            blob.file
                .source
                .as_ref()
                .is_some_and(|it| it.member.is_none())
        })
        .collect();
    // Of an image that files lie in, it is not known how large it is.
    let most = whole.iter().map(|blob| blob.file.size).max();
    let get = || web.download(store, url, most, &*step, progress);
    let mut download = get()?;
    if download.resumed && whole.iter().any(|blob| blob.file.sha256 != download.digest) {
        drop(download);
        download = get()?;
    }
    for blob in &whole {
        if blob.file.sha256 != download.digest {
            return Err(wrong(blob, url, download.digest));
        }
    }
    if !members.is_empty() {
        let names: Vec<&str> = members.iter().map(|(_, member)| *member).collect();
        let extracted = extract(store, url, download.open()?, &names, &*step)?;
        for (blob, member) in members {
            let found = extracted.get(member).map(|(digest, _)| *digest);
            if let Some(found) = found.filter(|found| *found != blob.file.sha256) {
                return Err(wrong(blob, &format!("{member} of {url}"), found));
            }
        }
    }
    if !whole.is_empty() {
        download.keep(store)?;
    }
    Ok(())
}

/// Looks below a base: for the blob of a store, then for the file's title.
fn from_base(
    store: &BundleStore,
    web: &Web,
    base: &str,
    blob: &Missing,
    progress: &dyn Progress,
) -> Result<(), BuildError> {
    let in_store = below(base, &format!("blobs/sha256/{}", blob.file.sha256));
    let titled = below(base, &blob.file.path);
    let step = progress.begin(&blob.file.path);
    let (mut absent, most) = (None, Some(blob.file.size));
    for place in [in_store, titled] {
        match Place::new(&place, Path::new("")) {
            Place::Path(path) => {
                let Ok(file) = File::open(&path) else {
                    continue;
                };
                step.total(blob.file.size);
                store.reserve(blob.file.size)?;
                let (digest, size) = (&blob.file.sha256, Some(blob.file.size));
                let mut content = Counted::new(file, &*step, 0);
                let what = format!("`{}`", path.display());
                store.add_blob_as(digest, size, &mut content, &what)?;
                return Ok(());
            }
            Place::Url(url) => match web.download(store, &url, most, &*step, progress) {
                Ok(download) if download.digest == blob.file.sha256 => return download.keep(store),
                Ok(download) => return Err(wrong(blob, &place, download.digest)),
                Err(
                    error @ BuildError::Refused {
                        status: 404 | 410, ..
                    },
                ) => absent = Some(error),
                Err(error) => return Err(error),
            },
        }
    }
    Err(absent.unwrap_or_else(|| {
        BuildError::Store(BundleStoreError::MissingBlob {
            file: blob.file.path.clone(),
            path: Path::new(base).to_owned(),
        })
    }))
}

fn wrong(blob: &Missing, what: &str, found: crate::machine::Sha256Digest) -> BuildError {
    BuildError::WrongDigest {
        what: super::web::without_credentials(what),
        found,
        expected: blob.file.sha256,
        said_by: format!("bundle `{}`", blob.bundle),
    }
}
