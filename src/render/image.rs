//! Boot images: a FAT volume in memory, for firmware that boots one over HTTP.

use std::io::{self, Cursor, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

/// The smallest volume, in octets: below it there are too few clusters for FAT16.
const SMALLEST: u64 = 8 << 20;
/// Octets of a volume that hold no file: both tables, the root directory, and clusters half filled.
const OVERHEAD: u64 = 1 << 20;
/// Octets in a megabyte, to which volumes are rounded up.
const MEGABYTE: u64 = 1 << 20;

/// Builds a FAT volume without a partition table that holds `files`, each a path such as
/// `EFI/BOOT/BOOTX64.EFI` with its content. The same files make the same octets.
///
/// UEFI's HTTP boot makes a RAM disk of it. Source: UEFI 2.10 §24.7.2, §13.3.
///
/// # Errors
/// When a path cannot stand in a FAT volume.
pub fn fat_image(files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let content: u64 = files.iter().map(|(_, octets)| octets.len() as u64).sum();
    let size = (content + OVERHEAD)
        .next_multiple_of(MEGABYTE)
        .max(SMALLEST);
    let mut volume = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    let options = FormatVolumeOptions::new()
        .volume_id(0)
        .volume_label(*b"PXECTL     ");
    format_volume(Cursor::new(&mut volume[..]), options)?;
    {
        let system = FileSystem::new(Cursor::new(&mut volume[..]), FsOptions::new())?;
        let root = system.root_dir();
        for (path, octets) in files {
            for (end, _) in path.match_indices('/') {
                root.create_dir(&path[..end])?;
            }
            let mut file = root.create_file(path)?;
            file.write_all(octets)?;
            file.flush()?;
        }
    }
    Ok(volume)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_volume_holds_its_files_and_is_the_same_each_time() {
        let files = [
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), vec![7; 900_001]),
            ("EFI/BOOT/grubx64.efi".to_owned(), vec![8; 12 << 20]),
            ("grub/grub.cfg".to_owned(), b"echo\n".to_vec()),
        ];
        let volume = fat_image(&files).unwrap();
        assert_eq!(volume, fat_image(&files).unwrap());
        assert_eq!(volume.len() as u64 % MEGABYTE, 0);
        let system = FileSystem::new(Cursor::new(volume), FsOptions::new()).unwrap();
        for (path, octets) in files {
            let mut found = Vec::new();
            let mut file = system.root_dir().open_file(&path).unwrap();
            file.read_to_end(&mut found).unwrap();
            assert!(found == octets, "{path}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_is_an_error() {
        assert!(fat_image(&[("a/b:c".to_owned(), Vec::new())]).is_err());
    }
}
