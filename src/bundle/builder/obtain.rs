use std::fs::File;
use std::path::Path;

use super::archive::{StepReader, extract};
use super::context::Builder;
use super::error::BuildError;
use super::expected::ExpectedFile;
use super::location::SourceLocation;
use super::progress::BuildStep;
use super::url_path::path_of;
use crate::bundle::store::{BlobWriter, BundleStoreError, hash};
use crate::inventory::{FileSource, SpecSource, is_inside};
use crate::machine::Sha256Digest;

/// The files that come from one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestedFiles {
    /// The keys of the files that are the whole source.
    whole: Vec<String>,
    /// The keys of the files inside it, with their paths.
    members: Vec<(String, String)>,
}

impl RequestedFiles {
    pub fn whole(key: &str) -> Self {
        let mut requested = Self::default();
        requested.add(key, None);
        requested
    }

    pub fn add(&mut self, key: &str, member: Option<&str>) {
        match member {
            Some(member) => self.members.push((key.to_owned(), member.to_owned())),
            None => self.whole.push(key.to_owned()),
        }
    }
}

/// A file whose blob is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredFile {
    pub sha256: Sha256Digest,
    pub size: u64,
    /// Where others can fetch it.
    pub source: Option<FileSource>,
    /// The file name in the source.
    name: String,
}

impl StoredFile {
    /// Returns the title of a file without an explicit one: its name in the source.
    pub fn title(&self, key: &str) -> String {
        if is_inside(&self.name) {
            self.name.clone()
        } else {
            key.to_owned()
        }
    }
}

/// A verified source.
enum VerifiedSource {
    /// A blob of the store.
    Blob(Sha256Digest, u64),
    /// A file outside the store.
    File(File),
}

