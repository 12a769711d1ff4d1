use std::fmt;

use crate::loader::{Dialect, LoaderReport, RequestMatch};
use crate::machine::{Architecture, MacAddress, Secret};

/// A path that names the requesting machine: `m/<mac>/<token>/…`.
///
/// Firmware gets its loader under such a path. shim, GRUB, PXELINUX and iPXE then request their next
/// files in the same directory, over TFTP and HTTP, so every request carries the machine and the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePath {
    /// The machine's Ethernet address.
    pub mac: MacAddress,
    /// The boot token; empty if the site does not require one.
    pub token: Secret,
    /// The requested item.
    pub query: MachineQuery,
}

/// An item below a machine's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineQuery {
    /// A file: a loader, or a file that a loader looks for in its own directory.
    File(String),
    /// A boot script for a loader.
    Script(ScriptQuery),
    /// Not a file: GRUB reports that it could not load the kernel, for example because of Secure Boot.
    KernelRefused,
    /// A volume with shim, GRUB and a configuration, for HTTP boot of an architecture: Debian's
    /// signed GRUB does not support HTTP, and finds no files if it was loaded over HTTP.
    Image(Architecture),
}

/// A request for a boot script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptQuery {
    /// The language of the script.
    pub dialect: Dialect,
    /// The values that the loader reports about its machine; `None` if the path contains none.
    pub report: Option<LoaderReport>,
}

/// The first part of every machine's path.
const PREFIX: &str = "m";
/// The placeholder for a missing token.
const ABSENT: &str = "-";
/// The name that GRUB requests to report that it could not load the kernel.
const KERNEL_REFUSED: &str = "kernel-refused";
/// The end of the name of a boot image, by which firmware knows a volume.
const IMAGE_SUFFIX: &str = ".img";

impl MachinePath {
    /// Makes the path of a file for a machine.
    pub fn file(mac: MacAddress, token: impl Into<Secret>, name: impl Into<String>) -> Self {
        Self {
            mac,
            token: token.into(),
            query: MachineQuery::File(name.into()),
        }
    }

    /// Makes the path of a boot image for a machine.
    pub fn image(mac: MacAddress, token: impl Into<Secret>, architecture: Architecture) -> Self {
        Self {
            mac,
            token: token.into(),
            query: MachineQuery::Image(architecture),
        }
    }

    /// Returns the directory of everything that is for this machine: `m/<mac>/<token>`.
    pub fn base(&self) -> String {
        let token = match self.token.expose() {
            "" => ABSENT,
            token => token,
        };
        format!("{PREFIX}/{}/{token}", self.mac.hyphenated())
    }

    /// Reads the parts of a path; `None` if it is not a machine's path.
    pub fn parse(parts: &[&str]) -> Option<Self> {
        let [PREFIX, mac, token, rest @ ..] = parts else {
            return None;
        };
        let mac = mac.parse().ok()?;
        // Scripts contain the token, so only characters of its alphabet may pass.
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let token = match *token {
            ABSENT => "",
            token if token.len() <= 64 && token.chars().all(good) => token,
            _ => return None,
        };
        let query = match rest {
            [] => return None,
            [KERNEL_REFUSED] => MachineQuery::KernelRefused,
            [name] if image_architecture(name).is_some() => {
                MachineQuery::Image(image_architecture(name)?)
            }
            rest => script(mac, rest)?,
        };
        let token = token.into();
        Some(Self { mac, token, query })
    }

    /// Returns the path for logs, without its token.
    pub fn without_token(&self) -> String {
        let shown = Self {
            token: "…".into(),
            ..self.clone()
        };
        shown.to_string()
    }
}

/// Reads the request for a script, or for another file; `None` if this machine never gets the script.
fn script(mac: MacAddress, parts: &[&str]) -> Option<MachineQuery> {
    for dialect in Dialect::all() {
        match dialect.recognize(mac, parts) {
            RequestMatch::Script(report) => {
                return Some(MachineQuery::Script(ScriptQuery { dialect, report }));
            }
            RequestMatch::Foreign => return None,
            RequestMatch::Other => {}
        }
    }
    Some(MachineQuery::File(parts.join("/")))
}

/// Reads the name of a boot image: `http-x64.img`.
fn image_architecture(name: &str) -> Option<Architecture> {
    let architecture: Architecture = name.strip_suffix(IMAGE_SUFFIX)?.parse().ok()?;
    architecture.is_http().then_some(architecture)
}

