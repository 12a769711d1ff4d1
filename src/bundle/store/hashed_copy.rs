use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use sha2::{Digest, Sha256};

use crate::machine::Sha256Digest;

/// How many octets are read, hashed and written at once.
const PIECE: usize = 512 << 10;
/// How many pieces there are: one that is read or written, one that is hashed, and those between.
const PIECES: usize = 4;

/// Why a copy broke off.
#[derive(Debug)]
pub enum CopyError {
    /// The content cannot be read.
    Reading(io::Error),
    /// It cannot be written.
    Writing(io::Error),
}

/// Copies all that a reader gives, and hashes it meanwhile in a thread of its own. Returns how many
/// octets that was.
///
/// # Errors
/// When it cannot be read or written; the hasher has not changed then.
pub fn copy_hashed(
    content: &mut dyn Read,
    hasher: &mut Sha256,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, CopyError> {
    let mut first = vec![0; PIECE];
    let filled = fill(content, &mut first)?;
    first.truncate(filled);
    // What is small is done before a thread would have begun.
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
                // Nobody waits for the last ones.
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

/// Hashes all that a reader gives.
///
/// # Errors
/// When it cannot be read.
pub fn hash(mut content: impl Read) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    match copy_hashed(&mut content, &mut hasher, &mut |_| Ok(())) {
        Ok(_) => Ok(Sha256Digest::new(hasher.finalize().into())),
        Err(CopyError::Reading(error) | CopyError::Writing(error)) => Err(error),
    }
}

/// Reads and writes piece by piece; each goes to be hashed before it is written, and comes back.
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
        // The thread that hashes ends with this one alone.
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
            // It comes once it is hashed, and we are done with it too.
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

/// Reads till the buffer is full or the content ends.
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

    /// Gives no more than so many octets at once, and fails after the last.
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
    fn what_is_copied_and_what_is_hashed_is_what_was_read() {
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
                // Something was hashed before.
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
    fn a_copy_that_breaks_says_on_which_side() {
        let whole = vec![7; 6 * PIECE];
        for length in [10, 5 * PIECE] {
            let mut broken = Pieces(&whole[..length], usize::MAX, true);
            let copied = copy_hashed(&mut broken, &mut Sha256::new(), &mut |_| Ok(()));
            assert!(matches!(copied, Err(CopyError::Reading(_))), "{copied:?}");
        }
        for room in [0, 5 * PIECE] {
            let mut left = room;
            let copied = copy_hashed(&mut whole.as_slice(), &mut Sha256::new(), &mut |octets| {
                match left.checked_sub(octets.len()) {
                    Some(rest) => left = rest,
                    None => return Err(io::ErrorKind::StorageFull.into()),
                }
                Ok(())
            });
            assert!(matches!(copied, Err(CopyError::Writing(_))), "{copied:?}");
        }
    }
}
