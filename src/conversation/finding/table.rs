use super::kind::FindingKind;
use crate::inventory::Severity;

use FindingKind::*;
use Severity::{Error, Note, Warning};

/// One kind of finding.
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

/// The one table of findings: the name that `--fail-on` takes, the severity, the broken rule with its
/// source, and the fix. In the order of [`FindingKind`].
pub(super) const TABLE: [FindingRow; 35] = [
    row(
        Rogue,
        "rogue",
        Error,
        "one server assigns addresses on a segment, and one server names the boot file; with a \
         second one, the answer that a client takes is a race (PXE 2.1 §2.2; edk2, \
         PxeBcSelectDhcp4Offer)",
        "switch off the other DHCP server on this segment, or let it assign the addresses and \
         write `mode: proxy` for the network",
    ),
    row(
        NoAnswer,
        "no-answer",
        Error,
        "a server answers a DHCPDISCOVER with a DHCPOFFER (RFC 2131 §3.1)",
        "check that a server or a relay is on this VLAN and that the switch port forwards at once \
         (spanning tree: portfast); `pxectl serve dhcp` logs why it ignores a machine",
    ),
    row(
        NoOfferTaken,
        "no-offer-taken",
        Error,
        "firmware requests an address only if an offer lets it boot (edk2, PxeBcSelectDhcp4Offer; \
         a BIOS ROM prints PXE-E53)",
        "send it an address and a boot file for its architecture, in `siaddr`, `file` and options \
         66 and 67",
    ),
    row(
        NoAcknowledgement,
        "no-ack",
        Error,
        "a server answers a DHCPREQUEST with a DHCPACK or a DHCPNAK (RFC 2131 §3.1)",
        "see the log of the server that option 54 names",
    ),
    row(
        Nak,
        "nak",
        Warning,
        "a DHCPNAK sends the client back to the start (RFC 2131 §3.1.5)",
        "find the server that refused: two servers have different leases, or the address belongs \
         to another network",
    ),
    row(
        Declined,
        "declined",
        Error,
        "a client declines an address if another machine answers ARP for it (RFC 2131 §3.1.5)",
        "find the machine that uses the address (`arping`), and remove the address from the pool \
         or the reservation",
    ),
    row(
        BinlWithout4011,
        "binl-without-4011",
        Error,
        "option 60 `PXEClient` without discovery options in option 43 makes the client ask on port \
         4011 (edk2, PxeBcDhcp4.c; a BIOS ROM prints PXE-E55)",
        "answer on port 4011, or leave out option 60, or send 43.6 = 8 with it",
    ),
    row(
        WrongPort4011,
        "wrong-port-4011",
        Error,
        "the response to a request on port 4011 comes from port 4011 (PXE 2.1 §2.2.3; iPXE drops \
         others)",
        "let the server respond from the port of the request, and check for address translation on \
         the way",
    ),
    row(
        WrongLoader,
        "wrong-loader",
        Error,
        "a loader runs only on the firmware and the processor that it is built for (option 93, RFC \
         4578 §2.1)",
        "choose the file by option 93: `loaders:` in the site, `arch:` of the host",
    ),
    row(
        NoArchMapping,
        "no-arch-mapping",
        Error,
        "option 93 names the architecture that a loader must match (RFC 4578 §2.1)",
        "choose the file by option 93: one loader for each architecture",
    ),
    row(
        IpxeLoop,
        "ipxe-loop",
        Error,
        "iPXE identifies itself in options 77 and 175 and needs a script; an iPXE that loads iPXE \
         never ends (ipxe.org/howto/chainloading)",
        "send the URL of a script to clients with user class `iPXE`",
    ),
    row(
        UnusableBootFile,
        "unusable-boot-file",
        Error,
        "PXE needs a file name and a server, HTTP boot a URL (edk2, PxeBcParseDhcp4Packet, \
         HttpBootParseDhcp4Packet)",
        "set `file` and option 67 to the name, `siaddr` and option 66 to the server; for \
         HTTPClient, set `file` and option 67 to the URL",
    ),
    row(
        ShimBareName,
        "shim-bare-name",
        Error,
        "shim reads the directory and the server from the header's `file` and `siaddr`, not from \
         options (shim, netboot.c, parseDhcp4)",
        "set `file` and `siaddr` of the DHCPACK as well as options 66 and 67 (dnsmasq: \
         `dhcp-no-override`)",
    ),
    row(
        ReplyTooShort,
        "reply-too-short",
        Warning,
        "a BOOTP message has at least 300 bytes, and some ROMs drop a shorter one (RFC 1542 §2.1)",
        "let the server pad its replies to 300 bytes",
    ),
    row(
        ReplyTooLong,
        "reply-too-long",
        Warning,
        "a reply fits into the size in option 57, or into 576 bytes without it (RFC 2131 §2, RFC \
         2132 §9.10)",
        "send fewer or shorter options",
    ),
    row(
        NulInBootFile,
        "nul-in-boot-file",
        Warning,
        "the length of a text does not count a NUL (RFC 2132 §2); some ROMs request a file name \
         that contains it",
        "remove the NUL from the server's option",
    ),
    row(
        Overload,
        "overload",
        Warning,
        "option 52 puts options into `file` and `sname` (RFC 2132 §9.3), where shim and some ROMs \
         look for the boot file",
        "let the server send no option 52 (dnsmasq: `dhcp-no-override`)",
    ),
    row(
        SplitOption,
        "split-option",
        Warning,
        "clients join split options (RFC 3396 §5), but GRUB and some ROMs do not",
        "keep options 43, 60 and 67 under 256 bytes, each in one piece",
    ),
    row(
        ProxyOption43,
        "proxy-option-43",
        Note,
        "old edk2 drops the first proxy offer that has option 43 (edk2, PxeBcDhcp4.c, before 2021)",
        "leave option 43 out of proxy offers to UEFI clients, and answer on port 4011",
    ),
    row(
        NarrowMask,
        "narrow-mask",
        Error,
        "edk2 rejects an address if its mask leaves no room for hosts (edk2, IP4_IS_VALID_NETMASK)",
        "use a subnet of /30 or larger",
    ),
    row(
        MalformedReply,
        "malformed-reply",
        Error,
        "every option of a DHCP message is complete (RFC 2132 §2)",
        "update or fix the server that sends the reply",
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
        "a reply uses the VLAN of the request (IEEE 802.1Q)",
        "compare the native VLAN and the tags of the server's port and the machine's port",
    ),
    row(
        BlksizeOverMtu,
        "blksize-over-mtu",
        Warning,
        "a TFTP block and 32 bytes of headers fit into the MTU; otherwise every block is \
         fragmented (RFC 2348), and PXE ROMs and firewalls drop fragments",
        "let the server cap `blksize` (1468 for an MTU of 1500; dnsmasq: `tftp-mtu`)",
    ),
    row(
        TftpRetransmits,
        "tftp-retransmits",
        Warning,
        "a server sends a block again if the block or its acknowledgement was lost (RFC 1350 §2)",
        "check the ports on the way for errors, drops and a duplex mismatch, and check whether the \
         server is too slow",
    ),
    row(
        TftpSilent,
        "tftp-silent",
        Error,
        "a server answers a read request from a new port (RFC 1350 §4)",
        "check that a TFTP server runs at the address that DHCP named, and that a firewall lets \
         its answers from another port through",
    ),
    row(
        MissingFile,
        "missing-file",
        Error,
        "a boot ends at the first missing file that it needs",
        "add the file, or correct the name that the server sends",
    ),
    row(
        TftpError,
        "tftp-error",
        Error,
        "an ERROR packet ends a transfer (RFC 1350 §7)",
        "see the server's log, and check the file's permissions and the directory that the server \
         uses",
    ),
    row(
        HttpError,
        "http-error",
        Error,
        "firmware and loaders accept only a successful status (shim: only 200)",
        "see the log of the server",
    ),
    row(
        HttpSilent,
        "http-silent",
        Error,
        "a server accepts a connection before its client gives up (RFC 9293 §3.5)",
        "check that a server listens at the address and port, that there is a route, and that no \
         firewall blocks the connection",
    ),
    row(
        HttpRedirect,
        "http-redirect",
        Error,
        "edk2, shim and GRUB do not follow redirects",
        "send the final URL instead of a redirect",
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
        "a file is usable only after its last byte has arrived",
        "check whether the server or the machine restarted, the firewall's timeout, and the cable",
    ),
    row(
        SlowTransfer,
        "slow-transfer",
        Warning,
        "a loader or a kernel arrives at megabytes per second",
        "use HTTP or a larger `windowsize`; check for packet loss and for a port at 100 Mbit/s",
    ),
    row(
        PortUnreachable,
        "port-unreachable",
        Error,
        "a host sends `port unreachable` if no server listens on the port (RFC 792)",
        "start the server there, or correct the address that DHCP sends",
    ),
];
