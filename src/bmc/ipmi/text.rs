use crate::bmc::boot::BootTarget;
use crate::bmc::power::PowerAction;
use crate::bmc::status::{BootOverride, PowerState};
use crate::machine::{SystemUuid, cleaned, is_placeholder};

/// The longest value to keep, in bytes.
const VALUE_LIMIT: usize = 64;

/// The output of `ipmitool`: lines of the form `Name : value`, indented in groups.
#[derive(Clone, Copy, Debug)]
pub struct IpmiText<'a>(&'a str);

impl<'a> IpmiText<'a> {
    /// Wraps the output of a command.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Reads the power state from `chassis status`.
    pub fn power(&self) -> Option<PowerState> {
        match self.value("System Power")? {
            "on" => Some(PowerState::On),
            "off" => Some(PowerState::Off),
            _ => None,
        }
    }

    /// Reads the GUID from `mc guid`. A placeholder counts as absent.
    pub fn guid(&self) -> Option<SystemUuid> {
        let guid: SystemUuid = self.value("System GUID")?.parse().ok()?;
        (!guid.is_placeholder()).then_some(guid)
    }

    /// Reads the first of several fields of `fru print` or `mc info` that holds a real value.
    pub fn field(&self, names: &[&str]) -> Option<String> {
        let mut values = names.iter().filter_map(|name| self.value(name));
        let value = cleaned(values.find(|value| !is_placeholder(value))?, VALUE_LIMIT);
        (!value.is_empty() && !value.starts_with("Unknown")).then_some(value)
    }

    /// Reads the boot flags from `chassis bootparam get 5`. Two of their five bytes matter.
    /// Source: IPMI 2.0 §28.13, table 28-14, parameter 5.
    pub fn boot(&self) -> Option<BootOverride> {
        const VALID: u8 = 0x80;
        const PERSISTENT: u8 = 0x40;
        const EFI: u8 = 0x20;
        let data = self.value("Boot parameter data")?;
        let byte = |at: usize| u8::from_str_radix(data.get(at..at + 2)?, 16).ok();
        let (flags, device) = (byte(0)?, byte(2)? >> 2 & 0x0f);
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

    /// Reads from `sol info` whether serial over LAN is enabled.
    pub fn sol_enabled(&self) -> Option<bool> {
        self.value("Enabled")?.parse().ok()
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    }
}

/// Why `ipmitool` cannot open a session, according to its verbose output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionFailure {
    /// There is no response, or no such address.
    Unreachable,
    /// The account or its password is wrong. The messages of the BMC prove it before the client
    /// sends any proof.
    Credentials,
    /// The account lacks the administrator privilege.
    Privilege,
    /// Another cipher suite may work: the BMC does not support this one, or does not give a reason.
    CipherSuite,
}

impl SessionFailure {
    /// Parses the standard error of a failed command. Returns `None` if a session was opened.
    pub(super) fn parse(stderr: &str) -> Option<Self> {
        let mentions = |signs: &[&str]| signs.iter().any(|sign| stderr.contains(sign));
        if !mentions(&["Unable to establish", "Could not open socket"]) {
            return None;
        }
        Some(
            if mentions(&[
                "HMAC is invalid",
                "unauthorized name",
                "invalid integrity check value",
            ]) {
                Self::Credentials
            } else if mentions(&["unauthorized role", "role or privilege", "privilege level"]) {
                Self::Privilege
            } else if mentions(&[
                "Address lookup",
                "Could not open socket",
                "Get Auth Capabilities error",
            ]) {
                Self::Unreachable
            } else {
                Self::CipherSuite
            },
        )
    }
}

/// Returns the `ipmitool` arguments for a power action.
pub(super) fn power_arguments(action: PowerAction) -> [&'static str; 3] {
    let word = match action {
        PowerAction::On => "on",
        PowerAction::Off => "off",
        PowerAction::Graceful => "soft",
        PowerAction::Cycle => "cycle",
        PowerAction::Reset => "reset",
    };
    ["chassis", "power", word]
}

/// Returns the `ipmitool` arguments for the next boot, and the target to read back. Returns `None`
/// for targets that IPMI does not support.
pub(super) fn boot_arguments(
    target: &BootTarget,
    uefi: bool,
) -> Option<(Vec<&'static str>, &'static str)> {
    let (device, read_back) = match target {
        BootTarget::Pxe => ("pxe", "Pxe"),
        BootTarget::Disk => ("disk", "Hdd"),
        BootTarget::Cd => ("cdrom", "Cd"),
        BootTarget::Http { .. } => return None,
    };
    let mut arguments = vec!["chassis", "bootdev", device];
    if uefi {
        arguments.push("options=efiboot");
    }
    Some((arguments, read_back))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{IpmiText, SessionFailure};
    use crate::bmc::status::PowerState;

    #[test]
    fn boot_flags_are_read_from_their_bytes() {
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
            let found = (boot.enabled, boot.target, boot.mode);
            let expected = (enabled.into(), target.into(), mode.into());
            assert_eq!(
                found,
                (Some(expected.0), Some(expected.1), Some(expected.2)),
                "{data}"
            );
        }
        for broken in ["", "Boot parameter data: 8", "Boot parameter data: zz04"] {
            assert_eq!(IpmiText::new(broken).boot(), None, "{broken}");
        }
    }

    #[test]
    fn placeholders_and_unknown_manufacturers_are_not_values() {
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
    fn session_failure_is_classified_by_its_message() {
        const END: &str = "\nError: Unable to establish IPMI v2 / RMCP+ session\n";
        for (message, expected) in [
            ("> RAKP 2 HMAC is invalid", SessionFailure::Credentials),
            (
                "RAKP 2 message indicates an error : unauthorized name",
                SessionFailure::Credentials,
            ),
            (
                "RAKP 2 message indicates an error : unauthorized role or privilege level requested",
                SessionFailure::Privilege,
            ),
            ("Get Auth Capabilities error", SessionFailure::Unreachable),
            (
                "Address lookup for bmc failed\nCould not open socket!",
                SessionFailure::Unreachable,
            ),
            (
                "Error in open session response message : invalid authentication algorithm",
                SessionFailure::CipherSuite,
            ),
        ] {
            let failure = SessionFailure::parse(&format!("{message}{END}"));
            assert_eq!(failure, Some(expected), "{message}");
        }
        let invalid = " Device not present (Invalid data field in request)";
        assert_eq!(SessionFailure::parse(invalid), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), data in "\\PC{0,12}") {
            let line = format!("System GUID: {data}\nBoot parameter data: {data}\n{text}");
            for text in [text.as_str(), &line] {
                let text = IpmiText::new(text);
                let _ = (text.power(), text.guid(), text.boot(), text.field(&["a", ""]));
            }
            let _ = SessionFailure::parse(&text);
        }
    }
}
