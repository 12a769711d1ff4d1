//! Where distributions publish the files for a network install, and how they sign them: one row each.

mod recognize;
mod table;

pub use recognize::recognize;

use table::PresetChecks::{self, BareList, InlineList, List, ListAndSigned, ListInList, Signed};
use table::{PRESETS, Preset};

use crate::bundle::builder::error::BuildError;
use crate::inventory::{
    BundleSpec, Content, PresetUse, Signature, SignatureKey, SignaturePlace, SpecFile, SpecSource,
    nearest,
};

/// Lists the names of all presets.
pub fn names() -> impl Iterator<Item = String> {
    let rows = PRESETS.iter();
    rows.flat_map(|preset| {
        preset
            .releases
            .iter()
            .map(|(release, _)| preset.name(release))
    })
}

/// Replaces a spec's preset by the sources and files that it stands for. A file of the spec takes precedence
/// over one of the preset with the same key.
///
/// # Errors
/// When there is no such preset, or the spec lacks a value that it needs.
pub fn expand(spec: &BundleSpec) -> Result<BundleSpec, BuildError> {
    let Some(used) = &spec.preset else {
        return Ok(spec.clone());
    };
    let unknown = || {
        let names: Vec<String> = names().collect();
        let near = nearest(&used.name, names.iter().map(String::as_str));
        BuildError::UnknownPreset {
            name: used.name.clone(),
            near: near.map(str::to_owned),
        }
    };
    let (preset, release) = PRESETS
        .iter()
        .find_map(|preset| {
            let mut releases = preset.releases.iter();
            let release = releases.find(|(release, _)| preset.name(release) == used.name)?;
            Some((preset, release))
        })
        .ok_or_else(unknown)?;
    let placeholders = preset.placeholders(spec, used, release)?;
    let keyring = used
        .keyring
        .clone()
        .unwrap_or_else(|| placeholders.fill(preset.keyring));
    let signed = preset
        .sources
        .iter()
        .any(|(_, _, checks)| !matches!(checks, BareList(_)));
    if signed && keyring.is_empty() {
        let reason = "needs `keyring`, the file of the publisher's key, which no package has";
        return Err(refused(used, reason.to_owned()));
    }
    if used.mirror.is_none() && preset.home.is_empty() {
        let reason = "needs `mirror`, the directory of its image and of `SHA256SUMS`: it has no public \
                      mirror";
        return Err(refused(used, reason.to_owned()));
    }
    let mirror = used
        .mirror
        .clone()
        .unwrap_or_else(|| placeholders.fill(preset.home));
    let locate = |path: &str| match path {
        path if path.starts_with('.') => path.to_owned(),
        path => format!(
            "{}/{}",
            mirror.trim_end_matches('/'),
            placeholders.fill(path)
        ),
    };
    let mut expanded = spec.clone();
    expanded.preset = None;
    for (name, from, checks) in preset.sources {
        let source = source(locate(from), *checks, &locate, &keyring);
        expanded
            .images
            .insert(format!("{}/{name}", used.name), source);
    }
    for (key, source, member) in preset.files {
        let image = format!("{}/{source}", used.name);
        let content = match *member {
            "" => Content::Image(image),
            member => Content::Member {
                image,
                member: placeholders.fill(member),
            },
        };
        let file = SpecFile {
            path: None,
            content,
        };
        expanded.files.entry((*key).to_owned()).or_insert(file);
    }
    Ok(expanded)
}

fn refused(used: &PresetUse, reason: String) -> BuildError {
    BuildError::Preset {
        preset: used.name.clone(),
        reason,
    }
}

fn source(
    from: String,
    checks: PresetChecks,
    locate: &dyn Fn(&str) -> String,
    keyring: &str,
) -> SpecSource {
    let signed = |place| {
        Some(Signature {
            place,
            key: SignatureKey::OpenPgp(keyring.to_owned()),
        })
    };
    let detached = |path: &str| signed(SignaturePlace::Detached(locate(path)));
    let list = |path: &str| SpecSource {
        from: locate(path),
        ..SpecSource::default()
    };
    let inline = |path: &str| SpecSource {
        signature: signed(SignaturePlace::Inline),
        ..list(path)
    };
    let (list, signature) = match checks {
        List(path, signature) => {
            let signature = detached(signature);
            (
                Some(SpecSource {
                    signature,
                    ..list(path)
                }),
                None,
            )
        }
        InlineList(path) => (Some(inline(path)), None),
        ListInList(path, outer) => {
            let checksums = Some(Box::new(inline(outer)));
            (
                Some(SpecSource {
                    checksums,
                    ..list(path)
                }),
                None,
            )
        }
        BareList(path) => (Some(list(path)), None),
        Signed(signature) => (None, detached(signature)),
        // The list tells which release is the newest; the signature proves the publisher.
        ListAndSigned(path, signature) => {
            let unverified = true;
            (
                Some(SpecSource {
                    unverified,
                    ..list(path)
                }),
                detached(signature),
            )
        }
    };
    SpecSource {
        from,
        checksums: list.map(Box::new),
        signature,
        ..SpecSource::default()
    }
}