/// Prints the path with its token, as clients get it.
impl fmt::Display for MachinePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base())?;
        match &self.query {
            MachineQuery::File(name) => write!(f, "/{name}"),
            MachineQuery::Script(ScriptQuery { dialect, report }) => {
                write!(f, "/{}", dialect.request_path(self.mac, report.as_ref()))
            }
            MachineQuery::KernelRefused => write!(f, "/{KERNEL_REFUSED}"),
            MachineQuery::Image(architecture) => write!(f, "/{architecture}{IMAGE_SUFFIX}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::{IDENTITY_LIMIT, cleaned};

    const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 1]);
    const UUID: &str = "4c4c4544-0051-3610-8043-c2c04f4b3135";

    fn parsed(path: &str) -> Option<MachinePath> {
        MachinePath::parse(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn every_file_that_a_loader_requests_has_a_query() {
        let uuid = UUID.parse().ok();
        let grub = LoaderReport {
            platform: "x86_64-efi".into(),
            uuid,
            serial: Some("C7X9K2".into()),
            asset: None,
        };
        let pxelinux = LoaderReport {
            uuid,
            ..LoaderReport::default()
        };
        let file = |name: &str| MachineQuery::File(name.into());
        let script = |dialect, report| MachineQuery::Script(ScriptQuery { dialect, report });
        for (rest, expected) in [
            ("bootx64.efi", file("bootx64.efi")),
            ("debian/grubx64.efi", file("debian/grubx64.efi")),
            ("ldlinux.c32", file("ldlinux.c32")),
            ("grub.cfg", script(Dialect::Grub, None)),
            ("grub/x86_64-efi/grub.cfg", script(Dialect::Grub, None)),
            (
                &format!("x86_64-efi/{UUID}/C7X9K2/-/grub.cfg"),
                script(Dialect::Grub, Some(grub)),
            ),
            (
                &format!("pxelinux.cfg/{UUID}"),
                script(Dialect::Pxelinux, Some(pxelinux)),
            ),
            (
                "pxelinux.cfg/01-52-54-00-85-00-01",
                script(Dialect::Pxelinux, None),
            ),
            ("autoexec.ipxe", script(Dialect::Ipxe, None)),
            ("kernel-refused", MachineQuery::KernelRefused),
            ("http-x64.img", MachineQuery::Image(Architecture::HttpX64)),
            ("uefi-x64.img", file("uefi-x64.img")),
        ] {
            for (token, meant) in [("TOKEN-_9", "TOKEN-_9"), ("-", "")] {
                let path = parsed(&format!("m/52:54:00:85:00:01/{token}/{rest}"));
                let path = path.unwrap_or_else(|| panic!("{rest}"));
                assert_eq!((path.mac, path.token.expose()), (MAC, meant));
                assert_eq!(path.query, expected, "{rest}");
                let printed = parsed(&path.to_string()).map(|path| (path.token, path.query));
                assert_eq!(printed, Some((path.token, path.query)));
            }
        }
    }

    #[test]
    fn a_path_without_a_machine_is_not_a_machine_path() {
        for path in [
            "m",
            "m/52:54:00:85:00:01/T",
            "m/nobody/T/grub.cfg",
            "m/52:54:00:85:00:01/bad token/grub.cfg",
            "m/52:54:00:85:00:01/T/pxelinux.cfg/01-52-54-00-85-00-02",
            "m/52:54:00:85:00:01/T/pxelinux.cfg/0A1400",
            "m/52:54:00:85:00:01/T/pxelinux.cfg/default",
            "x/52:54:00:85:00:01/T/grub.cfg",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_paths_never_panic_and_carry_no_commands(rest in "[ -~]{0,60}") {
            let path = parsed(&format!("m/52:54:00:85:00:01/{rest}"));
            if let Some(MachinePath { token, query, .. }) = path {
                prop_assert!(token.expose().chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
                if let MachineQuery::Script(ScriptQuery { report: Some(report), .. }) = query {
                    for text in [Some(report.platform), report.serial, report.asset].into_iter().flatten() {
                        prop_assert_eq!(cleaned(&text, IDENTITY_LIMIT), text);
                    }
                }
            }
        }
    }
}
