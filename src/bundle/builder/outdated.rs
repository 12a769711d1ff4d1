//! Finds bundles whose publisher has a newer release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checksums::match_parts;
use super::context::{Builder, ChecksumLists};
use super::error::BuildError;
use super::location::SourceLocation;
use super::presets;
use super::progress::{BuildProgress, BuildStep};
use super::url_path::path_of;
use super::version::compare_versions;
use super::web::{WebClient, without_credentials};
use crate::bundle::parallel::run_parallel;
use crate::bundle::store::BundleStore;
use crate::inventory::{Bundle, BundleFile, BundleSpec, Content, SignaturePolicy, SpecSource};

/// The parts of a URL before and after the tag of a release on GitHub, GitLab's and Forgejo's servers.
const DOWNLOADS: &str = "/releases/download/";
const TAG: &str = "/releases/tag/";

/// A spec, and the directory that its paths start from.
pub struct SpecOfBundle {
    /// The spec.
    pub spec: BundleSpec,
    /// The directory.
    pub base: PathBuf,
}

/// Whether the publisher has a newer release than a bundle.
#[derive(Debug)]
pub enum ReleaseState {
    /// The bundle has the newest release.
    Current,
    /// The publisher has a newer release of these files.
    Outdated(Vec<NewerRelease>),
    /// Nothing tells what the newest release is, for this reason.
    Unknown(String),
    /// The publisher's list cannot be read or verified.
    Failed(BuildError),
}

/// A newer release of some files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewerRelease {
    /// The keys of the files.
    pub files: Vec<String>,
    /// The URL, the digest or the tag of the bundle's release.
    pub pinned: String,
    /// The URL, the digest or the tag of the newest release.
    pub newest: String,
}

/// What is known about the release of one file.
enum FileRelease {
    Current,
    Newer { pinned: String, newest: String },
    Unknown(String),
}

/// Compares bundles with the newest releases of their publishers. A spec by the name of a bundle describes its
/// publisher; without one, a preset or the address of a release does. Works on `jobs` bundles at the same
/// time. What fails for one bundle is part of the result.
pub fn check_releases<'b>(
    store: &BundleStore,
    web: &WebClient,
    bundles: &[&'b Bundle],
    specs: &BTreeMap<String, SpecOfBundle>,
    jobs: usize,
    policy: &SignaturePolicy,
) -> Vec<(&'b Bundle, ReleaseState)> {
    let check = |bundle: &'b Bundle| {
        let spec = specs.get(&bundle.name);
        let base = spec.map_or(Path::new(""), |spec| spec.base.as_path());
        let checker = ReleaseChecker {
            builder: Builder {
                store,
                web,
                base,
                policy,
                progress: &NoProgress,
                lists: ChecksumLists::default(),
            },
            bundle,
        };
        let state = checker.state(spec.map(|spec| &spec.spec));
        Ok::<_, std::convert::Infallible>((bundle, state))
    };
    let Ok(mut checked) = run_parallel(jobs, bundles.to_vec(), &web.stop, check);
    checked.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    checked
}

struct ReleaseChecker<'b> {
    builder: Builder<'b>,
    bundle: &'b Bundle,
}

