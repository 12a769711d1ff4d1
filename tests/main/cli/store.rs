//! `pxectl store`: backups, restores and copies, and files that are something else.

use pxectl::store::SqliteLeases;

use crate::support::rack::Rack;

const NO_BACKUP: &str = "\n  = help: use a file that `pxectl store backup` wrote, and check its path; to copy a store, use `pxectl store copy DIR`\n";

#[test]
fn a_file_that_is_not_a_backup_is_refused_with_what_it_is() {
    let rack = Rack::with_store();
    rack.write("empty", "");
    for (file, found) in [
        ("site.yaml", "a file that is not an SQLite database"),
        ("state/state.db", "a store"),
        ("empty", "an empty file"),
    ] {
        rack.pxectl(&format!("store restore {file} --state other"))
            .stderr(format!(
                "error: cannot restore the backup `{file}`: expected a backup made by `pxectl store \
                 backup`, found {found}{NO_BACKUP}"
            ))
            .status(3)
            .run();
        assert!(!rack.file("other").exists(), "{file}");
    }
}

#[test]
fn a_restore_names_the_next_step_and_replaces_no_leases() {
    let rack = Rack::with_store();
    rack.pxectl("store backup backup.db")
        .stdout("backed up `state` to `backup.db`\n")
        .run();
    rack.pxectl("store backup backup.db")
        .stderr(
            "error: cannot write the backup `backup.db`: the file already exists\n  \
             = help: choose another file: a backup never replaces one\n",
        )
        .status(3)
        .run();
    drop(SqliteLeases::open(&rack.file("other")).expect("leases"));
    let leases = std::fs::read(rack.file("other/leases.db")).expect("leases");
    rack.pxectl("store restore backup.db --state other")
        .stderr(
            "error: cannot use the store `other/leases.db`: leases without a store already exist\n  \
             = help: move `other/leases.db` away first: the leases of the backup would replace it\n",
        )
        .status(3)
        .run();
    assert_eq!(
        std::fs::read(rack.file("other/leases.db")).expect("leases"),
        leases
    );
    rack.pxectl("store restore backup.db --state third")
        .stdout("restored `third`: no session was open\n")
        .stderr(
            "next, start `pxectl serve`, check the phases with `pxectl host list`, and arm the hosts \
             that should install with `pxectl host provision`\n",
        )
        .run();
}

#[test]
fn a_copy_is_reported_as_a_copy_and_replaces_no_store() {
    let rack = Rack::with_store();
    rack.pxectl("store copy other")
        .stdout("copied `state` to `other`: no session was open\n")
        .stderr(
            "to use the copy, add `--state other`; `pxectl host provision` arms its hosts again\n",
        )
        .run();
    rack.pxectl("store copy other")
        .stderr(
            "error: cannot write the copy `other/state.db`: a store already exists\n  \
             = help: choose another directory for the copy, or move the store there away first\n",
        )
        .status(3)
        .run();
}
