use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::{FileError, FileRoots, OpenedFile, Surroundings};
use crate::inventory::Inventory;
use crate::lint::boot_file::{BootFile, HEAD};
use crate::lint::{LoaderFile, LoaderFiles, loader_names};

/// The largest loader that is read completely, in bytes.
const SIZE_LIMIT: u64 = 1 << 30;

/// Reads every file that the inventory in `directory` names as a loader, or that a loader requests.
pub fn read_loaders(
    inventory: &Inventory,
    directory: &Path,
    surroundings: Surroundings,
) -> LoaderFiles {
    let roots = inventory.site.server.files.iter();
    let roots: Vec<PathBuf> = roots.map(|root| directory.join(root)).collect();
    let absent_roots = (0..roots.len()).filter(|index| !roots[*index].exists());
    let absent_roots = absent_roots.collect();
    let files = FileRoots::new(roots, surroundings);
    let files = loader_names(inventory)
        .into_iter()
        .map(|name| {
            let file = read(&files, &name);
            (name, file)
        })
        .collect();
    LoaderFiles {
        files,
        absent_roots,
    }
}

fn read(files: &FileRoots, name: &str) -> LoaderFile {
    let opened = match files.open(name) {
        Ok(opened) => opened,
        Err(FileError::NotFound { .. }) => return LoaderFile::Absent,
        Err(error) => return LoaderFile::Refused(error.to_string()),
    };
    let path = opened.path.clone();
    match read_content(opened) {
        Ok(content) => LoaderFile::Read(BootFile::read(&content)),
        Err(error) => LoaderFile::Refused(format!("cannot read `{}`: {error}", path.display())),
    }
}

/// Reads as much of a file as its format requires.
fn read_content(opened: OpenedFile) -> io::Result<Vec<u8>> {
    let OpenedFile { mut file, size, .. } = opened;
    let mut content = Vec::new();
    (&mut file).take(HEAD as u64).read_to_end(&mut content)?;
    if BootFile::is_needed_whole(&content) {
        if size > SIZE_LIMIT {
            let text = "it exceeds 1 GiB";
            return Err(io::Error::other(text));
        }
        file.take(SIZE_LIMIT).read_to_end(&mut content)?;
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::inventory::site_builder::inventory_of;

    /// An inventory whose loaders are `a` and `b`, in the directories `one` and `two`.
    fn inventory() -> Inventory {
        let text = "kind: Site\nname: s\nserver: {address: 10.20.0.10, files: [one, two]}\n\
                    networks: []\nloaders: {uefi-x64: {first: a, second: b}, uefi-ia32: a}\n";
        inventory_of(text)
    }

    #[test]
    fn loaders_are_read_from_the_served_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let inventory = inventory();
        let read = || read_loaders(&inventory, directory.path(), Surroundings::machine());
        let found = read();
        assert_eq!(found.absent_roots, [0, 1]);
        assert_eq!(found.files["a"], LoaderFile::Absent);

        fs::create_dir(at("two")).expect("a directory");
        fs::write(at("two/a"), "#!ipxe\n").expect("a file");
        fs::create_dir(at("two/b")).expect("a directory");
        let found = read();
        assert_eq!(found.absent_roots, [0]);
        assert_eq!(found.files["a"], LoaderFile::Read(BootFile::Script));
        let refused = LoaderFile::Refused(format!(
            "`{}` is not a regular file",
            fs::canonicalize(at("two/b")).expect("a path").display()
        ));
        assert_eq!(found.files["b"], refused);
        assert_eq!(found.files.len(), 2);
    }

    #[test]
    fn only_pe_images_are_read_completely() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        for (magic, expected) in [("MZ", 3 * HEAD), ("##", HEAD)] {
            let mut content = magic.as_bytes().to_vec();
            content.resize(3 * HEAD, 0);
            fs::write(&path, &content).expect("a file");
            let files = FileRoots::new(vec![directory.path().to_owned()], Surroundings::machine());
            let opened = files.open("file").expect("the file");
            assert_eq!(
                read_content(opened).expect("content").len(),
                expected,
                "{magic}"
            );
        }
    }
}