impl Builder<'_> {
    /// Copies the requested files of a source into the store.
    pub(super) fn obtain(
        &self,
        source: &SpecSource,
        requested: &RequestedFiles,
    ) -> Result<Vec<(String, StoredFile)>, BuildError> {
        let expected = self.expected(source)?;
        let location = SourceLocation::new(&expected.from, self.base);
        let shown = location.shown();
        let from = matches!(location, SourceLocation::Url(_)).then(|| shown.clone());
        let name = path_of(&expected.from)
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let keeps_whole = !requested.whole.is_empty();
        let members: Vec<&str> = requested
            .members
            .iter()
            .map(|(_, member)| member.as_str())
            .collect();
        let stored = |(sha256, size), member: Option<&str>| StoredFile {
            sha256,
            size,
            source: from.clone().map(|from| FileSource {
                from,
                member: member.map(str::to_owned),
            }),
            name: member.unwrap_or(&name).to_owned(),
        };
        let mut obtained = Vec::new();
        let mut extract_from = |verified: VerifiedSource| {
            if let VerifiedSource::Blob(sha256, size) = verified {
                let whole = requested.whole.iter();
                obtained.extend(whole.map(|key| (key.clone(), stored((sha256, size), None))));
            }
            if members.is_empty() {
                return Ok::<(), BuildError>(());
            }
            let image = match verified {
                VerifiedSource::Blob(digest, _) => open(&self.store.blob_path(&digest))?.0,
                VerifiedSource::File(file) => file,
            };
            let step = self.progress.begin(&format!("files of {shown}"));
            let extracted = extract(self.store, &shown, image, &members, &*step)?;
            for (key, member) in &requested.members {
                if let Some(blob) = extracted.get(member) {
                    obtained.push((key.clone(), stored(*blob, Some(member))));
                }
            }
            Ok(())
        };
        match &location {
            SourceLocation::Path(path) if keeps_whole => {
                extract_from(self.copy_into_store(source, &expected, path)?)?
            }
            SourceLocation::Path(path) => {
                extract_from(self.verify_image(source, &expected, path)?)?
            }
            SourceLocation::Url(url) => match self.find_in_store(source, &expected) {
                Some(blob) => extract_from(blob)?,
                None => {
                    let download = self.download(source, &expected, url)?;
                    if keeps_whole {
                        let (digest, size) = (download.digest, download.size);
                        download.store(self.store)?;
                        extract_from(VerifiedSource::Blob(digest, size))?;
                    } else {
                        let extracted = download
                            .open()
                            .and_then(|file| extract_from(VerifiedSource::File(file)));
                        if let Err(error) = extracted {
                            // The image is verified; the spec may name the wrong members.
                            download.keep_for_later();
                            return Err(error);
                        }
                    }
                }
            },
        }
        Ok(obtained)
    }

    /// Finds an intact copy in the store. A signed file is always downloaded, because its signature is
    /// checked against the file.
    fn find_in_store(
        &self,
        source: &SpecSource,
        expected: &ExpectedFile,
    ) -> Option<VerifiedSource> {
        let (digest, _) = expected
            .digest
            .as_ref()
            .filter(|_| source.signature.is_none())?;
        let size = self.store.blob_size(digest)?;
        let file = File::open(self.store.blob_path(digest)).ok()?;
        (hash(&file).ok()? == *digest).then_some(VerifiedSource::Blob(*digest, size))
    }

    fn download(
        &self,
        source: &SpecSource,
        expected: &ExpectedFile,
        url: &str,
    ) -> Result<super::download::Download, BuildError> {
        let shown = SourceLocation::Url(url.to_owned()).shown();
        let step = self.progress.begin(&shown);
        // A spec states the digest of a file, but not its size.
        let get = || (self.web).download(self.store, url, None, &*step, self.progress);
        let mut download = get()?;
        let mut verified = self.verify(source, expected, &download.path, download.digest);
        if download.resumed
            && matches!(
                verified,
                Err(BuildError::WrongDigest { .. } | BuildError::Signature { .. })
            )
        {
            self.progress.note(&format!(
                "{shown}: the part from an earlier run is damaged, downloading the file again"
            ));
            drop(download);
            download = get()?;
            verified = self.verify(source, expected, &download.path, download.digest);
        }
        verified?;
        Ok(download)
    }

    /// Copies a local file into the store, and verifies it.
    fn copy_into_store(
        &self,
        source: &SpecSource,
        expected: &ExpectedFile,
        path: &Path,
    ) -> Result<VerifiedSource, BuildError> {
        let (file, size) = open(path)?;
        let step = self.progress.begin(&path.display().to_string());
        step.set_length(size);
        self.store.reserve(size)?;
        let mut blob = self.store.begin_blob()?;
        blob.copy(&mut StepReader::new(file, &*step, 0))
            .map_err(|error| match error {
                BundleStoreError::Content(error) => unreadable(path, error),
                other => other.into(),
            })?;
        self.verify(source, expected, blob.path(), BlobWriter::digest(&blob))?;
        let (digest, size) = blob.finish()?;
        Ok(VerifiedSource::Blob(digest, size))
    }

    /// Verifies a local image of which only files inside are requested.
    fn verify_image(
        &self,
        source: &SpecSource,
        expected: &ExpectedFile,
        path: &Path,
    ) -> Result<VerifiedSource, BuildError> {
        let (file, size) = open(path)?;
        if expected.digest.is_some() {
            let step = self.progress.begin(&path.display().to_string());
            step.set_length(size);
            let found = hash(StepReader::new(&file, &*step as &dyn BuildStep, 0));
            let found = found.map_err(|error| unreadable(path, error))?;
            self.verify(source, expected, path, found)?;
        } else if source.signature.is_some() {
            self.verify(source, expected, path, Sha256Digest::of(b""))?;
        }
        Ok(VerifiedSource::File(file))
    }

    fn verify(
        &self,
        source: &SpecSource,
        expected: &ExpectedFile,
        file: &Path,
        found: Sha256Digest,
    ) -> Result<(), BuildError> {
        if let Some((digest, stated_by)) = expected
            .digest
            .as_ref()
            .filter(|(digest, _)| *digest != found)
        {
            return Err(BuildError::WrongDigest {
                what: SourceLocation::new(&expected.from, self.base).shown(),
                found,
                expected: *digest,
                stated_by: stated_by.clone(),
            });
        }
        match &source.signature {
            Some(signature) => self.check_signature(signature, &expected.from, file),
            None => Ok(()),
        }
    }
}

/// Opens a file, and returns its size in bytes.
fn open(path: &Path) -> Result<(File, u64), BuildError> {
    let failed = |error| unreadable(path, error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    Ok((file, size))
}

fn unreadable(path: &Path, source: std::io::Error) -> BuildError {
    BuildError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
