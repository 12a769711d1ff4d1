//! Memory that the kernel writes frames into, and that we read without a system call.
//!
//! Source: `Documentation/networking/packet_mmap.rst` of Linux.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::system;

/// The size of a block. The kernel releases a block that is full, or older than [`AGE`].
const BLOCK: usize = 1 << 20;
/// The number of blocks: enough for a second at full speed while the disk is slow. Fewer blocks are used
/// if the kernel has not enough memory.
const BLOCKS: [usize; 3] = [64, 16, 4];
/// The age at which the kernel releases a block that is not full.
pub const AGE: Duration = Duration::from_millis(20);
/// The kernel requires a frame size, but fills blocks without regard to it.
const FRAME: usize = 2048;
/// The type of a tag whose type is not known.
const VLAN: u16 = 0x8100;

/// The blocks of one socket.
#[derive(Debug)]
pub struct Ring {
    memory: NonNull<u8>,
    length: usize,
    /// The block that the kernel releases next.
    next: usize,
}

/// A frame in a block.
#[derive(Debug)]
pub struct RingFrame<'a> {
    pub at: Timestamp,
    pub bytes: &'a [u8],
    /// The length on the network, in bytes.
    pub sent: usize,
    /// The VLAN tag that the kernel removed.
    pub tag: Option<[u8; 4]>,
    /// Whether this machine sent the frame.
    pub is_outgoing: bool,
}

impl Ring {
    /// Creates the blocks of a socket that is not bound yet.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(socket: &impl AsFd) -> io::Result<Self> {
        let socket = socket.as_fd();
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        system::set(socket, libc::PACKET_VERSION, &version)?;
        let mut made = Err(io::ErrorKind::OutOfMemory.into());
        let mut length = 0;
        for blocks in BLOCKS {
            length = blocks * BLOCK;
            let request = libc::tpacket_req3 {
                tp_block_size: BLOCK as u32,
                tp_block_nr: blocks as u32,
                tp_frame_size: FRAME as u32,
                tp_frame_nr: (length / FRAME) as u32,
                tp_retire_blk_tov: AGE.as_millis() as u32,
                tp_sizeof_priv: 0,
                tp_feature_req_word: 0,
            };
            made = system::set(socket, libc::PACKET_RX_RING, &request);
            if made.is_ok() {
                break;
            }
        }
        made?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses, of the memory that it just created.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                access,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(memory.cast::<u8>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => Ok(Self {
                memory,
                length,
                next: 0,
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Returns the number of blocks.
    pub fn blocks(&self) -> usize {
        self.length / BLOCK
    }

    /// Reads the frames of the next block, if the kernel has released it. Returns whether it has.
    pub fn take_block(&mut self, mut take: impl FnMut(RingFrame<'_>)) -> bool {
        /// The offset of the word that tells who owns a block. Source: `struct tpacket_block_desc`.
        const STATUS: usize = 8;
        let start = self.next * BLOCK;
        // SAFETY: within the mapping, aligned to 8; the kernel writes it as one word, too.
        let status = unsafe {
            let status = self.memory.as_ptr().add(start + STATUS).cast::<u32>();
            AtomicU32::from_ptr(status)
        };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: within the mapping; the kernel does not write into a released block.
        let block = unsafe { slice::from_raw_parts(self.memory.as_ptr().add(start), BLOCK) };
        frames(block, &mut take);
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks();
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` created, which nothing borrows any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.length) };
    }
}

/// Iterates over the frames of a block.
///
/// Source: `struct tpacket_hdr_v1`, `struct tpacket3_hdr`, `struct sockaddr_ll`.
fn frames(block: &[u8], take: &mut impl FnMut(RingFrame<'_>)) {
    const COUNT: usize = 12;
    const FIRST: usize = 16;
    let u32_at = |at: usize| {
        let bytes = block.get(at..).and_then(<[u8]>::first_chunk);
        u32::from_ne_bytes(bytes.copied().unwrap_or_default())
    };
    let u16_at = |at: usize| {
        let bytes = block.get(at..).and_then(<[u8]>::first_chunk);
        u16::from_ne_bytes(bytes.copied().unwrap_or_default())
    };
    let mut at = u32_at(FIRST) as usize;
    for _ in 0..u32_at(COUNT) {
        let [next, seconds, nanoseconds, kept, sent, status] =
            [0, 4, 8, 12, 16, 20].map(|field| u32_at(at + field));
        let start = at + usize::from(u16_at(at + 24));
        let bytes = block.get(start..start + kept as usize);
        let tag = (status & libc::TP_STATUS_VLAN_VALID != 0).then(|| {
            let kind = match status & libc::TP_STATUS_VLAN_TPID_VALID {
                0 => VLAN,
                _ => u16_at(at + 36),
            };
            let [a, b] = kind.to_be_bytes();
            let [c, d] = (u32_at(at + 32) as u16).to_be_bytes();
            [a, b, c, d]
        });
        // The address of the frame follows its header.
        let kind = block.get(at + size_of::<libc::tpacket3_hdr>() + 10);
        let at_time = Timestamp::new(seconds.into(), nanoseconds.min(999_999_999) as i32);
        if let (Some(bytes), Ok(at)) = (bytes, at_time) {
            take(RingFrame {
                at,
                bytes,
                sent: (sent as usize).max(bytes.len()),
                tag,
                is_outgoing: kind == Some(&libc::PACKET_OUTGOING),
            });
        }
        if next == 0 {
            break;
        }
        at += next as usize;
    }
}
