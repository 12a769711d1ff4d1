//! Copies of directories.

use std::fs;
use std::path::Path;

/// Copies everything below a directory into another, which may exist.
pub fn copy_tree(from: &Path, to: &Path) {
    copy_files(from, to);
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            copy_tree(&path, &to.join(path.file_name().expect("a name")));
        }
    }
}

/// Copies the files of a directory into another, in place where they exist.
pub fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
}
