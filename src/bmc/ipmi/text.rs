use crate::bmc::{BootOverride, BootTarget, PowerState, PowerVerb};
use crate::machine::{SystemUuid, cleaned, is_placeholder};

/// The longest value that is kept of an answer.
const VALUE_LIMIT: usize = 64;

/// What `ipmitool` printed. Its lines are `Name : value`, indented where they belong together.
#[derive(Clone, Copy, Debug)]
pub struct IpmiText<'a>(&'a str);

impl<'a> IpmiText<'a> {
    /// Wraps what was printed.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Reads `chassis status`: whether the machine runs.
    pub fn power(&self) -> Option<PowerState> {
        match self.value("System Power")? {
            "on" => Some(PowerState::On),
            "off" => Some(PowerState::Off),
            _ => None,
        }
    }

    /// Reads `mc guid`. What vendors leave in place of a real one counts as absent.
    pub fn guid(&self) -> Option<SystemUuid> {
        let guid: SystemUuid = self.value("System GUID")?.parse().ok()?;
        (!guid.is_placeholder()).then_some(guid)
    }

    /// Reads the first of some fields of `fru print` or `mc info` that holds a real value.
    pub fn field(&self, names: &[&str]) -> Option<String> {
        let mut values = names.iter().filter_map(|name| self.value(name));
        let known = values.find(|value| !is_placeholder(value))?;
        let known = cleaned(known, VALUE_LIMIT);
        (!known.is_empty() && !known.starts_with("Unknown")).then_some(known)
    }

    /// Reads `chassis bootparam get 5`: the boot flags, of whose five octets two are used.
    /// Source: IPMI 2.0 §28.13, table 28-14, parameter 5.
    pub fn boot(&self) -> Option<BootOverride> {
        const VALID: u8 = 0x80;
        const PERSISTENT: u8 = 0x40;
        const EFI: u8 = 0x20;
        let data = self.value("Boot parameter data")?;
        let octet = |at: usize| u8::from_str_radix(data.get(at..at + 2)?, 16).ok();
        let (flags, device) = (octet(0)?, octet(2)? >> 2 & 0x0f);
        let enabled = match flags {
            _ if flags & VALID == 0 => "Disabled",
            _ if flags & PERSISTENT == 0 => "Once",
            _ => "Continuous",
        };
        let target = match device {
            0 => "None".to_owned(),
            1 => "Pxe".to_owned(),
            2 | 3 => "Hdd".to_owned(),
            4 => "Diags".to_owned(),
            5 | 8 => "Cd".to_owned(),
            6 => "BiosSetup".to_owned(),
            7 | 15 => "Floppy".to_owned(),
            other => format!("device {other}"),
        };
        let mode = if flags & EFI == 0 { "Legacy" } else { "UEFI" };
        Some(BootOverride {
            enabled: Some(enabled.to_owned()),
            target: Some(target),
            mode: Some(mode.to_owned()),
            uri: None,
        })
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    }
}

/// Why no session came about, as `ipmitool --verbose` tells it on its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSession {
    /// Nothing answers, or there is no such address.
    Unreachable,
    /// The account or its password is wrong; what the controller sent proves it before the client
    /// has sent any proof of its own.
    Credentials,
    /// The account may not have the privilege of an administrator.
    Privilege,
    /// Another suite of ciphers may do: the controller knows none of the one that was tried, or
    /// does not say what it does not like.
    Suite,
}

impl NoSession {
    /// Reads the standard error of a command that failed; nothing where a session came about.
    pub(super) fn read(error: &str) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        if !says(&["Unable to establish", "Could not open socket"]) {
            return None;
        }
        Some(
            if says(&[
                "HMAC is invalid",
                "unauthorized name",
                "invalid integrity check value",
            ]) {
                Self::Credentials
            } else if says(&["unauthorized role", "role or privilege", "privilege level"]) {
                Self::Privilege
            } else if says(&[
                "Address lookup",
                "Could not open socket",
                "Get Auth Capabilities error",
            ]) {
                Self::Unreachable
            } else {
                Self::Suite
            },
        )
    }
}

/// The words that `ipmitool` has for a power command.
pub(super) fn power_words(verb: PowerVerb) -> [&'static str; 3] {
    let word = match verb {
        PowerVerb::On => "on",
        PowerVerb::Off => "off",
        PowerVerb::Graceful => "soft",
        PowerVerb::Cycle => "cycle",
        PowerVerb::Reset => "reset",
    };
    ["chassis", "power", word]
}

