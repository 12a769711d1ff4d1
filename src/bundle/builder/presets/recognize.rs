//! Recognizes the preset that a bundle was built with, by the sources in its document.

use super::table::{PRESETS, Preset};
use crate::bundle::builder::checksums::match_parts;
use crate::inventory::{Bundle, BundleSpec, PresetUse};

/// Returns the spec with which a preset builds the newest release of a bundle; `None` if no preset without a
/// fixed release describes the sources in the bundle's document. A mirror is recognized by its layout.
pub fn recognize(bundle: &Bundle) -> Option<BundleSpec> {
    PRESETS.iter().find_map(|preset| {
        let mut releases = preset.releases.iter();
        releases.find_map(|release| {
            let mut spec = BundleSpec {
                name: bundle.name.clone(),
                arch: bundle.arch.clone(),
                expires: None,
                preset: None,
                images: Default::default(),
                files: Default::default(),
            };
            let used = PresetUse {
                name: preset.name(release.0),
                mirror: None,
                keyring: None,
                release: None,
            };
            let mirror = preset.mirror_of(bundle, &spec, &used, release)?;
            let mirror = Some(mirror);
            spec.preset = Some(PresetUse { mirror, ..used });
            Some(spec)
        })
    })
}

impl Preset {
    /// Returns the mirror below which the sources of all files of a bundle have the layout of this preset.
    fn mirror_of(
        &self,
        bundle: &Bundle,
        spec: &BundleSpec,
        used: &PresetUse,
        release: &(&str, &str),
    ) -> Option<String> {
        let placeholders = self.placeholders(spec, used, release).ok()?;
        let home = placeholders.fill(self.home);
        let mut mirror: Option<String> = None;
        for (key, source, member) in self.files {
            let Some(file) = bundle.files.get(*key) else {
                continue;
            };
            let recorded = file.source.as_ref()?;
            let (_, pattern, _) = self.sources.iter().find(|(name, ..)| name == source)?;
            let below = url_below(&recorded.from, &placeholders.fill(pattern))?;
            let has_member = recorded.member.clone().unwrap_or_default();
            let is_same = has_member == placeholders.fill(member);
            // Another channel of the publisher has the same layout on another server.
            let is_other_home = self.is_home_of_another_release(&below, &home);
            if !is_same || is_other_home || mirror.as_ref().is_some_and(|it| *it != below) {
                return None;
            }
            mirror = Some(below);
        }
        mirror
    }

    fn is_home_of_another_release(&self, mirror: &str, home: &str) -> bool {
        let mut homes =
            (self.releases.iter()).map(|(release, _)| self.home.replace("{release}", release));
        mirror != home && homes.any(|other| other == mirror)
    }
}

/// Returns the part of a URL before the path that matches a pattern.
fn url_below(url: &str, pattern: &str) -> Option<String> {
    let parts: Vec<String> = url.split('/').map(str::to_owned).collect();
    let patterns: Vec<String> = pattern.split('/').map(str::to_owned).collect();
    let (mirror, path) = parts.split_at(parts.len().checked_sub(patterns.len())?);
    match_parts(&patterns, path)?;
    Some(mirror.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{BundleFile, FileSource};
    use crate::machine::Sha256Digest;

    fn bundle(files: &[(&str, &str, &str)]) -> Bundle {
        let file = |(key, from, member): &(&str, &str, &str)| {
            let member = (!member.is_empty()).then(|| (*member).to_owned());
            let from = (*from).to_owned();
            let file = BundleFile {
                path: (*key).to_owned(),
                sha256: Sha256Digest::of(b""),
                size: 0,
                source: Some(FileSource { from, member }),
            };
            ((*key).to_owned(), file)
        };
        Bundle {
            name: "b".into(),
            arch: "x86_64".into(),
            expires: None,
            signatures: Vec::new(),
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn a_bundle_is_recognized_by_its_sources() {
        let ubuntu = "24.04/ubuntu-24.04.3-live-server-amd64.iso";
        let debian =
            "dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux";
        let flatcar = "amd64-usr/current/flatcar_production_pxe.vmlinuz";
        for (mirror, path, member, expected) in [
            (
                "https://releases.ubuntu.com",
                ubuntu,
                "casper/vmlinuz",
                Some("ubuntu-24.04"),
            ),
            (
                "http://mirror/a/b",
                ubuntu,
                "casper/vmlinuz",
                Some("ubuntu-24.04"),
            ),
            ("http://mirror", debian, "", Some("debian-13")),
            (
                "https://beta.release.flatcar-linux.net",
                flatcar,
                "",
                Some("flatcar-beta"),
            ),
            ("https://releases.ubuntu.com", ubuntu, "casper/other", None),
            (
                "https://releases.ubuntu.com",
                "24.04/ubuntu-24.04.3-desktop-amd64.iso",
                "casper/vmlinuz",
                None,
            ),
            ("https://a", "linux", "", None),
        ] {
            let found = recognize(&bundle(&[("kernel", &format!("{mirror}/{path}"), member)]));
            let preset = found.and_then(|spec| spec.preset);
            assert_eq!(
                preset.as_ref().map(|it| it.name.as_str()),
                expected,
                "{path}"
            );
            if let Some(preset) = preset {
                assert_eq!(preset.mirror.as_deref(), Some(mirror));
            }
        }
        // Two mirrors.
        let found = recognize(&bundle(&[
            ("kernel", &format!("http://a/{ubuntu}"), "casper/vmlinuz"),
            ("initrd", &format!("http://b/{ubuntu}"), "casper/initrd"),
        ]));
        assert_eq!(found, None);
    }
}
