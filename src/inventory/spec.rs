use std::collections::BTreeMap;

use jiff::civil::Date;

use super::bundle::{is_inside, read_arch, read_path};
use super::diagnostic::{Diagnostic, Severity, nearest, sort};
use super::reader::{Fields, Reader, list};
use super::source::SourceFile;
use super::tree::{self, Node, Value};
use crate::machine::Sha256Digest;

/// The `BundleSpec` document: where the files of a bundle come from, and how each is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSpec {
    /// The name of the bundle.
    pub name: String,
    /// The processor that its kernel is built for, as `uname -m` prints it.
    pub arch: String,
    /// The day from which the bundle should not be installed any more.
    pub expires: Option<Date>,
    /// The files that a distribution publishes.
    pub preset: Option<PresetUse>,
    /// ISO images and archives that several files are read out of.
    pub images: BTreeMap<String, Source>,
    /// The files, by the keys that profiles and templates name.
    pub files: BTreeMap<String, SpecFile>,
}

/// Which files of which distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetUse {
    /// The preset's name.
    pub name: String,
    /// A URL or directory that is laid out as the publisher's; left out, the publisher's own.
    pub mirror: Option<String>,
    /// The publisher's keys, in place of those that the preset names.
    pub keyring: Option<String>,
    /// The release that the publisher's paths name, where the preset leaves it open.
    pub release: Option<String>,
}

/// Something to fetch, and how it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// A URL, or a path from where the spec lies. Of what verifies something else, a suffix such as
    /// `.asc` stands for the same place with that at its end. A `*` in it stands for anything in a
    /// name of the list that verifies it.
    pub from: String,
    /// The digest that it must have.
    pub sha256: Option<Sha256Digest>,
    /// A list of digests that its publisher keeps, which may be verified itself.
    pub checksums: Option<Box<Source>>,
    /// Its publisher's signature.
    pub signature: Option<Signature>,
    /// Whether it is taken without any of these.
    pub unverified: bool,
}

/// A publisher's signature, and the key that it must be made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where it lies, as `from` of what it signs.
    pub place: SignaturePlace,
    /// The key.
    pub key: SignatureKey,
}

/// Where a signature lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignaturePlace {
    /// Round the text that it signs.
    Inline,
    /// In a file of its own.
    Detached(String),
}

/// Who may have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureKey {
    /// The OpenPGP keys in a file.
    OpenPgp(String),
    /// A minisign public key, or the file that holds it.
    Minisign(String),
}

/// One file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFile {
    /// Its title in the OCI layout; left out, the last part of where it comes from.
    pub path: Option<String>,
    /// Where it comes from.
    pub content: Content,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is published as it is.
    Whole(Source),
    /// It is one of the spec's images.
    Image(String),
    /// It lies inside one of the spec's images.
    Member {
        /// The image's name.
        image: String,
        /// Its path there.
        member: String,
    },
}

/// Reads the one `BundleSpec` of a file, and reports every fault of it.
pub fn parse_spec(file: &SourceFile) -> (Option<BundleSpec>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    let documents = tree::parse(0, &file.text, &mut reader.diagnostics);
    let spec = match documents.as_slice() {
        [document] => read(&mut reader, document),
        [] if !reader.diagnostics.is_empty() => None,
        [] => {
            let message = format!("`{}` holds no document", file.name);
            let empty = Diagnostic::new(Severity::Error, "no-spec", None, message);
            reader.report(empty.help("write `kind: BundleSpec`, `name`, `arch` and `files`"));
            None
        }
        [_, second, ..] => reader.refuse(
            "two-specs",
            second.span.start_only(),
            "a second document in one spec",
            "write each spec into a file of its own",
        ),
    };
    let mut diagnostics = reader.diagnostics;
    sort(&mut diagnostics, std::slice::from_ref(file));
    let good = diagnostics
        .iter()
        .all(|diagnostic| diagnostic.severity != Severity::Error);
    (spec.filter(|_| good), diagnostics)
}

