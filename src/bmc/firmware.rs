//! Secure Boot and the boot order, as the firmware of a machine reports them through its BMC.

use serde_json::Value;

use super::fields::Fields;
use super::status::{BootOption, SecureBoot};

impl SecureBoot {
    /// Reads the resource `SecureBoot` of a system. Returns `None` if it holds no state.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value);
        let active = fields.text("SecureBootCurrentBoot");
        let secure_boot = Self {
            active: active.and_then(|text| match text.to_ascii_lowercase().as_str() {
                "enabled" => Some(true),
                "disabled" => Some(false),
                _ => None,
            }),
            enabled: fields.boolean("SecureBootEnable"),
            mode: fields.text("SecureBootMode"),
        };
        (secure_boot.active.is_some() || secure_boot.enabled.is_some()).then_some(secure_boot)
    }

    /// Describes the state in a few words: `enabled`, `disabled after a restart`.
    pub fn summary(&self) -> &'static str {
        match (self.active, self.enabled) {
            (Some(false), Some(true)) => "enabled after a restart",
            (Some(true), Some(false)) => "disabled after a restart",
            (Some(true), _) | (None, Some(true)) => "enabled",
            (Some(false), _) | (None, Some(false)) => "disabled",
            (None, None) => "unknown",
        }
    }
}

/// Names the entries of a boot order. `options` are resources of the type `BootOption`.
pub fn boot_order(references: &[String], options: &[Value]) -> Vec<BootOption> {
    let name = |reference: &str| {
        let mut options = options.iter().map(Fields::of);
        let option = options.find(|option| {
            let is_reference = |name: &str| option.raw(name) == Some(reference);
            is_reference("BootOptionReference") || is_reference("Id")
        })?;
        option.text("DisplayName").or_else(|| option.text("Name"))
    };
    let entries = references.iter().map(|reference| BootOption {
        reference: reference.clone(),
        name: name(reference).filter(|name| name != reference),
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secure_boot_distinguishes_this_boot_from_the_next() {
        for (value, summary) in [
            (
                json!({"SecureBootEnable": true, "SecureBootCurrentBoot": "Enabled"}),
                Some("enabled"),
            ),
            (
                json!({"SecureBootEnable": false, "SecureBootCurrentBoot": "Disabled"}),
                Some("disabled"),
            ),
            (
                json!({"SecureBootEnable": true, "SecureBootCurrentBoot": "Disabled"}),
                Some("enabled after a restart"),
            ),
            (
                json!({"SecureBootEnable": false, "SecureBootCurrentBoot": "Enabled"}),
                Some("disabled after a restart"),
            ),
            (json!({"SecureBootEnable": true}), Some("enabled")),
            (json!({"SecureBootMode": "UserMode"}), None),
            (json!([]), None),
        ] {
            let found = SecureBoot::read(&value);
            assert_eq!(found.as_ref().map(SecureBoot::summary), summary, "{value}");
        }
    }

    #[test]
    fn boot_order_has_the_names_of_the_options() {
        let references = ["Boot0003", "Boot0000", "Boot0007"].map(str::to_owned);
        let options = [
            json!({"Id": "Boot0000", "BootOptionReference": "Boot0000", "DisplayName": "ubuntu"}),
            json!({"Id": "3", "BootOptionReference": "Boot0003", "DisplayName": "PXE NIC 1"}),
        ];
        let order = boot_order(&references, &options);
        let order: Vec<_> = order
            .iter()
            .map(|it| (it.reference.as_str(), it.name.as_deref()))
            .collect();
        assert_eq!(
            order,
            [
                ("Boot0003", Some("PXE NIC 1")),
                ("Boot0000", Some("ubuntu")),
                ("Boot0007", None),
            ]
        );
    }
}
