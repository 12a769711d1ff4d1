use std::time::Duration;

use super::Allowance;
use crate::wire::tftp::{Mode, OptionName, Request, TransferOption};

/// The block size without negotiation. Source: RFC 1350 §2.
const DEFAULT_BLOCK_SIZE: u16 = 512;

/// The limits of the server for a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// The largest block size, in bytes.
    pub block_size: u16,
    /// The largest number of blocks before an acknowledgment.
    pub window_size: u16,
    /// The number of ports from which the port of the transfer is drawn.
    pub ports: u32,
}

impl TransferLimits {
    /// The largest window of a peer: a larger burst only overruns receivers.
    pub const WINDOW_SIZE: u16 = 64;

    /// The largest value of `blksize`. Source: RFC 2348.
    const BLOCK_SIZE: u32 = 65_464;

    /// Returns the limits for a path that carries IP packets of `mtu` bytes without fragments.
    ///
    /// `cap` shrinks the block size further, for a client that fails with its own choice. The path
    /// never takes it below 512, the size that every client must take.
    pub fn for_mtu(mtu: u32, cap: Option<u16>) -> Self {
        const IP_UDP_AND_TFTP_HEADERS: u32 = 20 + 8 + 4;
        let room = mtu
            .saturating_sub(IP_UDP_AND_TFTP_HEADERS)
            .min(Self::BLOCK_SIZE) as u16;
        Self {
            block_size: room.max(DEFAULT_BLOCK_SIZE).min(cap.unwrap_or(u16::MAX)),
            window_size: Self::WINDOW_SIZE,
            ports: u32::from(u16::MAX),
        }
    }

    /// Returns these limits for a transfer whose port is drawn from `ports` ports. An ACK may pay for less
    /// than the path carries, see [`Allowance`].
    pub fn with_ports(self, ports: u32) -> Self {
        let block_size = self.block_size.min(Allowance::largest_block(ports));
        Self {
            block_size,
            ports,
            ..self
        }
    }
}

/// The negotiated values of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The size in bytes of every block except the last.
    pub block_size: u16,
    /// Blocks before an acknowledgment.
    pub window_size: u16,
    /// The retransmission timeout that the peer chose.
    pub timeout: Option<Duration>,
    /// The options of the OACK. Without options, no OACK is sent.
    pub acknowledged: Vec<TransferOption>,
}

/// Chooses the values of a transfer of `size` bytes.
///
/// Only requested options are acknowledged, in the requested order, and values only shrink; edk2 ends a
/// transfer whose OACK contains anything else. RFC 2347 requires that an
/// option is omitted if it is unknown, out of range or repeated. `tsize` is omitted in netascii mode, in
/// which the bytes on the wire differ from those of the file.
///
/// Source: RFC 2347, RFC 2348, RFC 2349, RFC 7440.
pub fn negotiate(request: &Request, size: u64, limits: TransferLimits) -> Agreement {
    let mut agreement = Agreement {
        block_size: DEFAULT_BLOCK_SIZE,
        window_size: 1,
        timeout: None,
        acknowledged: Vec::new(),
    };
    // The window depends on the block size, in either order of the options.
    let mut requested = request.options.iter().filter_map(|option| {
        let number: u64 = option.value.parse().ok()?;
        (option.name == OptionName::BlockSize && number >= 8).then_some(number)
    });
    if let Some(requested) = requested.next() {
        agreement.block_size = shrink(requested, limits.block_size);
    }
    let paid = Allowance::largest_window(limits.ports, agreement.block_size);
    let window_size = limits.window_size.min(paid);
    for option in &request.options {
        let is_same = |known: &TransferOption| known.name == option.name;
        let Ok(requested) = option.value.parse::<u64>() else {
            continue;
        };
        if agreement.acknowledged.iter().any(is_same) {
            continue;
        }
        let value = match option.name {
            OptionName::BlockSize if requested >= 8 => u64::from(agreement.block_size),
            OptionName::WindowSize if requested >= 1 => {
                agreement.window_size = shrink(requested, window_size);
                u64::from(agreement.window_size)
            }
            OptionName::Timeout if (1..=255).contains(&requested) => {
                agreement.timeout = Some(Duration::from_secs(requested));
                requested
            }
            OptionName::TransferSize if request.mode == Mode::Octet => size,
            _ => continue,
        };
        agreement.acknowledged.push(TransferOption {
            name: option.name.clone(),
            value: value.to_string(),
        });
    }
    agreement
}