/// The words for the next boot, and the target that is then read back; nothing for what IPMI has no
/// words for.
pub(super) fn boot_words(
    target: &BootTarget,
    uefi: bool,
) -> Option<(Vec<&'static str>, &'static str)> {
    let (device, read_back) = match target {
        BootTarget::Pxe => ("pxe", "Pxe"),
        BootTarget::Disk => ("disk", "Hdd"),
        BootTarget::Cd => ("cdrom", "Cd"),
        BootTarget::Http { .. } => return None,
    };
    let mut words = vec!["chassis", "bootdev", device];
    if uefi {
        words.push("options=efiboot");
    }
    Some((words, read_back))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{IpmiText, NoSession};
    use crate::bmc::PowerState;

    #[test]
    fn boot_flags_are_read_by_their_octets() {
        for (data, enabled, target, mode) in [
            ("e004000000", "Continuous", "Pxe", "UEFI"),
            ("a004000000", "Once", "Pxe", "UEFI"),
            ("8008000000", "Once", "Hdd", "Legacy"),
            ("8014000000", "Once", "Cd", "Legacy"),
            ("0004000000", "Disabled", "Pxe", "Legacy"),
            ("802c000000", "Once", "device 11", "Legacy"),
        ] {
            let text = format!("Boot parameter version: 1\nBoot parameter data: {data}\n");
            let boot = IpmiText::new(&text).boot().expect("boot flags");
            let seen = (boot.enabled, boot.target, boot.mode);
            let wanted = (enabled.into(), target.into(), mode.into());
            assert_eq!(
                seen,
                (Some(wanted.0), Some(wanted.1), Some(wanted.2)),
                "{data}"
            );
        }
        for broken in ["", "Boot parameter data: 8", "Boot parameter data: zz04"] {
            assert_eq!(IpmiText::new(broken).boot(), None, "{broken}");
        }
    }

    #[test]
    fn placeholders_and_unknown_makers_are_no_values() {
        let fru = " Product Manufacturer  : Contoso\n Product Name : To be filled by O.E.M.\n \
                   Board Product : R7 `x`\n Product Serial : 00000000\n Chassis Serial : S-1\n";
        let fru = IpmiText::new(fru);
        assert_eq!(fru.field(&["Product Manufacturer"]), Some("Contoso".into()));
        let model = fru.field(&["Product Name", "Board Product"]);
        assert_eq!(model, Some("R7 x".into()));
        let serial = fru.field(&["Product Serial", "Chassis Serial"]);
        assert_eq!(serial, Some("S-1".into()));
        let info = IpmiText::new("Manufacturer Name : Unknown (0x1234)\n");
        assert_eq!(info.field(&["Manufacturer Name"]), None);
        let guid = "System GUID : 00000000-0000-0000-0000-000000000000";
        assert_eq!(IpmiText::new(guid).guid(), None);
        let power = IpmiText::new("System Power         : on\n").power();
        assert_eq!(power, Some(PowerState::On));
    }

    #[test]
    fn a_session_that_does_not_come_about_says_why() {
        const END: &str = "\nError: Unable to establish IPMI v2 / RMCP+ session\n";
        for (said, wanted) in [
            ("> RAKP 2 HMAC is invalid", NoSession::Credentials),
            (
                "RAKP 2 message indicates an error : unauthorized name",
                NoSession::Credentials,
            ),
            (
                "RAKP 2 message indicates an error : unauthorized role or privilege level requested",
                NoSession::Privilege,
            ),
            ("Get Auth Capabilities error", NoSession::Unreachable),
            (
                "Address lookup for bmc failed\nCould not open socket!",
                NoSession::Unreachable,
            ),
            (
                "Error in open session response message : invalid authentication algorithm",
                NoSession::Suite,
            ),
        ] {
            let read = NoSession::read(&format!("{said}{END}"));
            assert_eq!(read, Some(wanted), "{said}");
        }
        let invalid = " Device not present (Invalid data field in request)";
        assert_eq!(NoSession::read(invalid), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>(), data in "\\PC{0,12}") {
            let line = format!("System GUID: {data}\nBoot parameter data: {data}\n{text}");
            for text in [text.as_str(), &line] {
                let text = IpmiText::new(text);
                let _ = (text.power(), text.guid(), text.boot(), text.field(&["a", ""]));
            }
            let _ = NoSession::read(&text);
        }
    }
}
