//! Finds files whose records have only a part of their size.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::record::{Iso9660Error, Record};
use super::{DIRECTORY_LIMIT, Iso9660};

/// The number of sizes that a record can hold. genisoimage with `-allow-limited-size` writes the size modulo
/// this number; only the UDF file system beside it has the whole size.
const SIZES: u64 = 1 << 32;
/// The most bytes of directories that are read.
const TREE_LIMIT: u64 = 4 * DIRECTORY_LIMIT;

impl<R: Read + Seek> Iso9660<R> {
    /// Reports whether a file may be larger than its record states: whether at least 4 GiB follow it that
    /// belong to no other file.
    pub(super) fn may_be_cut(&mut self, parts: &[(u64, u64)]) -> Result<bool, Iso9660Error> {
        let Some(&(place, size)) = parts.last() else {
            return Ok(false);
        };
        let end = place.saturating_add(size);
        // An appended partition is not part of the volume.
        let volume_end = match self.primary.size {
            0 => self.length,
            size => size.min(self.length),
        };
        if volume_end.saturating_sub(end) < SIZES {
            return Ok(false);
        }
        let next = self.next_extent(end)?.unwrap_or(volume_end);
        Ok(next - end >= SIZES)
    }

    /// Returns the offset of the first file or directory at or after an offset, in the whole image.
    fn next_extent(&mut self, end: u64) -> Result<Option<u64>, Iso9660Error> {
        let block_size = self.primary.block_size;
        let mut directories = vec![(self.primary.root.place, self.primary.root.size)];
        let (mut known, mut next, mut bytes_read) = (BTreeSet::new(), None::<u64>, 0);
        while let Some((place, size)) = directories.pop() {
            if !known.insert(place) {
                continue;
            }
            bytes_read += size;
            if bytes_read > TREE_LIMIT {
                return Err(Iso9660Error::Damaged("directories of more than 64 MiB"));
            }
            let bytes = self.directory((place, size))?;
            for record in Record::all(&bytes, block_size) {
                let record = record?;
                if record.is_directory {
                    directories.push((record.place, record.size));
                }
                if record.place >= end {
                    next = Some(next.map_or(record.place, |next| next.min(record.place)));
                }
            }
        }
        Ok(next)
    }
}
