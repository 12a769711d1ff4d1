use super::*;

fn parsed(text: &str) -> (Option<BundleSpec>, Vec<String>) {
    let file = SourceFile {
        name: "spec.yaml".into(),
        text: text.into(),
    };
    let (spec, diagnostics) = parse_spec(&file);
    let messages = diagnostics.iter().map(|it| {
        let help = it.help.clone().unwrap_or_default();
        format!("{}: {} ({help})", it.code, it.message)
    });
    (spec, messages.collect())
}

#[test]
fn a_complete_spec_is_read() {
    let (spec, messages) = parsed(
        "kind: BundleSpec\nname: a\narch: amd64\nexpires: 2027-05-01\nimages:\n  live:\n    \
         from: https://a.example/x*.iso\n    checksums: {from: https://a.example/SUMS, signature: .gpg, keyring: k.gpg}\n\
         files:\n  kernel: {image: live, member: casper/vmlinuz}\n  iso: {image: live, path: live.iso}\n  \
         extra: {from: ../extra.img}\n  signed: {from: 'http://a.example/s', signature: .minisig, minisign: RWQ}\n",
    );
    let spec = spec.unwrap_or_else(|| panic!("{messages:#?}"));
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
fn every_error_of_a_spec_is_reported() {
    let head = "kind: BundleSpec\nname: a\narch: x86_64\n";
    for (text, expected) in [
        ("", "no-spec"),
        ("kind: Bundle\n", "unknown-kind: expected a `BundleSpec`"),
        (
            "files: {kernel: {from: 'http://a.example/k'}}\n",
            "unverified: `http://a.example/k` is not verified",
        ),
        (
            "files: {kernel: {image: live}}\n",
            "unknown-image: unknown image `live`",
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
        ("files: {../k: {from: a}}\n", "is not a valid file key"),
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
        let (spec, messages) = parsed(&whole);
        assert_eq!(spec, None, "{text}");
        assert!(
            messages.iter().any(|message| message.contains(expected)),
            "{text}: {messages:#?}"
        );
    }
    let (spec, messages) = parsed(head);
    assert!(spec.is_none() && messages.iter().any(|it| it.contains("no `files`")));
}
