/// The kinds of errors that packets can show in a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A DHCP server that does not belong here answers, too.
    Rogue,
    /// No server answers a DHCPDISCOVER.
    NoAnswer,
    /// The machine takes no offer.
    NoOfferTaken,
    /// No server answers a DHCPREQUEST.
    NoAcknowledgement,
    /// A server refuses an address.
    Nak,
    /// A machine found that its address is in use.
    Declined,
    /// `PXEClient` without discovery options, and no response on port 4011.
    BinlWithout4011,
    /// The response to a request on port 4011 comes from another port.
    WrongPort4011,
    /// A loader for other firmware.
    WrongLoader,
    /// The same loader for all kinds of firmware.
    NoArchMapping,
    /// iPXE receives iPXE as its boot file.
    IpxeLoop,
    /// A boot file that the client cannot load.
    UnusableBootFile,
    /// shim requests its second stage without a directory.
    ShimBareName,
    /// A reply under 300 bytes.
    ReplyTooShort,
    /// A reply longer than the client's limit.
    ReplyTooLong,
    /// A NUL that the length of a text counts.
    NulInBootFile,
    /// Options in the fields `file` or `sname`.
    Overload,
    /// A split option that clients do not join.
    SplitOption,
    /// Option 43 in a proxy offer to UEFI.
    ProxyOption43,
    /// A mask without room for hosts.
    NarrowMask,
    /// A reply that cannot be parsed.
    MalformedReply,
    /// A reply without the relay's option 82.
    RelayWithout82Echo,
    /// A reply on another VLAN than the request.
    VlanMismatch,
    /// TFTP blocks larger than the MTU.
    BlksizeOverMtu,
    /// TFTP blocks that were sent again.
    TftpRetransmits,
    /// A TFTP request without a response.
    TftpSilent,
    /// A file that the machine needs is missing.
    MissingFile,
    /// A TFTP transfer ended with an error.
    TftpError,
    /// An HTTP server responds with an error.
    HttpError,
    /// An HTTP server does not respond.
    HttpSilent,
    /// A redirect for a client that does not follow redirects.
    HttpRedirect,
    /// No `Content-Length` for a client that needs it.
    HttpWithoutLength,
    /// A transfer ended early.
    TransferCut,
    /// A transfer was slow.
    SlowTransfer,
    /// No server listens on a port that the machine uses.
    PortUnreachable,
}
