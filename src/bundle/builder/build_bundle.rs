use std::collections::BTreeMap;
use std::path::Path;

use super::context::{Builder, ChecksumLists};
use super::error::BuildError;
use super::obtain::RequestedFiles;
use super::presets;
use super::progress::BuildProgress;
use super::web::WebClient;
use crate::bundle::parallel::run_parallel;
use crate::bundle::store::BundleStore;
use crate::inventory::{Bundle, BundleFile, BundleSpec, Content, SignaturePolicy, SpecSource};

/// Builds a bundle: copies its files into the store, verifies them, and adds the name when all are verified.
/// Works on `jobs` files at the same time; relative paths start from `base`.
///
/// # Errors
/// When a file cannot be read or verified, and when the name has other content already. The store has no
/// new name then; downloads are kept for the next attempt.
pub fn build(
    store: &BundleStore,
    web: &WebClient,
    spec: &BundleSpec,
    base: &Path,
    jobs: usize,
    policy: &SignaturePolicy,
    progress: &dyn BuildProgress,
) -> Result<Bundle, BuildError> {
    let spec = presets::expand(spec)?;
    let titles = titles(&spec)?;
    let _lock = store.lock_shared()?;
    let builder = Builder {
        store,
        web,
        base,
        policy,
        progress,
        lists: ChecksumLists::default(),
    };
    let parts = parts(&spec);
    let obtained = run_parallel(jobs, parts, &web.stop, |(source, requested)| {
        builder.obtain(source, &requested)
    })?;
    let files = obtained.into_iter().flatten().map(|(key, obtained)| {
        let path = titles
            .get(&key)
            .cloned()
            .unwrap_or_else(|| obtained.title(&key));
        let file = BundleFile {
            path,
            sha256: obtained.sha256,
            size: obtained.size,
            source: obtained.source,
        };
        (key, file)
    });
    let files: BTreeMap<String, BundleFile> = files.collect();
    check_titles(&files)?;
    let bundle = Bundle {
        name: spec.name.clone(),
        arch: spec.arch.clone(),
        expires: spec.expires,
        signatures: Vec::new(),
        files,
    };
    store.add_bundle(&bundle)?;
    // The store may have signatures of the same content.
    let signatures = store.bundle(&bundle.name)?.signatures;
    Ok(Bundle {
        signatures,
        ..bundle
    })
}

/// Lists the sources, each once, with the files that come from it.
fn parts(spec: &BundleSpec) -> Vec<(&SpecSource, RequestedFiles)> {
    let mut of_images: BTreeMap<&str, RequestedFiles> = BTreeMap::new();
    let mut parts = Vec::new();
    for (key, file) in &spec.files {
        match &file.content {
            Content::Whole(source) => parts.push((source, RequestedFiles::whole(key))),
            Content::Image(image) => of_images.entry(image).or_default().add(key, None),
            Content::Member { image, member } => {
                of_images.entry(image).or_default().add(key, Some(member));
            }
        }
    }
    let images = of_images
        .into_iter()
        .filter_map(|(name, requested)| Some((spec.images.get(name)?, requested)));
    // Images are the largest, so they begin first.
    images.chain(parts).collect()
}

/// Lists the titles that the spec states: explicit paths, and paths inside images.
fn titles(spec: &BundleSpec) -> Result<BTreeMap<String, String>, BuildError> {
    let titles = spec.files.iter().filter_map(|(key, file)| {
        let title = match (&file.path, &file.content) {
            (Some(path), _) => path,
            (None, Content::Member { member, .. }) => member,
            _ => return None,
        };
        Some((key.clone(), title.clone()))
    });
    let titles: BTreeMap<String, String> = titles.collect();
    unique(titles.iter())?;
    Ok(titles)
}

fn check_titles(files: &BTreeMap<String, BundleFile>) -> Result<(), BuildError> {
    unique(files.iter().map(|(key, file)| (key, &file.path)))
}

fn unique<'t>(titles: impl Iterator<Item = (&'t String, &'t String)>) -> Result<(), BuildError> {
    let mut taken: BTreeMap<&String, &String> = BTreeMap::new();
    for (key, title) in titles {
        if let Some(first) = taken.insert(title, key) {
            return Err(BuildError::SameTitle {
                first: first.clone(),
                second: key.clone(),
                title: title.clone(),
            });
        }
    }
    Ok(())
}
