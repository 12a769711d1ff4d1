use std::fs::File;
use std::path::Path;

use super::archive::{Counted, extract};
use super::context::Builder;
use super::error::BuildError;
use super::expected::Expected;
use super::location::{Place, path_of};
use super::progress::Step;
use crate::bundle::store::{BlobWriter, BundleStoreError, hash};
use crate::inventory::{FileSource, Source, is_inside};
use crate::machine::Sha256Digest;

/// What is wanted of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The keys of the files that are all of it.
    whole: Vec<String>,
    /// The keys of the files that lie inside it, and where.
    members: Vec<(String, String)>,
}

impl Wanted {
    pub fn whole(key: &str) -> Self {
        let mut wanted = Self::default();
        wanted.add(key, None);
        wanted
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
pub(super) struct Obtained {
    pub sha256: Sha256Digest,
    pub size: u64,
    /// Where others can have it too.
    pub source: Option<FileSource>,
    /// The last part of where it came from.
    name: String,
}

impl Obtained {
    /// Returns the title of a file that is not given one: its name where it came from.
    pub fn title(&self, key: &str) -> String {
        if is_inside(&self.name) {
            self.name.clone()
        } else {
            key.to_owned()
        }
    }
}

/// Something that has been brought here and verified.
enum Here {
    /// It is in the store already.
    Blob(Sha256Digest, u64),
    /// It lies elsewhere on this machine.
    Elsewhere(File),
}

impl Builder<'_> {
    /// Brings what is wanted of a source into the store.
    pub(super) fn obtain(
        &self,
        source: &Source,
        wanted: &Wanted,
    ) -> Result<Vec<(String, Obtained)>, BuildError> {
        let expected = self.expected(source)?;
        let place = Place::new(&expected.from, self.base);
        let shown = place.shown();
        let from = matches!(place, Place::Url(_)).then(|| shown.clone());
        let name = path_of(&expected.from)
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let keep = !wanted.whole.is_empty();
        let members: Vec<&str> = wanted
            .members
            .iter()
            .map(|(_, member)| member.as_str())
            .collect();
        let mut obtained = Vec::new();
        let mut found = |here: Here| {
            if let Here::Blob(sha256, size) = here {
                let whole = wanted.whole.iter().map(|key| {
                    let source = from.clone().map(|from| FileSource { from, member: None });
                    let name = name.clone();
                    (
                        key.clone(),
                        Obtained {
                            sha256,
                            size,
                            source,
                            name,
                        },
                    )
                });
                obtained.extend(whole);
            }
            if members.is_empty() {
                return Ok::<(), BuildError>(());
            }
            let image = match here {
                Here::Blob(digest, _) => open(&self.store.blob_path(&digest))?,
                Here::Elsewhere(file) => file,
            };
            let step = self.progress.begin(&format!("files of {shown}"));
            let extracted = extract(self.store, &shown, image, &members, &*step)?;
            for (key, member) in &wanted.members {
                let Some(&(sha256, size)) = extracted.get(member) else {
                    continue;
                };
                let source = from.clone().map(|from| FileSource {
                    from,
                    member: Some(member.clone()),
                });
                let name = member.clone();
                obtained.push((
                    key.clone(),
                    Obtained {
                        sha256,
                        size,
                        source,
                        name,
                    },
                ));
            }
            Ok(())
        };
        match &place {
            Place::Path(path) if keep => found(self.put(source, &expected, path)?)?,
            Place::Path(path) => found(self.look_at(source, &expected, path)?)?,
            Place::Url(url) => match self.present(source, &expected) {
                Some(here) => found(here)?,
                None => {
                    let download = self.downloaded(source, &expected, url)?;
                    if keep {
                        let (digest, size) = (download.digest, download.size);
                        download.keep(self.store)?;
                        found(Here::Blob(digest, size))?;
                    } else {
                        let extracted = download.open().and_then(|it| found(Here::Elsewhere(it)));
                        if let Err(error) = extracted {
                            // It is good; what is wanted of it may be written otherwise.
                            download.leave();
                            return Err(error);
                        }
                    }
                }
            },
        }
        Ok(obtained)
    }

    /// Finds what is in the store already. A signature must be checked against the file itself, so
    /// that what is signed is always fetched.
    fn present(&self, source: &Source, expected: &Expected) -> Option<Here> {
        let (digest, _) = expected
            .digest
            .as_ref()
            .filter(|_| source.signature.is_none())?;
        let size = self.store.blob_size(digest)?;
        let file = File::open(self.store.blob_path(digest)).ok()?;
        (hash(&file).ok()? == *digest).then_some(Here::Blob(*digest, size))
    }

    fn downloaded(
        &self,
        source: &Source,
        expected: &Expected,
        url: &str,
    ) -> Result<super::download::Download, BuildError> {
        let shown = Place::Url(url.to_owned()).shown();
        let step = self.progress.begin(&shown);
        // A spec says what a file hashes to, and not how large it is.
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
                "{shown}: what an earlier run has begun was damaged; it is fetched anew"
            ));
            drop(download);
            download = get()?;
            verified = self.verify(source, expected, &download.path, download.digest);
        }
        verified?;
        Ok(download)
    }

    /// Copies a file of this machine into the store.
    fn put(&self, source: &Source, expected: &Expected, path: &Path) -> Result<Here, BuildError> {
        let unreadable = |error| BuildError::Unreadable {
            path: path.to_owned(),
            source: error,
        };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let step = self.progress.begin(&path.display().to_string());
        step.total(size);
        self.store.reserve(size)?;
        let mut blob = self.store.begin_blob()?;
        blob.copy(&mut Counted::new(file, &*step, 0))
            .map_err(|error| match error {
                BundleStoreError::Content(error) => unreadable(error),
                other => other.into(),
            })?;
        self.verify(source, expected, blob.path(), BlobWriter::digest(&blob))?;
        let (digest, size) = blob.finish()?;
        Ok(Here::Blob(digest, size))
    }

    /// Verifies an image of this machine that is not wanted itself.
    fn look_at(
        &self,
        source: &Source,
        expected: &Expected,
        path: &Path,
    ) -> Result<Here, BuildError> {
        let unreadable = |error| BuildError::Unreadable {
            path: path.to_owned(),
            source: error,
        };
        let file = File::open(path).map_err(unreadable)?;
        if expected.digest.is_some() {
            let size = file.metadata().map_err(unreadable)?.len();
            let step = self.progress.begin(&path.display().to_string());
            step.total(size);
            let found = hash(Counted::new(&file, &*step as &dyn Step, 0)).map_err(unreadable)?;
            self.verify(source, expected, path, found)?;
        } else if source.signature.is_some() {
            self.verify(source, expected, path, Sha256Digest::of(b""))?;
        }
        Ok(Here::Elsewhere(file))
    }

    fn verify(
        &self,
        source: &Source,
        expected: &Expected,
        file: &Path,
        found: Sha256Digest,
    ) -> Result<(), BuildError> {
        if let Some((digest, said_by)) = expected
            .digest
            .as_ref()
            .filter(|(digest, _)| *digest != found)
        {
            return Err(BuildError::WrongDigest {
                what: Place::new(&expected.from, self.base).shown(),
                found,
                expected: *digest,
                said_by: said_by.clone(),
            });
        }
        match &source.signature {
            Some(signature) => self.check_signature(signature, &expected.from, file),
            None => Ok(()),
        }
    }
}

fn open(path: &Path) -> Result<File, BuildError> {
    File::open(path).map_err(|source| BuildError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
