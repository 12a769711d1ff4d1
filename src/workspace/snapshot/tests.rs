use super::*;

#[test]
fn documents_and_templates_are_read_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.yaml", "b"),
        ("a.yaml", "a"),
        ("t.hbs", "t"),
        (".hidden.yaml", "x"),
        ("c.txt", "x"),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let snapshot = Snapshot::read_settled(directory.path(), || true).unwrap();
    let texts: Vec<_> = snapshot
        .files()
        .iter()
        .map(|file| file.text.as_str())
        .collect();
    assert_eq!(texts, ["a", "b", "t"]);
    assert_eq!(snapshot.documents, 2);
}

#[test]
fn the_same_content_has_the_same_digest_wherever_it_lies() {
    let digest = |name: &str, text: &str| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), text).unwrap();
        Snapshot::read(directory.path()).unwrap().digest()
    };
    let one = digest("a.yaml", "kind: Host");
    assert_eq!(digest("a.yaml", "kind: Host"), one);
    for (name, text) in [("b.yaml", "kind: Host"), ("a.yaml", "kind: Hosts")] {
        assert_ne!(digest(name, text), one, "{name} {text}");
    }
}

#[test]
fn a_broken_inventory_still_names_its_site_and_hosts() {
    let rows = [
        (
            "kind: Site\nname: a\n---\nkind: Host\nname: h\n",
            Some("a"),
            "h",
        ),
        (
            "kind: Site\nname: a\n---\nkind: Host\nname: {\n",
            Some("a"),
            "",
        ),
        (
            "kind: Site\nname: ../../etc\n---\nkind: Host\nname: h\n",
            None,
            "h",
        ),
        ("kind: Site\nname: a\n---\nkind: Site\nname: b\n", None, ""),
    ];
    for (text, site, hosts) in rows {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), text).unwrap();
        let snapshot = Snapshot::read(directory.path()).unwrap();
        assert!(snapshot.check().good.is_none(), "{text}");
        let expected = Names {
            signatures: (text.matches("kind: Site").count() == 1).then(Default::default),
            site: site.map(str::to_owned),
            bundles: None,
            hosts: hosts.split_whitespace().map(str::to_owned).collect(),
        };
        assert_eq!(snapshot.names(), expected, "{text}");
    }
}

#[test]
fn a_file_with_the_wrong_ending_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hosts.yml"), "kind: Host\n").unwrap();
    let diagnostics = Snapshot::read(directory.path())
        .unwrap()
        .check()
        .diagnostics;
    assert!(
        diagnostics
            .iter()
            .any(|diagnostic| diagnostic.code == "passed-over"),
        "{diagnostics:?}"
    );
}

#[test]
fn an_unreadable_file_hides_no_error_of_another() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), directory.path().join("a.hbs")).unwrap();
    fs::create_dir(directory.path().join("b.yaml")).unwrap();
    fs::write(directory.path().join("c.yaml"), "\u{feff}kind: Hots\n").unwrap();
    let snapshot = Snapshot::read(directory.path()).unwrap();
    let Checked {
        good, diagnostics, ..
    } = snapshot.check();
    assert!(good.is_none());
    let place = |diagnostic: &Diagnostic| {
        let span = diagnostic.span()?;
        let file = &snapshot.files()[span.file as usize];
        Some((file_name(file), file.position(span.start).column))
    };
    let found: Vec<_> = diagnostics.iter().map(|it| (it.code, place(it))).collect();
    let expected = [
        ("no-site", None),
        ("unusable-file", Some(("a.hbs", 1))),
        ("unusable-file", Some(("b.yaml", 1))),
        // The byte order mark before it takes no room.
        ("unknown-kind", Some(("c.yaml", 7))),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_template_error_is_shown_in_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
    for entry in fs::read_dir(fixture).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    for name in ["install", "hold", "local", "identify"] {
        let name = format!("{name}.ipxe.hbs");
        let path = directory.path().join(&name);
        fs::write(&path, "#!ipxe\necho {{host.nmae}} {{typo}}\n").unwrap();
        let snapshot = Snapshot::read(directory.path()).unwrap();
        let checked = snapshot.check();
        assert!(checked.good.is_none(), "{name}");
        let text: String = checked
            .diagnostics
            .iter()
            .map(|d| {
                d.to_text(
                    &crate::inventory::Sources::new(snapshot.files(), &[]),
                    false,
                )
            })
            .collect();
        for (place, path) in [("2:6", "host.nmae"), ("2:20", "typo")] {
            assert!(text.contains(&format!("{name}:{place}\n")), "{text}");
            assert!(
                text.contains(&format!("unknown variable `{path}`")),
                "{text}"
            );
        }
        let help = if name.starts_with("install") {
            "render HOST --context"
        } else {
            "see TEMPLATES in pxectl-inventory(5)"
        };
        assert_eq!(text.matches(help).count(), 2, "{text}");
        assert_eq!(checked.diagnostics.len(), 2, "{text}");
        fs::remove_file(path).unwrap();
    }
}
