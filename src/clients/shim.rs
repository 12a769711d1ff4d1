//! shim: the DHCP data that it uses, and the files that it requests.

use super::loader_request::{IfMissing, LoaderRequest, Origin};
use super::url;
use crate::machine::Architecture;
use crate::wire::dhcp::DhcpMessage;

/// One build of shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shim {
    /// The architecture that it is built for.
    pub architecture: Architecture,
    /// Its release.
    pub release: ShimRelease,
}

/// The releases of shim, by the files that they request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShimRelease {
    /// 15.7 and earlier: only the second stage.
    V15_7,
    /// 15.8: `revocations.efi`, too.
    V15_8,
    /// 16: named revocations and certificates, too.
    V16,
}

/// The DHCP messages that firmware keeps in its PXE protocol, where shim reads them.
#[derive(Clone, Copy, Debug)]
pub struct PxeAnswers<'a> {
    /// The DHCPACK that assigned the address.
    pub acknowledgement: &'a DhcpMessage,
    /// The offer of a proxy, if any.
    pub proxy_offer: Option<&'a DhcpMessage>,
    /// The DHCPACK from port 4011, if any.
    pub boot_server: Option<&'a DhcpMessage>,
}

impl Shim {
    /// Returns where shim looks after PXE: the directory of the header's `file`, on `siaddr`. It does not
    /// read options, so without `file`, option 67 gives it no directory.
    ///
    /// Source: shim, `netboot.c`, `parseDhcp4`.
    pub fn after_pxe(self, answers: PxeAnswers<'_>) -> Origin {
        let mut packet = answers.acknowledgement;
        if packet.boot_file.is_empty() {
            packet = answers.proxy_offer.unwrap_or(packet);
        }
        if packet.boot_file.is_empty() {
            let reply = answers.boot_server;
            packet = reply
                .filter(|it| !it.boot_file.is_empty())
                .unwrap_or(packet);
        }
        let file = String::from_utf8_lossy(&packet.boot_file);
        let separators: &[char] = match self.release {
            ShimRelease::V16 => &['/', '\\'],
            _ => &['/'],
        };
        let end = file.rfind(separators).map_or(0, |slash| slash + 1);
        Origin::Tftp {
            server: packet.server_address,
            prefix: file[..end].to_owned(),
        }
    }

    /// Returns where shim looks after HTTP boot: next to its own URL, which firmware keeps in the device
    /// path; `None` if that is not a URL.
    ///
    /// Source: shim, `httpboot.c`, `find_httpboot`, `generate_next_uri`.
    pub fn after_http(self, url: &str) -> Option<Origin> {
        url::is_absolute(url).then(|| Origin::of_url(url))
    }

    /// Lists the files that shim requests, in its order; the last one is the second stage.
    ///
    /// Source: shim, `shim.c`, `load_unbundled_trust`, `init_grub`; `httpboot.c`,
    /// `generate_next_uri`: the second stage's name keeps its slash, so its URL has two.
    pub fn requests(self, origin: &Origin) -> Vec<LoaderRequest> {
        let beside: &[&str] = match self.release {
            ShimRelease::V15_7 => &[],
            ShimRelease::V15_8 => &["revocations.efi"],
            ShimRelease::V16 => &[
                "revocations_sku.efi",
                "revocations_sbat.efi",
                // It requests the next number only if this file exists.
                "shim_certificate_0.efi",
            ],
        };
        let beside = beside.iter();
        let mut wanted: Vec<LoaderRequest> = beside
            .map(|name| origin.request(name, IfMissing::GoesOn))
            .collect();
        wanted.push(origin.request(&self.second_stage(origin), IfMissing::Stops));
        wanted
    }

    /// Returns the name of MokManager, which shim requests if it does not trust the second stage.
    pub fn mok_manager(self) -> String {
        format!("mm{}.efi", self.suffix())
    }

    fn second_stage(self, origin: &Origin) -> String {
        let slash = match origin {
            Origin::Http { .. } => "/",
            Origin::Tftp { .. } => "",
        };
        format!("{slash}grub{}.efi", self.suffix())
    }

    fn suffix(self) -> &'static str {
        self.architecture.cpu().efi_letters()
    }
}

impl<'a> PxeAnswers<'a> {
    /// Creates the messages of a boot in which the DHCPACK names the boot file.
    pub fn acknowledged(acknowledgement: &'a DhcpMessage) -> Self {
        Self {
            acknowledgement,
            proxy_offer: None,
            boot_server: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::machine::MacAddress;
    use crate::wire::dhcp::{Operation, OptionCode, TransactionId};

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 10);
    const PROXY: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 11);