/// Returns the name of the bundle whose document a file holds, where it holds that alone.
pub fn bundle_of(file: &SourceFile) -> Option<String> {
    let mut faults = Vec::new();
    let documents = tree::parse(0, &file.text, &mut faults);
    let ([document], []) = (documents.as_slice(), faults.as_slice()) else {
        return None;
    };
    let Value::Mapping(entries) = &document.value else {
        return None;
    };
    let text = |name| {
        let (_, node) = entries.iter().find(|(key, _)| key.text == name)?;
        match &node.value {
            Value::Scalar { text, .. } => Some(text.as_str()),
            _ => None,
        }
    };
    (text("kind")? == "Bundle").then(|| text("name").map(str::to_owned))?
}

/// Reads one document; also where it lies in an inventory, which may keep its specs.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<BundleSpec> {
    let mut fields = reader.fields(node, "this BundleSpec")?;
    let kind = fields.required(reader, "kind", Reader::spanned_text);
    if let Some(kind) = kind.filter(|kind| kind.value != "BundleSpec") {
        let message = format!("expected a `BundleSpec`, found a `{}`", kind.value);
        return reader.refuse(
            "unknown-kind",
            kind.span,
            message,
            "write `kind: BundleSpec`",
        );
    }
    let name = fields.required(reader, "name", Reader::name);
    let arch = fields.required(reader, "arch", read_arch);
    let expires = fields.optional(reader, "expires", |r, n| {
        r.parsed::<Date>(n, "a day such as `2027-05-01`")
    });
    let preset = fields.optional(reader, "preset", read_preset);
    let images = fields.optional(reader, "images", |reader, node| {
        let images = reader.entries(node, |reader, key, value| {
            Some((key.text.clone(), read_source(reader, value, Role::Image)?))
        })?;
        Some(images.into_iter().collect::<BTreeMap<_, _>>())
    });
    let known = images.clone().unwrap_or_default();
    let read_files = |reader: &mut Reader, node: &Node| {
        let files = reader.entries(node, |reader, key, value| {
            if !is_inside(&key.text) || key.text.contains('/') {
                let message = format!("`{}` cannot be a file's key", key.text);
                let help = "use a word such as `kernel`";
                return reader.refuse("wrong-value", key.span, message, help);
            }
            Some((key.text.clone(), read_file(reader, value, &known)?))
        })?;
        Some(files.into_iter().collect::<BTreeMap<_, _>>())
    };
    let files = if fields.has("preset") {
        Some(
            fields
                .optional(reader, "files", read_files)
                .unwrap_or_default(),
        )
    } else {
        fields.required(reader, "files", read_files)
    };
    fields.finish(reader);
    Some(BundleSpec {
        name: name?.value,
        arch: arch?,
        expires,
        preset,
        images: images.unwrap_or_default(),
        files: files?,
    })
}

fn read_preset(reader: &mut Reader, node: &Node) -> Option<PresetUse> {
    if let Value::Scalar { .. } = node.value {
        let name = reader.text(node)?;
        return Some(PresetUse {
            name,
            mirror: None,
            keyring: None,
            release: None,
        });
    }
    let mut fields = reader.fields(node, "this preset")?;
    let name = fields.required(reader, "name", Reader::text);
    let mirror = fields.optional(reader, "mirror", Reader::text);
    let keyring = fields.optional(reader, "keyring", Reader::text);
    let release = fields.optional(reader, "release", Reader::text);
    fields.finish(reader);
    Some(PresetUse {
        name: name?,
        mirror,
        keyring,
        release,
    })
}

