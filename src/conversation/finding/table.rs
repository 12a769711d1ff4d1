use super::FindingKind;
use crate::inventory::Severity;

use FindingKind::*;
use Severity::{Error, Note, Warning};

/// One row of the table.
pub(super) struct FindingRow {
    pub kind: FindingKind,
    pub name: &'static str,
    pub severity: Severity,
    pub rule: &'static str,
    pub fix: &'static str,
}

const fn row(
    kind: FindingKind,
    name: &'static str,
    severity: Severity,
    rule: &'static str,
    fix: &'static str,
) -> FindingRow {
    FindingRow {
        kind,
        name,
        severity,
        rule,
        fix,
    }
}

/// The one table of findings: the name that `--fail-on` takes, how bad it is, the rule that was broken,
/// and what to do.
pub(super) const TABLE: [FindingRow; 35] = [
    row(
        Rogue,
        "rogue",
        Error,
        "one server gives addresses on a wire, and one says what to boot; which answer a client takes \
         is a race (PXE 2.1 §2.2; edk2, PxeBcSelectDhcp4Offer)",
        "switch the other DHCP server off on this wire, or let it own the addresses and write \
         `mode: proxy` for the network",
    ),
    row(
        NoAnswer,
        "no-answer",
        Error,
        "a DHCPDISCOVER is answered by a DHCPOFFER (RFC 2131 §3.1)",
        "is a server or a relay on this VLAN, and does the switch forward at once (spanning tree: \
         portfast)? `pxectl serve dhcp` logs why it ignores a machine",
    ),
    row(
        NoOfferTaken,
        "no-offer-taken",
        Error,
        "firmware requests an address only when an offer lets it boot (edk2, PxeBcSelectDhcp4Offer; \
         a BIOS ROM says PXE-E53)",
        "give it an address and a boot file for its architecture: in `siaddr`, `file`, 66 and 67",
    ),
    row(
        NoAcknowledgement,
        "no-ack",
        Error,
        "a DHCPREQUEST is answered by a DHCPACK or a DHCPNAK (RFC 2131 §3.1)",
        "see the log of the server that is named in option 54",
    ),
    row(
        Nak,
        "nak",
        Warning,
        "a DHCPNAK sends the client back to the start (RFC 2131 §3.1.5)",
        "two servers with different leases, or an address of another network: see which one refused",
    ),
    row(
        Declined,
        "declined",
        Error,
        "a client declines an address that somebody answers ARP for (RFC 2131 §3.1.5)",
        "find who uses the address (`arping`), and take it out of the pool or the reservation",
    ),
    row(
        BinlWithout4011,
        "binl-without-4011",
        Error,
        "option 60 `PXEClient` without discovery options in 43 makes the client ask on port 4011 (edk2, \
         PxeBcDhcp4.c; a BIOS ROM says PXE-E55)",
        "answer on port 4011, or leave option 60 out, or send 43.6 = 8 with it",
    ),
    row(
        WrongPort4011,
        "wrong-port-4011",
        Error,
        "the answer to a request on port 4011 comes from port 4011 (PXE 2.1 §2.2.3; iPXE drops others)",
        "let the server answer from the port it was asked on; look for address translation on the way",
    ),
    row(
        WrongLoader,
        "wrong-loader",
        Error,
        "a loader runs only under the firmware and on the processor that it is built for (option 93, \
         RFC 4578 §2.1)",
        "choose the file by option 93: `loaders:` in the site, `arch:` of the host",
    ),
    row(
        NoArchMapping,
        "no-arch-mapping",
        Error,
        "option 93 says which loader a client can run (RFC 4578 §2.1)",
        "choose the file by option 93: one loader for each architecture",
    ),
    row(
        IpxeLoop,
        "ipxe-loop",
        Error,
        "iPXE says who it is in options 77 and 175, and is given a script; an iPXE would load itself \
         for ever (ipxe.org/howto/chainloading)",
        "give clients with user class `iPXE` a script's URL",
    ),
    row(
        UnusableBootFile,
        "unusable-boot-file",
        Error,
        "PXE takes a name and a server, HTTP boot a URL (edk2, PxeBcParseDhcp4Packet, \
         HttpBootParseDhcp4Packet)",
        "fill `file` and 67 with the name, `siaddr` and 66 with the server; for HTTPClient both with \
         the URL",
    ),
    row(
        ShimBareName,
        "shim-bare-name",
        Error,
        "shim reads the directory and the server from the header's `file` and `siaddr`, no option (shim, \
         netboot.c, parseDhcp4)",
        "fill `file` and `siaddr` of the DHCPACK beside options 66 and 67 (dnsmasq: \
         `dhcp-no-override`)",
    ),
    row(
        ReplyTooShort,
        "reply-too-short",
        Warning,
        "a BOOTP message has 300 bytes, and some ROMs drop a shorter one (RFC 1542 §2.1)",
        "let the server pad its replies to 300 bytes",
    ),
    row(
        ReplyTooLong,
        "reply-too-long",
        Warning,
        "a reply fits into what option 57 says, or into 576 bytes (RFC 2131 §2, RFC 2132 §9.10)",
        "send fewer options, or shorter ones",
    ),
    row(
        NulInBootFile,
        "nul-in-boot-file",
        Warning,
        "the length of a text does not count a NUL (RFC 2132 §2); some ROMs ask for a file with it",
        "take the NUL out of the server's option",
    ),
    row(
        Overload,
        "overload",
        Warning,
        "option 52 puts options into `file` and `sname` (RFC 2132 §9.3), where shim and some ROMs look \
         for the boot file",
        "let the server send no option 52 (dnsmasq: `dhcp-no-override`)",
    ),
    row(
        SplitOption,
        "split-option",
        Warning,
        "split options are joined (RFC 3396 §5), which GRUB and some ROMs do not do",
        "keep 43, 60 and 67 under 256 bytes, each in one piece",
    ),
    row(
        ProxyOption43,
        "proxy-option-43",
        Note,
        "old edk2 drops the first proxy offer that has option 43 (edk2, PxeBcDhcp4.c, before 2021)",
        "leave option 43 out of what UEFI clients are offered, and answer on port 4011",
    ),
    row(
        NarrowMask,
        "narrow-mask",
        Error,
        "edk2 takes no address whose mask leaves no room for hosts (edk2, IP4_IS_VALID_NETMASK)",
        "use a subnet of /30 or larger",
    ),
    row(
        MalformedReply,
        "malformed-reply",
        Error,
        "the options of a DHCP message are whole (RFC 2132 §2)",
        "update or mend the server that sends it",
    ),
    row(
        RelayWithout82Echo,
        "relay-without-82-echo",
        Error,
        "a server repeats option 82 byte for byte, or the relay drops its reply (RFC 3046 §2.2)",
        "let the server repeat option 82",
    ),
    row(
        VlanMismatch,
        "vlan-mismatch",
        Error,
        "an answer comes back on the VLAN of the question (IEEE 802.1Q)",
        "compare the native VLAN and the tags at the ports of the server and of the machine",
    ),
    row(
        BlksizeOverMtu,
        "blksize-over-mtu",
        Warning,
        "a TFTP block and 32 bytes of headers fit into the MTU, or every block travels in fragments \
         (RFC 2348), which PXE ROMs and firewalls drop",
        "let the server cap `blksize` (1468 for an MTU of 1500; dnsmasq: `tftp-mtu`)",
    ),
    row(
        TftpRetransmits,
        "tftp-retransmits",
        Warning,
        "a block that is sent twice was lost, or its acknowledgement was (RFC 1350 §2)",
        "look for errors and drops at the ports on the way, for duplex and for a server that is too \
         slow",
    ),
    row(
        TftpSilent,
        "tftp-silent",
        Error,
        "a server answers a read request from a port of its own (RFC 1350 §4)",
        "does a TFTP server run at the address that DHCP named, and lets a firewall its answers \
         through (they come from another port)?",
    ),
    row(
        MissingFile,
        "missing-file",
        Error,
        "the boot ends where the file that comes next is missing",
        "put the file there, or correct the name that the server sends",
    ),
    row(
        TftpError,
        "tftp-error",
        Error,
        "an ERROR packet ends a transfer (RFC 1350 §7)",
        "the server's log says more: permissions, the directory it serves",
    ),
    row(
        HttpError,
        "http-error",
        Error,
        "firmware and loaders take nothing but success (shim: 200 alone)",
        "the server's log says more",
    ),
    row(
        HttpSilent,
        "http-silent",
        Error,
        "a server takes a connection before its client gives up (RFC 9293 §3.5)",
        "does a server run at the address and the port, is there a route, and does a firewall let it \
         through?",
    ),
    row(
        HttpRedirect,
        "http-redirect",
        Error,
        "edk2, shim and GRUB follow no redirect",
        "hand out the URL at its end",
    ),
    row(
        HttpWithoutLength,
        "http-without-length",
        Error,
        "edk2, shim and GRUB need `Content-Length` (edk2 gives up on a HEAD without it)",
        "let the server send the length, and no chunks",
    ),
    row(
        TransferCut,
        "transfer-cut",
        Error,
        "a file counts once its last byte has come",
        "look for a restart of either side, a firewall's time-out, a cable",
    ),
    row(
        SlowTransfer,
        "slow-transfer",
        Warning,
        "a loader or a kernel comes at megabytes a second",
        "use HTTP or a larger `windowsize`; look for losses and for a port at 100 Mbit/s",
    ),
    row(
        PortUnreachable,
        "port-unreachable",
        Error,
        "a host answers `port unreachable` where no server listens (RFC 792)",
        "start the server there, or correct the address that DHCP hands out",
    ),
];
