use std::collections::BTreeMap;
use std::path::Path;

use super::context::{Builder, Lists};
use super::error::BuildError;
use super::obtain::Wanted;
use super::presets;
use super::progress::Progress;
use super::web::Web;
use crate::bundle::parallel::at_once;
use crate::bundle::store::BundleStore;
use crate::inventory::{Bundle, BundleFile, BundleSpec, Content, SignaturePolicy, Source};

/// Builds a bundle: brings its files into the store, verifies them, and gives them their name there
/// when all are good. `jobs` files are worked on at once; relative paths go from `base`.
///
/// # Errors
/// When a file cannot be had or is not what it should be, and when the name stands for other content
/// already. Nothing has a name then; what was downloaded is kept for the next attempt.
pub fn build(
    store: &BundleStore,
    web: &Web,
    spec: &BundleSpec,
    base: &Path,
    jobs: usize,
    policy: &SignaturePolicy,
    progress: &dyn Progress,
) -> Result<Bundle, BuildError> {
    let spec = presets::expanded(spec)?;
    let titles = titles(&spec)?;
    let _writing = store.write()?;
    let builder = Builder {
        store,
        web,
        base,
        policy,
        progress,
        lists: Lists::default(),
    };
    let parts = parts(&spec);
    let obtained = at_once(jobs, parts, &web.stop, |(source, wanted)| {
        builder.obtain(source, &wanted)
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
    // The same content may have been signed already.
    let signatures = store.bundle(&bundle.name)?.signatures;
    Ok(Bundle {
        signatures,
        ..bundle
    })
}

/// Lists what is fetched, each once, with the files that come of it.
fn parts(spec: &BundleSpec) -> Vec<(&Source, Wanted)> {
    let mut of_images: BTreeMap<&str, Wanted> = BTreeMap::new();
    let mut parts = Vec::new();
    for (key, file) in &spec.files {
        match &file.content {
            Content::Whole(source) => parts.push((source, Wanted::whole(key))),
            Content::Image(image) => of_images.entry(image).or_default().add(key, None),
            Content::Member { image, member } => {
                of_images.entry(image).or_default().add(key, Some(member));
            }
        }
    }
    let images = of_images.into_iter();
    let images = images.filter_map(|(name, wanted)| Some((spec.images.get(name)?, wanted)));
    // Images are the largest: they begin first.
    images.chain(parts).collect()
}

/// Lists the titles that the spec itself says: paths of its own and those inside images.
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
