use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use sha2::{Digest, Sha256};

use crate::machine::Sha256Digest;

/// How many bytes are read, hashed and written at a time.
const PIECE: usize = 128 << 10;
/// How many pieces exist: one that is read or written, one that is hashed, and the ones in between.
const PIECES: usize = 16;

/// Why a copy failed.
#[derive(Debug)]
pub enum CopyError {
    /// The reader failed.
    Reading(io::Error),
    /// The writer failed.
    Writing(io::Error),
}

/// Copies everything that a reader returns, and hashes it in a separate thread at the same time. Returns
/// the number of bytes.
///
/// # Errors
/// When the reader or the writer fails; the hasher is unchanged then.
pub fn copy_hashed(
    content: &mut dyn Read,
    hasher: &mut Sha256,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, CopyError> {
    let mut first = vec![0; PIECE];
    let filled = fill(content, &mut first)?;
    first.truncate(filled);
    // Small content is done before a thread would have started.
    if filled < PIECE {
        write(&first).map_err(CopyError::Writing)?;
        hasher.update(&first);
        return Ok(filled as u64);
    }
    let mut own = hasher.clone();
    let (own, copied) = thread::scope(|scope| {
        let (to_hash, coming) = mpsc::channel::<Arc<Vec<u8>>>();
        let (hashed, spent) = mpsc::channel();
        let hashing = scope.spawn(move || {
            for piece in coming {
                own.update(piece.as_slice());
                // Nothing receives the last pieces.
                let _ = hashed.send(piece);
            }
            own
        });
        let copied = pieces(content, write, first, &to_hash, &spent);
        drop(to_hash);
        let own = hashing.join();
        (
            own.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            copied,
        )
    });
    let copied = copied?;
    *hasher = own;
    Ok(copied)
}

/// Hashes everything that a reader returns.
///
/// # Errors
/// When the reader fails.
pub fn hash(mut content: impl Read) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    match copy_hashed(&mut content, &mut hasher, &mut |_| Ok(())) {
        Ok(_) => Ok(Sha256Digest::new(hasher.finalize().into())),
        Err(CopyError::Reading(error) | CopyError::Writing(error)) => Err(error),
    }
}

/// Reads and writes piece by piece; sends each piece to the hashing thread, which returns it.
fn pieces(
    content: &mut dyn Read,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    first: Vec<u8>,
    to_hash: &mpsc::Sender<Arc<Vec<u8>>>,
    spent: &mpsc::Receiver<Arc<Vec<u8>>>,
) -> Result<u64, CopyError> {
    let (mut copied, mut made) = (0, 1);
    let mut piece = first;
    loop {
        let shared = Arc::new(piece);
        // The hashing thread runs at least as long as this loop.
        let _ = to_hash.send(Arc::clone(&shared));
        write(&shared).map_err(CopyError::Writing)?;
        copied += shared.len() as u64;
        let is_last = shared.len() < PIECE;
        drop(shared);
        if is_last {
            return Ok(copied);
        }
        piece = if made < PIECES {
            made += 1;
            Vec::new()
        } else {
            // The piece returns when it is hashed; this loop has written it already.
            let back = spent.recv().ok().and_then(Arc::into_inner);
            back.unwrap_or_default()
        };
        piece.resize(PIECE, 0);
        let filled = fill(content, &mut piece)?;
        if filled == 0 {
            return Ok(copied);
        }
        piece.truncate(filled);
    }
}

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, CopyError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Reading(error)),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns at most so many bytes at a time, and can fail after the last.
    struct Pieces<'c>(&'c [u8], usize, bool);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            match self.0.read(&mut buffer[..most])? {
                0 if self.2 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn the_copy_and_the_hash_are_of_what_was_read() {
        let whole: Vec<u8> = (0..3 * PIECE as u32).flat_map(u32::to_le_bytes).collect();
        for length in [
            0,
            1,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            7 * PIECE,
            whole.len() - 5,
        ] {
            for most in [usize::MAX, 100_003] {
                let content = &whole[..length];
                let (mut hasher, mut written) = (Sha256::new(), Vec::<u8>::new());
                // The hasher has other content already.
                hasher.update(&b"head"[..]);
                let copied =
                    copy_hashed(&mut Pieces(content, most, false), &mut hasher, &mut |it| {
                        written.extend(it);
                        Ok(())
                    });
                assert_eq!(copied.unwrap(), length as u64);
                assert_eq!(written, content, "{length}");
                let all = [&b"head"[..], content].concat();
                let found = Sha256Digest::new(hasher.finalize().into());
                assert_eq!(found, Sha256Digest::of(&all), "{length}");
                assert_eq!(hash(content).unwrap(), Sha256Digest::of(content));
            }
        }
    }

    #[test]
    fn a_failed_copy_tells_which_side_failed() {
        let whole = vec![7; 6 * PIECE];
        for length in [10, 5 * PIECE] {
            let mut broken = Pieces(&whole[..length], usize::MAX, true);
            let copied = copy_hashed(&mut broken, &mut Sha256::new(), &mut |_| Ok(()));
            assert!(matches!(copied, Err(CopyError::Reading(_))), "{copied:?}");
        }
        for room in [0, 5 * PIECE] {
            let mut left = room;
            let copied = copy_hashed(&mut whole.as_slice(), &mut Sha256::new(), &mut |bytes| {
                match left.checked_sub(bytes.len()) {
                    Some(rest) => left = rest,
                    None => return Err(io::ErrorKind::StorageFull.into()),
                }
                Ok(())
            });
            assert!(matches!(copied, Err(CopyError::Writing(_))), "{copied:?}");
        }
    }
}
