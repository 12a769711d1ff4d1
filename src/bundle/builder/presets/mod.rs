//! Where distributions publish what a network install needs, and how they sign it: one row each.

mod table;

use table::Checks::{self, BareList, InlineList, List, ListAndSigned, ListInList, Signed};
use table::{PRESETS, Preset};

use crate::bundle::builder::error::BuildError;
use crate::inventory::{
    BundleSpec, Content, PresetUse, Signature, SignatureKey, SignaturePlace, Source, SpecFile,
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

/// Writes a spec's preset out: what it fetches and which files come of it. A file of the spec itself
/// goes before one of the preset with the same key.
///
/// # Errors
/// When there is no such preset, or it does not know what its paths need.
pub fn expanded(spec: &BundleSpec) -> Result<BundleSpec, BuildError> {
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
    let words = preset.words(spec, used, release)?;
    let keyring = used
        .keyring
        .clone()
        .unwrap_or_else(|| words.put_into(preset.keyring));
    let signed = preset
        .sources
        .iter()
        .any(|(_, _, checks)| !matches!(checks, BareList(_)));
    if signed && keyring.is_empty() {
        let reason = "is signed by a key that no package has: name its file as `keyring`";
        return Err(refused(used, reason.to_owned()));
    }
    if used.mirror.is_none() && preset.home.is_empty() {
        let reason = "has no public mirror: name the directory of its image and its list \
                      `SHA256SUMS` as `mirror`";
        return Err(refused(used, reason.to_owned()));
    }
    let mirror = used
        .mirror
        .clone()
        .unwrap_or_else(|| words.put_into(preset.home));
    let place = |path: &str| match path {
        path if path.starts_with('.') => path.to_owned(),
        path => format!("{}/{}", mirror.trim_end_matches('/'), words.put_into(path)),
    };
    let mut expanded = spec.clone();
    expanded.preset = None;
    for (name, from, checks) in preset.sources {
        let source = source(place(from), *checks, &place, &keyring);
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
                member: words.put_into(member),
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

fn source(from: String, checks: Checks, place: &dyn Fn(&str) -> String, keyring: &str) -> Source {
    let signed = |place| {
        Some(Signature {
            place,
            key: SignatureKey::OpenPgp(keyring.to_owned()),
        })
    };
    let detached = |path: &str| signed(SignaturePlace::Detached(place(path)));
    let list = |path: &str| Source {
        from: place(path),
        ..Source::default()
    };
    let inline = |path: &str| Source {
        signature: signed(SignaturePlace::Inline),
        ..list(path)
    };
    let (list, signature) = match checks {
        List(path, signature) => {
            let signature = detached(signature);
            (
                Some(Source {
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
                Some(Source {
                    checksums,
                    ..list(path)
                }),
                None,
            )
        }
        BareList(path) => (Some(list(path)), None),
        Signed(signature) => (None, detached(signature)),
        // The list says which release is the newest; that it is the publisher's, the signature.
        ListAndSigned(path, signature) => {
            let unverified = true;
            (
                Some(Source {
                    unverified,
                    ..list(path)
                }),
                detached(signature),
            )
        }
    };
    Source {
        from,
        checksums: list.map(Box::new),
        signature,
        ..Source::default()
    }
}

/// What stands for what in the texts of a preset.
struct Words(Vec<(&'static str, String)>);

impl Words {
    fn put_into(&self, text: &str) -> String {
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

    fn words(
        &self,
        spec: &BundleSpec,
        used: &PresetUse,
        (release, detail): &(&str, &str),
    ) -> Result<Words, BuildError> {
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
            let reason = "leaves open which release: name it, as in `release: v1.10.0`";
            return Err(refused(used, reason.to_owned()));
        }
        let version = used.release.clone().unwrap_or_default();
        let current = used.release.clone().unwrap_or_else(|| "current".to_owned());
        let detail = used
            .release
            .clone()
            .filter(|_| !detail.is_empty())
            .unwrap_or_else(|| (*detail).to_owned());
        Ok(Words(vec![
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
    fn every_preset_leaves_nothing_open_and_verifies_everything() {
        let mut seen = 0;
        for preset in &PRESETS {
            for (release, _) in preset.releases {
                for (arch, _) in preset.arches {
                    let spec = spec(&preset.name(release), arch, Some("v1"), Some("keys"));
                    let expanded = expanded(&spec).unwrap();
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
    fn what_only_subscribers_get_needs_a_directory_of_theirs() {
        let mut spec = spec("rhel-9", "x86_64", None, None);
        spec.preset.as_mut().unwrap().mirror = None;
        let refused = expanded(&spec).unwrap_err().to_string();
        assert!(refused.contains("has no public mirror"), "{refused}");
        spec.preset.as_mut().unwrap().mirror = Some("isos".into());
        let expanded = expanded(&spec).unwrap();
        let iso = &expanded.images["rhel-9/iso"];
        assert_eq!(iso.from, "isos/rhel-9.*-x86_64-*.iso");
        assert_eq!(iso.checksums.as_ref().unwrap().from, "isos/SHA256SUMS");
    }

    #[test]
    fn what_a_preset_does_not_know_is_asked_for() {
        for (spec, said) in [
            (
                spec("ubuntu-23.04", "x86_64", None, None),
                "no preset `ubuntu-23.04`",
            ),
            (
                spec("ubuntu-24.04", "aarch64", None, None),
                "is for x86_64, not for `aarch64`",
            ),
            (
                spec("talos", "x86_64", None, None),
                "leaves open which release",
            ),
            (
                spec("flatcar-stable", "x86_64", None, None),
                "no package has",
            ),
        ] {
            let refused = expanded(&spec).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_file_of_the_spec_goes_before_one_of_the_preset() {
        let mut spec = spec("debian-12", "x86_64", None, None);
        let content = Content::Whole(Source {
            from: "linux".into(),
            ..Source::default()
        });
        let own = SpecFile {
            path: None,
            content,
        };
        spec.files.insert("kernel".into(), own.clone());
        let expanded = expanded(&spec).unwrap();
        assert_eq!(expanded.files["kernel"], own);
        assert_eq!(expanded.files.len(), 4);
    }
}
