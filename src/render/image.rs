//! Boot volumes: FAT volumes in memory, for firmware that boots over HTTP.

use std::io::{self, Cursor, Write};
use std::ops::Range;

use bytes::Bytes;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

/// The smallest volume, in bytes: a smaller one has too few clusters for FAT16.
const SMALLEST: u64 = 8 << 20;
/// The bytes of a volume that contain no file: both tables, the root directory, and partly used clusters.
const OVERHEAD: u64 = 1 << 20;
/// The bytes of a sector. Every cluster starts at a sector.
const SECTOR: usize = 512;
/// The bytes of a mebibyte, to which volumes are rounded up.
const MEGABYTE: u64 = 1 << 20;

/// The bytes reserved for a configuration. GRUB ignores the empty lines at its end.
const CONFIGURATION: usize = 4096;

/// A FAT volume without a partition table, which UEFI HTTP boot mounts as a RAM disk. The same files
/// give the same bytes, except for the configuration of each machine.
///
/// Source: UEFI 2.10 §24.7.2, §13.3.
#[derive(Debug)]
pub struct BootVolume {
    bytes: Bytes,
    /// The range of the configuration.
    configuration: Range<usize>,
}

impl BootVolume {
    /// Builds a volume that contains `files`, each a path such as `EFI/BOOT/BOOTX64.EFI` with its content,
    /// and space for a configuration at the path `configuration`.
    ///
    /// # Errors
    /// If a path is not valid in a FAT volume.
    pub fn new(files: &[(String, Vec<u8>)], configuration: &str) -> io::Result<Self> {
        let content: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let size = (content + OVERHEAD)
            .next_multiple_of(MEGABYTE)
            .max(SMALLEST);
        let mut volume = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        let options = FormatVolumeOptions::new()
            .volume_id(0)
            .volume_label(*b"PXECTL     ");
        format_volume(Cursor::new(&mut volume[..]), options)?;
        // The configuration is written first, so it is contiguous. The marker shows where it is.
        let marker: Vec<u8> = (0..CONFIGURATION)
            .map(|at| (at / 16) as u8 ^ at as u8)
            .collect();
        {
            let system = FileSystem::new(Cursor::new(&mut volume[..]), FsOptions::new())?;
            let room = [(configuration.to_owned(), marker.clone())];
            for (path, bytes) in room.iter().chain(files) {
                let root = system.root_dir();
                for (end, _) in path.match_indices('/') {
                    root.create_dir(&path[..end])?;
                }
                let mut file = root.create_file(path)?;
                file.write_all(bytes)?;
                file.flush()?;
            }
        }
        let mut places = volume.chunks_exact(SECTOR).enumerate();
        let start = places
            .find(|(at, _)| volume[at * SECTOR..].starts_with(&marker))
            .map(|(at, _)| at * SECTOR)
            .ok_or_else(|| io::Error::other("the configuration is not contiguous"))?;
        Ok(Self {
            bytes: volume.into(),
            configuration: start..start + CONFIGURATION,
        })
    }

    /// Returns the volume with a configuration, in three pieces of which two are shared. Returns `None` if
    /// the configuration is too long.
    pub fn with_configuration(&self, text: &[u8]) -> Option<[Bytes; 3]> {
        let mut own = text.to_vec();
        if own.len() > CONFIGURATION {
            return None;
        }
        own.resize(CONFIGURATION, b'\n');
        let Range { start, end } = self.configuration;
        let (before, after) = (self.bytes.slice(..start), self.bytes.slice(end..));
        Some([before, own.into(), after])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn files() -> [(String, Vec<u8>); 2] {
        [
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), vec![7; 900_001]),
            ("EFI/BOOT/grubx64.efi".to_owned(), vec![8; 12 << 20]),
        ]
    }

    #[test]
    fn a_volume_contains_its_files_and_the_configuration_of_each_machine() {
        let volume = BootVolume::new(&files(), "grub/grub.cfg").unwrap();
        let again = BootVolume::new(&files(), "grub/grub.cfg").unwrap();
        assert_eq!(volume.bytes, again.bytes);
        assert_eq!(volume.bytes.len() as u64 % MEGABYTE, 0);
        for text in ["echo one\n", "echo another\n"] {
            let pieces = volume.with_configuration(text.as_bytes()).unwrap();
            let whole = pieces.concat();
            assert_eq!(whole.len(), volume.bytes.len());
            let system = FileSystem::new(Cursor::new(whole), FsOptions::new()).unwrap();
            let content = |path: &str| {
                let mut found = Vec::new();
                let mut file = system.root_dir().open_file(path).unwrap();
                file.read_to_end(&mut found).unwrap();
                found
            };
            let configuration = String::from_utf8(content("grub/grub.cfg")).unwrap();
            assert_eq!(configuration.trim_end_matches('\n').to_owned() + "\n", text);
            for (path, bytes) in files() {
                assert!(content(&path) == bytes, "{path}");
            }
        }
        assert_eq!(volume.with_configuration(&[b'x'; CONFIGURATION + 1]), None);
    }

    #[test]
    fn an_invalid_path_is_an_error() {
        assert!(BootVolume::new(&[("a/b:c".to_owned(), Vec::new())], "x").is_err());
    }
}
