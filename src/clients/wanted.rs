use std::net::Ipv4Addr;

use super::dhcp::BootFile;

/// A file that a loader asks for of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderRequest {
    /// The file.
    pub file: BootFile,
    /// What the loader does where it is missing.
    pub missing: IfMissing,
}

/// What a loader does where a file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// It goes on without.
    GoesOn,
    /// It asks for the next one of its list; the rest of the list is not asked for once one is there.
    AsksForNext,
    /// The boot ends.
    Stops,
}

/// Where a loader came from, and so where it asks for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A TFTP server.
    Tftp {
        /// The server; unspecified where the loader was told none.
        server: Ipv4Addr,
        /// What stands before each name: a directory with its last slash, or nothing.
        prefix: String,
    },
    /// An HTTP server.
    Http {
        /// The URL of a directory, with its last slash.
        prefix: String,
    },
}

impl Origin {
    /// Returns the origin of a file that was loaded by URL: everything up to its last slash.
    pub(super) fn of_url(url: &str) -> Self {
        let end = url.rfind('/').map_or(0, |slash| slash + 1);
        let prefix = url[..end].to_owned();
        Self::Http { prefix }
    }

    /// Names a file: the prefix and the name, joined as they are.
    pub(super) fn file(&self, name: &str) -> BootFile {
        let (server, prefix) = match self {
            Self::Tftp { server, prefix } => (*server, prefix),
            Self::Http { prefix } => (Ipv4Addr::UNSPECIFIED, prefix),
        };
        let name = format!("{prefix}{name}");
        BootFile { server, name }
    }

    pub(super) fn wants(&self, name: &str, missing: IfMissing) -> LoaderRequest {
        let file = self.file(name);
        LoaderRequest { file, missing }
    }
}

/// Returns the names under which PXELINUX and GRUB look for a client's address: all eight
/// hexadecimal digits, and ever fewer of them.
pub(super) fn address_digits(address: Ipv4Addr) -> impl Iterator<Item = String> {
    let digits = format!("{:08X}", address.to_bits());
    (1..=8).rev().map(move |length| digits[..length].to_owned())
}

/// Writes the bytes of option 97 after its type as PXELINUX and GRUB do it: in the order in which
/// they stand there, which is not that of the UUID's text.
pub(super) fn uuid_as_sent(option: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = match option {
        [_, bytes @ ..] => bytes.try_into().ok()?,
        [] => return None,
    };
    let hex = data_encoding::HEXLOWER.encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]);
    Some(parts.join("-"))
}
