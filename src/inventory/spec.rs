use std::collections::BTreeMap;

use jiff::civil::Date;

use super::bundle::{is_inside, read_arch, read_path};
use super::diagnostic::{Diagnostic, Severity, nearest, sort};
use super::reader::{Fields, Reader, list};
use super::source::SourceFile;
use super::tree::{self, Node, Value};
use crate::machine::Sha256Digest;

/// The `BundleSpec` document: the sources of a bundle's files, and how each is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSpec {
    /// The name of the bundle.
    pub name: String,
    /// The processor that its kernel is built for, as `uname -m` prints it.
    pub arch: String,
    /// The first day on which the bundle must not be installed.
    pub expires: Option<Date>,
    /// A distribution whose files are used.
    pub preset: Option<PresetUse>,
    /// ISO images and archives that contain several files.
    pub images: BTreeMap<String, SpecSource>,
    /// The files, by the keys that profiles and templates name.
    pub files: BTreeMap<String, SpecFile>,
}

/// The use of a preset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetUse {
    /// The preset's name.
    pub name: String,
    /// A mirror of the publisher's site: a URL or a directory. Default: the publisher's site.
    pub mirror: Option<String>,
    /// The publisher's keys, if not the preset's.
    pub keyring: Option<String>,
    /// The release in the publisher's paths, if the preset does not set it.
    pub release: Option<String>,
}

/// A file to download, and how it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecSource {
    /// A URL, or a path relative to the spec. For a file that verifies another one, a suffix such as
    /// `.asc` means the other file's URL with that suffix. A `*` matches any text in the names of the
    /// list that verifies it.
    pub from: String,
    /// The digest that it must have.
    pub sha256: Option<Sha256Digest>,
    /// The publisher's list of digests, which may be verified itself.
    pub checksums: Option<Box<SpecSource>>,
    /// The publisher's signature.
    pub signature: Option<Signature>,
    /// Whether it may be used without verification.
    pub unverified: bool,
}

/// A publisher's signature, and the required key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its location, as in `from`.
    pub place: SignaturePlace,
    /// The key.
    pub key: SignatureKey,
}

/// The location of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignaturePlace {
    /// In the same file, around the signed text.
    Inline,
    /// In a separate file.
    Detached(String),
}

/// The key of a signature.
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
    /// Its title in the OCI layout. Default: the last part of its source.
    pub path: Option<String>,
    /// Its source.
    pub content: Content,
}

/// The source of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The publisher's file.
    Whole(SpecSource),
    /// One of the spec's images.
    Image(String),
    /// A file inside one of the spec's images.
    Member {
        /// The image's name.
        image: String,
        /// The path inside the image.
        member: String,
    },
}

/// Reads the `BundleSpec` of a file, and reports every error.
pub fn parse_spec(file: &SourceFile) -> (Option<BundleSpec>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    let documents = tree::parse(0, &file.text, &mut reader.diagnostics);
    let spec = match documents.as_slice() {
        [document] => read(&mut reader, document),
        [] if !reader.diagnostics.is_empty() => None,
        [] => {
            let message = format!("`{}` contains no document", file.name);
            let empty = Diagnostic::new(Severity::Error, "no-spec", None, message);
            reader.report(empty.help("write `kind: BundleSpec`, `name`, `arch` and `files`"));
            None
        }
        [_, second, ..] => reader.refuse(
            "two-specs",
            second.span.start_only(),
            "this is the second document of the spec",
            "write each spec into its own file",
        ),
    };
    let mut diagnostics = reader.diagnostics;
    sort(&mut diagnostics, std::slice::from_ref(file));
    let good = diagnostics
        .iter()
        .all(|diagnostic| diagnostic.severity != Severity::Error);
    (spec.filter(|_| good), diagnostics)
}

/// Returns the name of the bundle in a file that contains only its document.
pub fn bundle_of(file: &SourceFile) -> Option<String> {
    let mut errors = Vec::new();
    let documents = tree::parse(0, &file.text, &mut errors);
    let ([document], []) = (documents.as_slice(), errors.as_slice()) else {
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

/// Reads one document. An inventory may also contain specs.
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
        r.parsed::<Date>(n, "a date such as `2027-05-01`")
    });
    let preset = fields.optional(reader, "preset", read_preset);
    let images = fields.optional(reader, "images", |reader, node| {
        let images = reader.entries(node, |reader, key, value| {
            Some((
                key.text.clone(),
                read_source(reader, value, SourceRole::Image)?,
            ))
        })?;
        Some(images.into_iter().collect::<BTreeMap<_, _>>())
    });
    let known = images.clone().unwrap_or_default();
    let read_files = |reader: &mut Reader, node: &Node| {
        let files = reader.entries(node, |reader, key, value| {
            if !is_inside(&key.text) || key.text.contains('/') {
                let message = format!("`{}` is not a valid file key", key.text);
                let help = "use a key such as `kernel`";
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
    images: &BTreeMap<String, SpecSource>,
) -> Option<SpecFile> {
    let mut fields = reader.fields(node, "this file")?;
    let path = fields.optional(reader, "path", read_path);
    if !fields.has("image") {
        let source = source_fields(reader, &mut fields, node, SourceRole::File);
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
            None => "add it to `images`, or use `from` here".to_owned(),
        };
        let message = format!("unknown image `{name}`");
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

/// The purpose of a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceRole {
    File,
    Image,
    List,
}

fn read_source(reader: &mut Reader, node: &Node, role: SourceRole) -> Option<SpecSource> {
    let what = match role {
        SourceRole::File => "this file",
        SourceRole::Image => "this image",
        SourceRole::List => "this list of checksums",
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
    role: SourceRole,
) -> Option<SpecSource> {
    let from = fields.required(reader, "from", Reader::text);
    let sha256 = fields.optional(reader, "sha256", |r, n| {
        r.parsed(n, "the digest as `sha256sum` prints it")
    });
    let checksums = fields.optional(reader, "checksums", |reader, node| {
        read_source(reader, node, SourceRole::List)
    });
    let place = fields.optional(reader, "signature", Reader::text);
    let keyring = fields.optional(reader, "keyring", Reader::text);
    let minisign = fields.optional(reader, "minisign", Reader::text);
    let unverified = fields.optional(reader, "unverified", Reader::boolean);
    let keys = [("keyring", &keyring), ("minisign", &minisign)];
    let key_names: Vec<&str> = keys
        .iter()
        .filter(|(_, key)| key.is_some())
        .map(|(name, _)| *name)
        .collect();
    let signature = match (place, key_names.as_slice()) {
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
        (None, key_names) => {
            let message = format!("{} without a `signature`", list(key_names));
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
                "a signature requires exactly one key",
                "add `keyring: FILE` for OpenPGP, or `minisign: KEY`",
            );
        }
    };
    let from = from?;
    let is_url = from.starts_with("https://") || from.starts_with("http://");
    let verified = ["sha256", "checksums", "signature"]
        .iter()
        .any(|check| fields.has(check));
    // The build warns about a list that is not verified.
    if role != SourceRole::List && is_url && !verified && unverified != Some(true) {
        reader.report(
            Diagnostic::error(
                "unverified",
                node.span.start_only(),
                format!("`{from}` is not verified"),
            )
            .help("add `sha256`, `checksums` or `signature`, or `unverified: true` to pin the download as it is"),
        );
        return None;
    }
    Some(SpecSource {
        from,
        sha256,
        checksums: checksums.map(Box::new),
        signature,
        unverified: unverified.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