fn read_file(
    reader: &mut Reader,
    node: &Node,
    images: &BTreeMap<String, Source>,
) -> Option<SpecFile> {
    let mut fields = reader.fields(node, "this file")?;
    let path = fields.optional(reader, "path", read_path);
    if !fields.has("image") {
        let source = source_fields(reader, &mut fields, node, Role::File);
        fields.finish(reader);
        return Some(SpecFile {
            path,
            content: Content::Whole(source?),
        });
    }
    let image = fields.required(reader, "image", |reader, node| {
        let name = reader.text(node)?;
        if images.contains_key(&name) {
            return Some(name);
        }
        let help = match nearest(&name, images.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name it under `images`, or write `from` here".to_owned(),
        };
        let message = format!("no image `{name}`");
        reader.refuse("unknown-image", node.span, message, &help)
    });
    let member = fields.optional(reader, "member", read_path);
    fields.finish(reader);
    let image = image?;
    Some(SpecFile {
        path,
        content: match member {
            Some(member) => Content::Member { image, member },
            None => Content::Image(image),
        },
    })
}

/// What a source is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    File,
    Image,
    List,
}

fn read_source(reader: &mut Reader, node: &Node, role: Role) -> Option<Source> {
    let what = match role {
        Role::File => "this file",
        Role::Image => "this image",
        Role::List => "this list of checksums",
    };
    let mut fields = reader.fields(node, what)?;
    let source = source_fields(reader, &mut fields, node, role);
    fields.finish(reader);
    source
}

