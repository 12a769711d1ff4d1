use std::io::Read;
use std::os::unix::fs::symlink;

use super::*;

/// Two roots `a` and `b` beside a directory `secret` that is no root.
fn roots() -> (tempfile::TempDir, FileRoots) {
    let base = tempfile::tempdir().expect("a directory");
    for name in ["a", "b", "secret", "a/sub"] {
        std::fs::create_dir(base.path().join(name)).expect("a directory");
    }
    for name in ["a/one", "b/one", "b/two", "secret/key", "a/sub/deep"] {
        std::fs::write(base.path().join(name), name).expect("a file");
    }
    let roots = ["missing", "a", "b"].map(|name| base.path().join(name));
    let roots = FileRoots::new(roots.to_vec(), Surroundings::machine());
    (base, roots)
}

fn read(roots: &FileRoots, name: &str) -> Result<String, FileError> {
    let mut opened = roots.open(name)?;
    let mut text = String::new();
    opened.file.read_to_string(&mut text).expect("text");
    assert_eq!(opened.size, text.len() as u64);
    Ok(text)
}

/// Changes the permissions of a path.
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

fn only(root: &Path) -> FileRoots {
    FileRoots::new(vec![root.to_owned()], Surroundings::machine())
}

#[test]
fn a_file_that_others_may_not_read_is_not_served() {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("state.txt");
    std::fs::write(&path, "secret").expect("a file");
    chmod(&path, 0o640);
    let refused = only(base.path()).open("state.txt").expect_err("a refusal");
    let real = std::fs::canonicalize(&path).expect("a path");
    let expected = format!(
        "others may not read `{0}` (mode 640): to serve it, run `chmod o+r {0}`",
        real.display()
    );
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn others_must_be_able_to_enter_every_directory_below_the_root() {
    let (base, roots) = roots();
    let at = |name: &str| base.path().join(name);
    // The root itself is named by the operator.
    chmod(&at("a"), 0o700);
    assert_eq!(read(&roots, "sub/deep").ok().as_deref(), Some("a/sub/deep"));
    chmod(&at("a/sub"), 0o750);
    let refused = roots.open("sub/deep").expect_err("a refusal").to_string();
    assert!(
        refused.contains("may not enter") && refused.contains("chmod o+x "),
        "{refused}"
    );
    // A link from elsewhere is no way round it.
    symlink("../a/sub/deep", at("b/deep")).expect("a link");
    assert!(matches!(
        roots.open("deep"),
        Err(FileError::NotPublic { mode: 0o750, .. })
    ));
    // An entry of its own may be closed.
    let own = FileRoots::new(vec![at("a"), at("a/sub")], Surroundings::machine());
    assert_eq!(read(&own, "deep").ok().as_deref(), Some("a/sub/deep"));
}

#[test]
fn a_single_file_is_served_by_its_own_name_and_nothing_beside_it() {
    let (base, _) = roots();
    let at = |name: &str| base.path().join(name);
    symlink("../b/two", at("a/link")).expect("a link");
    let roots = FileRoots::new(
        vec![at("gone"), at("a/one"), at("a/link")],
        Surroundings::machine(),
    );
    assert_eq!(read(&roots, "one").ok().as_deref(), Some("a/one"));
    assert_eq!(read(&roots, "./link").ok().as_deref(), Some("b/two"));
    for name in ["two", "sub/deep", "one/one", "a/one", "gone", ".", ""] {
        let refused = roots.open(name);
        assert!(
            matches!(refused, Err(FileError::NotFound { .. })),
            "{name}: {refused:?}"
        );
    }
    // A directory's link may lead to it, and to nothing else.
    let roots = FileRoots::new(vec![at("a"), at("b/two")], Surroundings::machine());
    symlink("../b/one", at("a/other")).expect("a link");
    assert_eq!(read(&roots, "link").ok().as_deref(), Some("b/two"));
    assert!(matches!(
        roots.open("other"),
        Err(FileError::OutsideRoots { .. })
    ));
}

#[test]
fn a_loop_of_links_is_a_file_that_is_not_there() {
    let (base, roots) = roots();
    symlink("loop", base.path().join("a/loop")).expect("a link");
    for name in ["loop", "loop/file"] {
        let refused = roots.open(name);
        assert!(
            matches!(refused, Err(FileError::Loop { .. })),
            "{refused:?}"
        );
    }
    // Another entry may have it.
    std::fs::write(base.path().join("b/loop"), "b/loop").expect("a file");
    assert_eq!(read(&roots, "loop").ok().as_deref(), Some("b/loop"));
}

#[test]
fn an_entry_that_leads_elsewhere_later_is_checked_again() {
    let base = tempfile::tempdir().expect("a directory");
    let (entry, good) = (base.path().join("entry"), base.path().join("good"));
    std::fs::create_dir(&good).expect("a directory");
    std::fs::write(good.join("passwd"), "public").expect("a file");
    symlink(&good, &entry).expect("a link");
    let roots = only(&entry);
    assert_eq!(read(&roots, "passwd").ok().as_deref(), Some("public"));
    std::fs::remove_file(&entry).expect("no link");
    symlink("/etc", &entry).expect("a link");
    let refused = roots.open("passwd").expect_err("a refusal").to_string();
    assert!(refused.contains("leads to `/etc`"), "{refused}");
}

#[test]
fn the_first_root_that_has_the_name_wins() {
    let (_base, roots) = roots();
    for (name, expected) in [
        ("one", "a/one"),
        ("two", "b/two"),
        ("sub/deep", "a/sub/deep"),
        ("./sub//deep", "a/sub/deep"),
    ] {
        assert_eq!(read(&roots, name).ok().as_deref(), Some(expected));
    }
    for name in ["three", "one/deeper", "sub/three", &"x".repeat(300)] {
        assert!(matches!(roots.open(name), Err(FileError::NotFound { .. })));
    }
}

#[test]
fn links_lead_between_roots_and_never_out_of_them() {
    let (base, roots) = roots();
    let link = |target: &str, name: &str| {
        symlink(base.path().join(target), base.path().join(name)).expect("a link");
    };
    link("b/two", "a/into-b");
    link("b", "a/all-of-b");
    link("secret/key", "a/out");
    link("secret", "a/out-directory");
    link("gone", "a/dangling");
    symlink("../secret/key", base.path().join("a/relative-out")).expect("a link");
    assert_eq!(read(&roots, "into-b").ok().as_deref(), Some("b/two"));
    assert_eq!(read(&roots, "all-of-b/two").ok().as_deref(), Some("b/two"));
    for name in ["out", "out-directory/key", "relative-out"] {
        match roots.open(name) {
            Err(FileError::OutsideRoots { target, .. }) => {
                assert!(target.ends_with("secret/key"), "{target:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(
        roots.open("dangling"),
        Err(FileError::NotFound { .. })
    ));
}

#[test]
fn names_that_climb_are_refused_even_where_they_would_come_back() {
    let (base, roots) = roots();
    let absolute = base.path().join("a/one").display().to_string();
    for name in ["../secret/key", "sub/../one", "/etc/passwd", &absolute] {
        assert!(
            matches!(roots.open(name), Err(FileError::OutsideRoots { .. })),
            "{name}"
        );
    }
}

#[test]
fn only_regular_files_are_opened() {
    let (base, roots) = roots();
    // Opening a pipe that nobody writes to would block for good.
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, base.path().join("a/pipe"), FileType::Fifo, mode, 0).expect("a pipe");
    for name in ["pipe", "sub", "."] {
        assert!(
            matches!(roots.open(name), Err(FileError::NotAFile { .. })),
            "{name}"
        );
    }
}

#[test]
fn an_opened_file_stays_itself_when_its_name_is_taken_over() {
    let (base, roots) = roots();
    let mut opened = roots.open("one").expect("the file");
    let new = base.path().join("a/new");
    std::fs::write(&new, "something else").expect("a file");
    std::fs::rename(new, base.path().join("a/one")).expect("a rename");
    let mut text = String::new();
    opened.file.read_to_string(&mut text).expect("text");
    assert_eq!(text, "a/one");
}
