//! Errors that a reply shows by itself.

use crate::clients::dhcp::ClientKind;
use crate::conversation::finding::FindingKind;
use crate::wire::dhcp::{DhcpLayout, DhcpMessage, MessageType, OptionCode, option_row};

/// The minimum length of a BOOTP message. Source: RFC 1542 §2.1.
const MINIMUM_LENGTH: usize = 300;
/// The length of the IPv4 and UDP headers, which option 57 counts.
const HEADERS: usize = 28;
/// A reply, and what is known of its request.
pub(super) struct Reply<'a> {
    pub message: &'a DhcpMessage,
    pub layout: &'a DhcpLayout,
    /// The bytes of the datagram's payload.
    pub length: usize,
    /// The client, if there is a model of it.
    pub client: Option<&'a ClientKind>,
    /// The client's datagram limit, if its request was captured.
    pub limit: Option<usize>,
}

/// Lists the findings, each with its text.
pub(super) fn findings_of(reply: &Reply<'_>) -> Vec<(FindingKind, String)> {
    let options = &reply.message.options;
    let mut found = Vec::new();
    let server = options
        .server_identifier()
        .map_or_else(|| "the server".to_owned(), |it| it.to_string());
    if reply.length < MINIMUM_LENGTH {
        let seen = format!("{server} sends {} bytes", reply.length);
        found.push((FindingKind::ReplyTooShort, seen));
    }
    if let Some(limit) = reply.limit.filter(|limit| reply.length + HEADERS > *limit) {
        let length = reply.length + HEADERS;
        let seen =
            format!("{server} sends a datagram of {length} bytes, the client's limit is {limit}");
        found.push((FindingKind::ReplyTooLong, seen));
    }
    for (code, value) in options.iter() {
        let is_padded = option_row(code).is_some_and(|row| row.firmware.past_the_end);
        if is_padded && value.contains(&0) {
            let seen = format!(
                "{server} includes a NUL in the length of option {}",
                u8::from(code)
            );
            found.push((FindingKind::NulInBootFile, seen));
        }
    }
    if let Some(fields) = reply.layout.overload {
        let fields = match fields {
            1 => "`file`",
            2 => "`sname`",
            _ => "`file` and `sname`",
        };
        let seen = format!("{server} puts options into {fields}");
        found.push((FindingKind::Overload, seen));
    }
    let is_unjoined =
        |code: &&OptionCode| option_row(**code).is_some_and(|row| row.firmware.only_first_part);
    for code in reply.layout.split.iter().filter(is_unjoined) {
        let seen = format!("{server} splits option {}", u8::from(*code));
        found.push((FindingKind::SplitOption, seen));
    }
    let is_offer = options.message_type() == Some(MessageType::Offer);
    if let Some(kind @ (ClientKind::EdkPxe(_) | ClientKind::EdkHttp(_))) = reply.client {
        let is_proxy = reply.message.your_address.is_unspecified();
        let has_43 = options.contains(OptionCode::VendorExtensions);
        if is_offer && is_proxy && has_43 && matches!(kind, ClientKind::EdkPxe(_)) {
            let seen = format!("{server} sends a proxy offer with option 43");
            found.push((FindingKind::ProxyOption43, seen));
        }
        if let Some(mask) = options.address(OptionCode::SubnetMask)
            && mask.to_bits().trailing_zeros() < 2
        {
            let seen = format!("{server} sends the mask {mask}");
            found.push((FindingKind::NarrowMask, seen));
        }
    }
    found
}
