use std::fs::File;
use std::os::fd::AsRawFd;

/// How many bytes are written to the page cache before the disk begins to write them.
const PIECE: u64 = 8 << 20;

/// Lets the disk write what is in the page cache already, while the rest of a file is copied. Without it, a
/// large file waits in the page cache until it is synced at its end, and the disk idles until then.
#[derive(Debug)]
pub struct Writeback {
    /// How many bytes of the file are in the page cache or on the disk.
    written: u64,
    /// How many of them the disk has or is writing.
    started: u64,
}

impl Writeback {
    /// Begins at an offset of the file, in bytes.
    pub fn from(offset: u64) -> Self {
        Self {
            written: offset,
            started: offset,
        }
    }

    /// Counts bytes that were written to the end of the file.
    pub fn advance(&mut self, file: &File, bytes: usize) {
        self.written += bytes as u64;
        let pending = self.written - self.started;
        if pending >= PIECE {
            start(file, self.started, pending);
            self.started = self.written;
        }
    }
}

/// Starts to write a range of a file to the disk. It is only a hint: the file is durable after its sync.
fn start(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the call takes numbers only, and `file` keeps the descriptor open.
    let _ = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}