    fn answer(server: Ipv4Addr, file: &str) -> DhcpMessage {
        let mac = MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let mut message = DhcpMessage::new(Operation::Reply, mac, TransactionId(7));
        message.server_address = server;
        message.boot_file = file.into();
        message
    }

    fn shim(release: ShimRelease) -> Shim {
        let architecture = Architecture::UefiX64;
        Shim {
            architecture,
            release,
        }
    }

    fn urls(wanted: &[LoaderRequest]) -> Vec<String> {
        wanted.iter().map(|wanted| wanted.file.url()).collect()
    }

    #[test]
    fn by_tftp_it_uses_the_directory_of_the_header() {
        let ack = answer(SERVER, "boot/shimx64.efi");
        for (release, expected) in [
            (ShimRelease::V15_7, &["grubx64.efi"][..]),
            (ShimRelease::V15_8, &["revocations.efi", "grubx64.efi"]),
            (
                ShimRelease::V16,
                &[
                    "revocations_sku.efi",
                    "revocations_sbat.efi",
                    "shim_certificate_0.efi",
                    "grubx64.efi",
                ],
            ),
        ] {
            let shim = shim(release);
            let wanted = shim.requests(&shim.after_pxe(PxeAnswers::acknowledged(&ack)));
            let name = |name| format!("tftp://10.20.0.10/boot/{name}");
            let expected: Vec<String> = expected.iter().map(name).collect();
            assert_eq!(urls(&wanted), expected);
            assert_eq!(wanted.last().unwrap().missing, IfMissing::Stops);
        }
    }

    #[test]
    fn option_67_alone_leaves_it_with_a_bare_name() {
        let mut ack = answer(SERVER, "");
        let code = OptionCode::BootfileName;
        ack.options.set_text(code, "boot/shimx64.efi");
        let shim = shim(ShimRelease::V15_7);
        let origin = shim.after_pxe(PxeAnswers::acknowledged(&ack));
        assert_eq!(
            urls(&shim.requests(&origin)),
            ["tftp://10.20.0.10/grubx64.efi"]
        );
    }

    #[test]
    fn a_proxy_counts_if_the_ack_names_no_file() {
        let ack = answer(Ipv4Addr::UNSPECIFIED, "");
        let named = answer(SERVER, "a/shim.efi");
        let proxy = answer(PROXY, "b/shim.efi");
        let bare = answer(PROXY, "");
        let reply = answer(PROXY, "c/shim.efi");
        for (acknowledgement, proxy_offer, boot_server, expected) in [
            (&named, Some(&proxy), Some(&reply), "tftp://10.20.0.10/a/"),
            (&ack, Some(&proxy), Some(&reply), "tftp://10.20.0.11/b/"),
            (&ack, Some(&bare), Some(&reply), "tftp://10.20.0.11/c/"),
            (&ack, None, Some(&reply), "tftp://10.20.0.11/c/"),
            (&ack, None, None, "tftp://0.0.0.0/"),
        ] {
            let answers = PxeAnswers {
                acknowledgement,
                proxy_offer,
                boot_server,
            };
            let origin = shim(ShimRelease::V16).after_pxe(answers);
            assert_eq!(origin.file("").url(), expected);
        }
    }

    #[test]
    fn by_http_it_requests_its_second_stage_with_two_slashes() {
        let shim = shim(ShimRelease::V15_8);
        let origin = shim.after_http("http://10.20.0.10:8080/m/52:54/shimx64.efi");
        let expected = [
            "http://10.20.0.10:8080/m/52:54/revocations.efi",
            "http://10.20.0.10:8080/m/52:54//grubx64.efi",
        ];
        assert_eq!(urls(&shim.requests(&origin.unwrap())), expected);
        assert_eq!(shim.after_http("shimx64.efi"), None);
    }

    #[test]
    fn it_names_files_after_its_processor() {
        for (architecture, second, manager) in [
            (Architecture::UefiArm64, "grubaa64.efi", "mmaa64.efi"),
            (Architecture::HttpX64, "grubx64.efi", "mmx64.efi"),
            (Architecture::UefiIa32, "grubia32.efi", "mmia32.efi"),
        ] {
            let release = ShimRelease::V15_7;
            let shim = Shim {
                architecture,
                release,
            };
            let origin = shim.after_pxe(PxeAnswers::acknowledged(&answer(SERVER, "")));
            let wanted = shim.requests(&origin);
            assert_eq!(wanted[0].file.name, second);
            assert_eq!(shim.mok_manager(), manager);
        }
    }
}