impl ReleaseChecker<'_> {
    fn state(&self, spec: Option<&BundleSpec>) -> ReleaseState {
        let recognized = spec.cloned().or_else(|| presets::recognize(self.bundle));
        let found = match recognized {
            Some(spec) => presets::expand(&spec).and_then(|spec| self.compare_with(&spec)),
            None => self.compare_tags(),
        };
        found.unwrap_or_else(ReleaseState::Failed)
    }

    /// Compares each file with what the spec would pin now.
    fn compare_with(&self, spec: &BundleSpec) -> Result<ReleaseState, BuildError> {
        let mut releases = Vec::new();
        for (key, file) in &self.bundle.files {
            let (source, is_whole) = match spec.files.get(key).map(|file| &file.content) {
                Some(Content::Whole(source)) => (source, true),
                Some(Content::Image(image)) => (&spec.images[image], true),
                Some(Content::Member { image, .. }) => (&spec.images[image], false),
                None => continue,
            };
            releases.push((key.clone(), self.compare_file(file, source, is_whole)?));
        }
        Ok(summarize(releases))
    }

    fn compare_file(
        &self,
        file: &BundleFile,
        source: &SpecSource,
        is_whole: bool,
    ) -> Result<FileRelease, BuildError> {
        let expected = self.builder.expected(source)?;
        let newest = SourceLocation::new(&expected.from, self.builder.base).shown();
        let pinned = file.source.as_ref().map(|source| source.from.as_str());
        if let Some(pinned) = pinned.filter(|pinned| *pinned != newest) {
            return Ok(if is_older(&source.from, pinned, &newest) {
                FileRelease::Newer {
                    pinned: pinned.to_owned(),
                    newest,
                }
            } else {
                FileRelease::Current
            });
        }
        if !is_whole {
            return Ok(if pinned.is_none() {
                let reason = "is from a local image, which its document does not name";
                FileRelease::Unknown(format!("`{}` {reason}", file.path))
            } else if has_version(&newest) {
                FileRelease::Current
            } else {
                let reason =
                    "has no version in its name, and the bundle does not pin the whole file";
                FileRelease::Unknown(format!("`{newest}` {reason}"))
            });
        }
        match (&expected.digest, &source.signature) {
            (Some((digest, _)), _) if *digest == file.sha256 => Ok(FileRelease::Current),
            (Some((digest, _)), _) => Ok(FileRelease::Newer {
                pinned: format!("sha256:{}", file.sha256),
                newest: format!("sha256:{digest}"),
            }),
            (None, Some(signature)) if self.builder.store.has_intact(file) => {
                let path = self.builder.store.blob_path(&file.sha256);
                match self
                    .builder
                    .check_signature(signature, &expected.from, &path)
                {
                    Ok(()) => Ok(FileRelease::Current),
                    Err(BuildError::Signature {
                        is_of_other_content: true,
                        ..
                    }) => Ok(FileRelease::Newer {
                        pinned: format!("sha256:{}", file.sha256),
                        newest: format!("another file, by the signature of {newest}"),
                    }),
                    Err(error) => Err(error),
                }
            }
            (None, Some(_)) => Ok(FileRelease::Unknown(format!(
                "the store lacks `{}`, which its publisher's signature would be compared with",
                file.path
            ))),
            (None, None) => Ok(FileRelease::Unknown(format!(
                "no list has the digest of `{newest}`"
            ))),
        }
    }

    /// Compares the tag in the URLs of a release with the tag of the newest one.
    fn compare_tags(&self) -> Result<ReleaseState, BuildError> {
        let mut releases = Vec::new();
        for (key, file) in &self.bundle.files {
            let from = file.source.as_ref().map(|source| source.from.as_str());
            let tagged = from.and_then(|from| from.split_once(DOWNLOADS));
            let Some((project, rest)) = tagged else {
                continue;
            };
            let pinned = rest.split('/').next().unwrap_or_default().to_owned();
            let latest = self
                .builder
                .web
                .redirected(&format!("{project}/releases/latest"))?;
            releases.push((
                key.clone(),
                match latest.split_once(TAG) {
                    Some((_, newest)) if compare_versions(&pinned, newest).is_lt() => {
                        FileRelease::Newer {
                            pinned,
                            newest: newest.to_owned(),
                        }
                    }
                    Some(_) => FileRelease::Current,
                    None => FileRelease::Unknown(format!(
                        "`{project}` does not tell its newest release"
                    )),
                },
            ));
        }
        if releases.is_empty() {
            let reason = "no preset and no spec describes where its files come from";
            return Ok(ReleaseState::Unknown(reason.to_owned()));
        }
        Ok(summarize(releases))
    }
}