fn shrink(requested: u64, limit: u16) -> u16 {
    u16::try_from(requested).map_or(limit, |requested| requested.min(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tftp::Packet;

    /// Negotiates for a file of 1,000 bytes over Ethernet; options as `name=value` words.
    fn acknowledged(mode: &str, options: &str) -> String {
        acknowledged_among(28_232, mode, options)
    }

    /// The same with a port that is drawn from `ports` ports.
    fn acknowledged_among(ports: u32, mode: &str, options: &str) -> String {
        let options = options.replace(['=', ' '], "\0");
        let bytes = format!("\0\x01file\0{mode}\0{options}\0");
        let Ok(Packet::Request(request)) = Packet::parse(bytes.as_bytes()) else {
            panic!("`{options}` makes no request");
        };
        negotiate(
            &request,
            1000,
            TransferLimits::for_mtu(1500, None).with_ports(ports),
        )
        .acknowledged
        .iter()
        .map(|option| format!("{}={}", option.name.text(), option.value))
        .collect::<Vec<_>>()
        .join(" ")
    }

    #[test]
    fn only_requested_options_are_acknowledged_and_values_only_shrink() {
        for (requested, expected) in [
            ("", ""),
            ("tsize=0", "tsize=1000"),
            ("blksize=1468", "blksize=1468"),
            ("blksize=8192", "blksize=1468"),
            ("blksize=99999", "blksize=1468"),
            ("blksize=8", "blksize=8"),
            ("blksize=7", ""),
            ("blksize=many", ""),
            ("BLKSIZE=1024 TSize=0", "blksize=1024 tsize=1000"),
            ("windowsize=4", "windowsize=4"),
            ("windowsize=65535", "windowsize=64"),
            ("windowsize=0", ""),
            ("timeout=3", "timeout=3"),
            ("timeout=0", ""),
            ("timeout=256", ""),
            ("multicast=1 tsize=0", "tsize=1000"),
            (
                "windowsize=4 tsize=0 blksize=1468",
                "windowsize=4 tsize=1000 blksize=1468",
            ),
            ("blksize=600 blksize=700", "blksize=600"),
        ] {
            assert_eq!(acknowledged("octet", requested), expected, "{requested}");
        }
        assert_eq!(
            acknowledged("netascii", "tsize=0 blksize=600"),
            "blksize=600"
        );
    }

    #[test]
    fn a_window_is_at_most_what_an_ack_pays_for() {
        for (ports, requested, expected) in [
            (1, "windowsize=4 blksize=1468", "windowsize=1 blksize=896"),
            (1, "windowsize=8", "windowsize=1"),
            (1, "blksize=100 windowsize=8", "blksize=100 windowsize=7"),
            (
                16,
                "windowsize=64 blksize=1468",
                "windowsize=9 blksize=1468",
            ),
            (16, "windowsize=4 blksize=1468", "windowsize=4 blksize=1468"),
            (
                104,
                "blksize=1468 windowsize=64",
                "blksize=1468 windowsize=64",
            ),
        ] {
            assert_eq!(
                acknowledged_among(ports, "octet", requested),
                expected,
                "{ports} {requested}"
            );
        }
    }

    #[test]
    fn block_sizes_fit_the_path_and_the_hosts_cap() {
        for (mtu, cap, expected) in [
            (1500, None, 1468),
            (1500, Some(1024), 1024),
            (9000, None, 8968),
            (65_536, None, 65_464),
            (1400, Some(2000), 1368),
            (300, None, 512),
            (1500, Some(256), 256),
        ] {
            assert_eq!(
                TransferLimits::for_mtu(mtu, cap).block_size,
                expected,
                "{mtu} {cap:?}"
            );
        }
    }
}