fn source_fields(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    node: &Node,
    role: Role,
) -> Option<Source> {
    let from = fields.required(reader, "from", Reader::text);
    let sha256 = fields.optional(reader, "sha256", |r, n| {
        r.parsed(n, "it as `sha256sum` prints it")
    });
    let checksums = fields.optional(reader, "checksums", |reader, node| {
        read_source(reader, node, Role::List)
    });
    let place = fields.optional(reader, "signature", Reader::text);
    let keyring = fields.optional(reader, "keyring", Reader::text);
    let minisign = fields.optional(reader, "minisign", Reader::text);
    let unverified = fields.optional(reader, "unverified", Reader::boolean);
    let keys = [("keyring", &keyring), ("minisign", &minisign)];
    let given: Vec<&str> = keys
        .iter()
        .filter(|(_, key)| key.is_some())
        .map(|(name, _)| *name)
        .collect();
    let signature = match (place, given.as_slice()) {
        (None, []) => None,
        (Some(place), [_]) => Some(Signature {
            place: match place.as_str() {
                "inline" => SignaturePlace::Inline,
                _ => SignaturePlace::Detached(place),
            },
            key: match keyring {
                Some(keyring) => SignatureKey::OpenPgp(keyring),
                None => SignatureKey::Minisign(minisign.unwrap_or_default()),
            },
        }),
        (None, given) => {
            let message = format!("{} without a `signature`", list(given));
            return reader.refuse(
                "no-signature",
                node.span.start_only(),
                message,
                "add `signature: URL`, a suffix such as `signature: .asc`, or `signature: inline`",
            );
        }
        (Some(_), _) => {
            return reader.refuse(
                "no-key",
                node.span.start_only(),
                "a signature needs one key that it must be made with",
                "add `keyring: FILE` for OpenPGP, or `minisign: KEY`",
            );
        }
    };
    let from = from?;
    let is_url = from.starts_with("https://") || from.starts_with("http://");
    let verified = ["sha256", "checksums", "signature"]
        .iter()
        .any(|check| fields.has(check));
    // Of a list that nobody signs, the build warns.
    if role != Role::List && is_url && !verified && unverified != Some(true) {
        reader.report(
            Diagnostic::error(
                "unverified",
                node.span.start_only(),
                format!("nothing verifies `{from}`"),
            )
            .help("add `sha256`, `checksums` or `signature`; or `unverified: true` to pin whatever comes"),
        );
        return None;
    }
    Some(Source {
        from,
        sha256,
        checksums: checksums.map(Box::new),
        signature,
        unverified: unverified.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<BundleSpec>, Vec<String>) {
        let file = SourceFile {
            name: "spec.yaml".into(),
            text: text.into(),
        };
        let (spec, diagnostics) = parse_spec(&file);
        let said = diagnostics.iter().map(|it| {
            let help = it.help.clone().unwrap_or_default();
            format!("{}: {} ({help})", it.code, it.message)
        });
        (spec, said.collect())
    }

    #[test]
    fn a_whole_spec_is_read() {
        let (spec, said) = parsed(
            "kind: BundleSpec\nname: a\narch: amd64\nexpires: 2027-05-01\nimages:\n  live:\n    \
             from: https://a.example/x*.iso\n    checksums: {from: https://a.example/SUMS, signature: .gpg, keyring: k.gpg}\n\
             files:\n  kernel: {image: live, member: casper/vmlinuz}\n  iso: {image: live, path: live.iso}\n  \
             extra: {from: ../extra.img}\n  signed: {from: 'http://a.example/s', signature: .minisig, minisign: RWQ}\n",
        );
        let spec = spec.unwrap_or_else(|| panic!("{said:#?}"));
        assert_eq!((spec.name.as_str(), spec.arch.as_str()), ("a", "x86_64"));
        let sums = spec.images["live"].checksums.as_ref().unwrap();
        assert_eq!(
            sums.signature,
            Some(Signature {
                place: SignaturePlace::Detached(".gpg".into()),
                key: SignatureKey::OpenPgp("k.gpg".into()),
            })
        );
        assert_eq!(
            spec.files["kernel"].content,
            Content::Member {
                image: "live".into(),
                member: "casper/vmlinuz".into()
            }
        );
        assert_eq!(spec.files["iso"].path.as_deref(), Some("live.iso"));
    }

    #[test]
    fn every_fault_of_a_spec_is_reported() {
        let head = "kind: BundleSpec\nname: a\narch: x86_64\n";
        for (text, expected) in [
            ("", "no-spec"),
            ("kind: Bundle\n", "unknown-kind: expected a `BundleSpec`"),
            (
                "files: {kernel: {from: 'http://a.example/k'}}\n",
                "unverified: nothing verifies",
            ),
            (
                "files: {kernel: {image: live}}\n",
                "unknown-image: no image `live`",
            ),
            (
                "images: {live: {from: a.iso}}\nfiles: {k: {image: liv}}\n",
                "did you mean `live`?",
            ),
            (
                "images: {l: {from: a}}\nfiles: {k: {image: l, member: ../../etc/passwd}}\n",
                "is not a path inside",
            ),
            (
                "files: {k: {from: a, path: /etc/passwd}}\n",
                "is not a path inside",
            ),
            ("files: {../k: {from: a}}\n", "cannot be a file's key"),
            ("files: {k: {from: a, signature: .sig}}\n", "no-key"),
            (
                "files: {k: {from: a, signature: .sig, keyring: k, minisign: m}}\n",
                "no-key",
            ),
            (
                "files: {k: {from: a, keyring: k}}\n",
                "no-signature: `keyring` without",
            ),
            (
                "files: {k: {from: a, sha256: 12}}\n",
                "is not a SHA-256 digest",
            ),
            (
                "files: {k: {from: a, sh256: 12}}\n",
                "did you mean `sha256`?",
            ),
            ("", "no-spec"),
            ("expires: 2027\nfiles: {k: {from: a}}\n", "wrong-value"),
        ] {
            let whole = match text {
                "" | "kind: Bundle\n" => text.to_owned(),
                _ => format!("{head}{text}"),
            };
            let (spec, said) = parsed(&whole);
            assert_eq!(spec, None, "{text}");
            assert!(
                said.iter().any(|said| said.contains(expected)),
                "{text}: {said:#?}"
            );
        }
        let (spec, said) = parsed(head);
        assert!(spec.is_none() && said.iter().any(|it| it.contains("no `files`")));
    }
}