/// Reports whether a bundle's URL is of an older release than the newest one, by what the stars of the pattern
/// stand for.
fn is_older(pattern: &str, pinned: &str, newest: &str) -> bool {
    let parts = |url: &str| {
        path_of(url)
            .split('/')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let patterns = parts(pattern);
    let versions = |url: &str| match_parts(&patterns, &parts(url));
    match (versions(pinned), versions(newest)) {
        (Some(pinned), Some(newest)) => {
            let mut orders = pinned
                .iter()
                .zip(&newest)
                .map(|(a, b)| compare_versions(a, b));
            orders
                .find(|order| order.is_ne())
                .is_some_and(|order| order.is_lt())
        }
        // The publisher has moved the file, or the spec names another one.
        _ => true,
    }
}

/// Reports whether the name of a file has a number besides that of its processor.
fn has_version(url: &str) -> bool {
    let name = path_of(url)
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let processors = ["x86_64", "aarch64", "amd64", "arm64"];
    let name = processors
        .iter()
        .fold(name, |name, word| name.replace(word, ""));
    name.contains(|c: char| c.is_ascii_digit())
}

/// Combines the files of a bundle: files with the same change are one.
fn summarize(releases: Vec<(String, FileRelease)>) -> ReleaseState {
    let mut newer: Vec<NewerRelease> = Vec::new();
    let mut unknown = None;
    for (key, release) in releases {
        match release {
            FileRelease::Current => {}
            FileRelease::Unknown(reason) => unknown = unknown.or(Some(reason)),
            FileRelease::Newer { pinned, newest } => {
                let same = newer
                    .iter_mut()
                    .find(|it| (&it.pinned, &it.newest) == (&pinned, &newest));
                match same {
                    Some(same) => same.files.push(key),
                    None => newer.push(NewerRelease {
                        files: vec![key],
                        pinned,
                        newest,
                    }),
                }
            }
        }
    }
    match (newer.is_empty(), unknown) {
        (false, _) => ReleaseState::Outdated(newer),
        (true, Some(reason)) => ReleaseState::Unknown(reason),
        (true, None) => ReleaseState::Current,
    }
}

impl WebClient {
    /// Returns the URL to which a URL redirects, without credentials.
    fn redirected(&self, url: &str) -> Result<String, BuildError> {
        self.with_retries(url, &NoProgress, || {
            let response = self
                .client
                .head(url)
                .send()
                .map_err(|error| super::web::unsent(url, error))?;
            let response = super::web::accepted(url, response)?;
            Ok(without_credentials(response.url().as_str()))
        })
    }
}

/// Shows nothing: the result of each bundle has its failures.
struct NoProgress;

impl BuildProgress for NoProgress {
    fn begin(&self, _: &str) -> Box<dyn BuildStep + Send + '_> {
        Box::new(NoProgress)
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str, _: &str) {}
}

impl BuildStep for NoProgress {
    fn set_length(&self, _: u64) {}

    fn set_position(&self, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_version_is_outdated() {
        let pattern = "https://a/24.04/ubuntu-24.04*-amd64.iso";
        let url = |version: &str| format!("https://a/24.04/ubuntu-24.04{version}-amd64.iso");
        for (pinned, newest, expected) in [
            ("", ".1", true),
            (".9", ".10", true),
            (".3-rc1", ".3", true),
            // A mirror that lags behind.
            (".4", ".3", false),
        ] {
            let found = is_older(pattern, &url(pinned), &url(newest));
            assert_eq!(found, expected, "{pinned} {newest}");
        }
        assert!(is_older(pattern, "https://a/old/x.iso", &url(".1")));
    }

    #[test]
    fn the_number_of_the_processor_is_not_a_version() {
        for (name, expected) in [
            ("Fedora-Everything-netinst-x86_64-42-1.1.iso", true),
            (
                "openSUSE-Leap-Micro.x86_64-Default-SelfInstall.install.tar",
                false,
            ),
            ("live-amd64.iso", false),
        ] {
            assert_eq!(
                has_version(&format!("https://a/9/{name}")),
                expected,
                "{name}"
            );
        }
    }
}