/// The values of the placeholders in the texts of a preset.
struct Placeholders(Vec<(&'static str, String)>);

impl Placeholders {
    fn fill(&self, text: &str) -> String {
        let put = |text: String, (word, value): &(&str, String)| text.replace(word, value);
        self.0.iter().fold(text.to_owned(), put)
    }
}

impl Preset {
    fn name(&self, release: &str) -> String {
        match release {
            "" => self.family.to_owned(),
            release => format!("{}-{release}", self.family),
        }
    }

    fn placeholders(
        &self,
        spec: &BundleSpec,
        used: &PresetUse,
        (release, detail): &(&str, &str),
    ) -> Result<Placeholders, BuildError> {
        let arch = self.arches.iter().find(|(arch, _)| *arch == spec.arch);
        let Some((uname, arch)) = arch else {
            let known: Vec<&str> = self.arches.iter().map(|(arch, _)| *arch).collect();
            let reason = format!("is for {}, not for `{}`", known.join(" and "), spec.arch);
            return Err(refused(used, reason));
        };
        let efi = if *uname == "aarch64" { "aa64" } else { "x64" };
        let needs_version = self
            .sources
            .iter()
            .any(|(_, from, _)| from.contains("{version}"));
        if needs_version && used.release.is_none() {
            let reason = "needs a release, for example `release: v1.10.0`";
            return Err(refused(used, reason.to_owned()));
        }
        let version = used.release.clone().unwrap_or_default();
        let current = used.release.clone().unwrap_or_else(|| "current".to_owned());
        let detail = used
            .release
            .clone()
            .filter(|_| !detail.is_empty())
            .unwrap_or_else(|| (*detail).to_owned());
        Ok(Placeholders(vec![
            ("{release}", (*release).to_owned()),
            ("{detail}", detail),
            ("{arch}", (*arch).to_owned()),
            ("{efi}", efi.to_owned()),
            ("{EFI}", efi.to_uppercase()),
            ("{version}", version),
            ("{version|current}", current),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn spec(preset: &str, arch: &str, release: Option<&str>, keyring: Option<&str>) -> BundleSpec {
        let mirror = preset.starts_with("rhel").then(|| "https://m".to_owned());
        BundleSpec {
            name: "b".into(),
            arch: arch.into(),
            expires: None,
            preset: Some(PresetUse {
                name: preset.into(),
                mirror,
                keyring: keyring.map(str::to_owned),
                release: release.map(str::to_owned),
            }),
            images: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn every_preset_fills_all_placeholders_and_verifies_everything() {
        let mut seen = 0;
        for preset in &PRESETS {
            for (release, _) in preset.releases {
                for (arch, _) in preset.arches {
                    let spec = spec(&preset.name(release), arch, Some("v1"), Some("keys"));
                    let expanded = expand(&spec).unwrap();
                    let text = format!("{expanded:?}");
                    let open = ["{release", "{detail", "{arch", "{efi", "{EFI", "{version"];
                    assert!(!open.iter().any(|word| text.contains(word)), "{text}");
                    for source in expanded.images.values() {
                        assert!(source.checksums.is_some() || source.signature.is_some());
                        assert!(source.from.starts_with("https://"), "{}", source.from);
                    }
                    for file in expanded.files.values() {
                        let (Content::Image(image) | Content::Member { image, .. }) = &file.content
                        else {
                            panic!("{file:?}")
                        };
                        assert!(expanded.images.contains_key(image), "{image}");
                    }
                    assert!(
                        ["kernel", "initrd"]
                            .iter()
                            .all(|key| expanded.files.contains_key(*key))
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn a_release_of_flatcar_is_on_the_server_of_its_channel() {
        let expanded =
            expand(&spec("flatcar-beta", "x86_64", Some("4081.2.0"), Some("k"))).unwrap();
        let image = &expanded.images["flatcar-beta/kernel"];
        let expected = "https://beta.release.flatcar-linux.net/amd64-usr/4081.2.0/flatcar_production_pxe.vmlinuz";
        assert_eq!(image.from, expected);
    }

    #[test]
    fn a_preset_for_subscribers_needs_a_directory_of_theirs() {
        let mut spec = spec("rhel-9", "x86_64", None, None);
        spec.preset.as_mut().unwrap().mirror = None;
        let refused = expand(&spec).unwrap_err().to_string();
        assert!(refused.contains("it has no public"), "{refused}");
        spec.preset.as_mut().unwrap().mirror = Some("isos".into());
        let expanded = expand(&spec).unwrap();
        let iso = &expanded.images["rhel-9/iso"];
        assert_eq!(iso.from, "isos/rhel-9.*-x86_64-*.iso");
        assert_eq!(iso.checksums.as_ref().unwrap().from, "isos/SHA256SUMS");
    }

    #[test]
    fn a_preset_names_the_value_that_it_lacks() {
        for (spec, expected) in [
            (
                spec("ubuntu-23.04", "x86_64", None, None),
                "unknown preset `ubuntu-23.04`",
            ),
            (
                spec("ubuntu-24.04", "aarch64", None, None),
                "is for x86_64, not for `aarch64`",
            ),
            (spec("talos", "x86_64", None, None), "needs a release"),
            (
                spec("flatcar-stable", "x86_64", None, None),
                "which no package has",
            ),
        ] {
            let refused = expand(&spec).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn a_file_of_the_spec_takes_precedence_over_one_of_the_preset() {
        let mut spec = spec("debian-12", "x86_64", None, None);
        let content = Content::Whole(SpecSource {
            from: "linux".into(),
            ..SpecSource::default()
        });
        let own = SpecFile {
            path: None,
            content,
        };
        spec.files.insert("kernel".into(), own.clone());
        let expanded = expand(&spec).unwrap();
        assert_eq!(expanded.files["kernel"], own);
        assert_eq!(expanded.files.len(), 4);
    }
}
