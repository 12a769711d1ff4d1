//! A client of TFTP as a state machine, which checks every byte. It shares nothing with the server
//! that it measures.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// How long it hears nothing new before it says again what it said last.
pub const SILENCE: Duration = Duration::from_millis(300);
/// What it asks for, and what it gets from a server that knows no options.
const BLOCK_SIZE: usize = 1468;
const PLAIN_BLOCK_SIZE: usize = 512;

/// What is fetched, and how.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub name: &'a str,
    /// What the file holds.
    pub bytes: &'a [u8],
    /// Blocks that the server may send at once.
    pub window: u16,
    /// Every how many datagrams one is lost, in either direction; none where there is no loss.
    pub one_lost_of: Option<u64>,
}

/// One file on its way.
pub struct Fetch<'a> {
    wish: Wish<'a>,
    window: u16,
    block_size: usize,
    /// Bytes that have come, and are right.
    have: usize,
    /// Blocks that have come, and of those the ones since the last ACK.
    blocks: u64,
    unacknowledged: u16,
    /// The block out of order that came last.
    stray: Option<u16>,
    answered: bool,
    done: bool,
    heard_at: Instant,
    chance: Chance,
}

impl<'a> Fetch<'a> {
    /// Begins; `number` tells the losses of several clients apart.
    pub fn new(wish: Wish<'a>, number: u64, now: Instant) -> Self {
        Self {
            wish,
            window: 1,
            block_size: PLAIN_BLOCK_SIZE,
            have: 0,
            blocks: 0,
            unacknowledged: 0,
            stray: None,
            answered: false,
            done: false,
            heard_at: now,
            chance: Chance::new(number),
        }
    }

    /// Returns how many bytes have come so far.
    pub fn have(&self) -> usize {
        self.have
    }

    /// Reports whether all have come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Returns what the client says first.
    pub fn request(&self) -> Vec<u8> {
        let mut request = vec![0, 1];
        let (block_size, window) = (BLOCK_SIZE.to_string(), self.wish.window.to_string());
        let mut words = vec![self.wish.name, "octet", "blksize", &block_size];
        if self.wish.window > 1 {
            words.extend(["windowsize", &window]);
        }
        for word in words {
            request.extend(word.as_bytes());
            request.push(0);
        }
        request
    }

    /// Takes a datagram; returns the ACK to send now.
    ///
    /// # Errors
    /// When it holds what the file does not, or is an ERROR.
    pub fn receive(&mut self, datagram: &[u8], now: Instant) -> anyhow::Result<Option<[u8; 4]>> {
        if self.loses() {
            return Ok(None);
        }
        self.answered = true;
        let acknowledges = match datagram {
            [0, 3, high, low, payload @ ..] => {
                self.take(u16::from_be_bytes([*high, *low]), payload, now)?
            }
            [0, 6, options @ ..] if self.blocks == 0 => {
                self.agree(options)?;
                self.heard_at = now;
                true
            }
            [0, 5, _, code, text @ ..] => {
                let text = String::from_utf8_lossy(text);
                bail!("`{}`: ERROR {code}, {text}", self.wish.name)
            }
            _ => false,
        };
        let sends = acknowledges && !self.loses();
        Ok(sends.then(|| self.acknowledgement()))
    }

    /// Takes note of the time; returns what to say again.
    pub fn expire(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.done || now < self.heard_at + SILENCE {
            return None;
        }
        self.heard_at = now;
        self.stray = None;
        self.unacknowledged = 0;
        if !self.answered {
            return Some(self.request());
        }
        let sends = !self.loses();
        sends.then(|| self.acknowledgement().to_vec())
    }

    /// Takes the options of an OACK, without which the defaults stand.
    fn agree(&mut self, options: &[u8]) -> anyhow::Result<()> {
        let options = std::str::from_utf8(options)?;
        let mut words = options.split_terminator('\0');
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let number: u16 = value.parse().context("an option is no number")?;
            match name.to_ascii_lowercase().as_str() {
                "blksize" => self.block_size = usize::from(number),
                "windowsize" => self.window = number,
                _ => bail!("the option `{name}` was not asked for"),
            }
        }
        Ok(())
    }

    /// Takes a block; reports whether it is to be acknowledged now.
    fn take(&mut self, block: u16, payload: &[u8], now: Instant) -> anyhow::Result<bool> {
        if block != (self.blocks + 1) as u16 {
            // Once for all that were sent together: those that follow on a stray are part of it.
            let follows = self.stray.is_some_and(|it| block.wrapping_sub(it) == 1);
            self.stray = Some(block);
            self.unacknowledged = 0;
            return Ok(!follows);
        }
        let rest = &self.wish.bytes[self.have..];
        let length = self.block_size.min(rest.len());
        ensure!(
            payload == &rest[..length],
            "block {} of `{}` holds what the file does not",
            self.blocks + 1,
            self.wish.name
        );
        self.have += length;
        self.blocks += 1;
        self.stray = None;
        self.heard_at = now;
        self.unacknowledged += 1;
        self.done = length < self.block_size;
        let acknowledges = self.done || self.unacknowledged >= self.window;
        if acknowledges {
            self.unacknowledged = 0;
        }
        Ok(acknowledges)
    }

    fn acknowledgement(&self) -> [u8; 4] {
        let [high, low] = (self.blocks as u16).to_be_bytes();
        [0, 4, high, low]
    }

    /// Reports whether the network loses the next datagram. It loses none of the greeting, which
    /// peers begin anew on another port, nor the last ACK, for which nobody waits.
    fn loses(&mut self) -> bool {
        let begun = self.blocks > 0 && !self.done;
        let chance = &mut self.chance;
        let one_of = self.wish.one_lost_of.filter(|_| begun);
        one_of.is_some_and(|one_of| chance.next().is_multiple_of(one_of))
    }
}

/// A repeatable chance: every server meets the same. Source: Vigna's splitmix64.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
