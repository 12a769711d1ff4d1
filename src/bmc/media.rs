//! Virtual media: choosing a drive, the requests for it, and whether it holds an image.

use serde_json::{Value, json};

use super::fields::Fields;
use super::quirks::Quirks;
use super::request::ChangeRequest;

/// One virtual drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualDrive {
    /// The path.
    pub path: String,
    /// The supported media: `CD`, `DVD`, `USBStick`, `Floppy`.
    pub media_types: Vec<String>,
    /// Whether an image is inserted.
    pub inserted: bool,
    /// The image.
    pub image: Option<String>,
    /// The entity tag.
    pub etag: Option<String>,
    /// The path of the insert action.
    insert_action: Option<String>,
    /// The path of the eject action.
    eject_action: Option<String>,
}

impl VirtualDrive {
    /// Reads a drive that was found at `path`.
    pub fn read(path: &str, value: &Value) -> Self {
        let fields = Fields::of(value);
        let actions = fields.object("Actions");
        let target = |name: &str| actions.object(name).link("target");
        let image = fields.raw("Image").filter(|it| !it.is_empty());
        let is_connected = fields
            .raw("ConnectedVia")
            .is_some_and(|it| it != "NotConnected");
        Self {
            path: path.to_owned(),
            media_types: fields.texts("MediaTypes"),
            // Without this property, a connected image counts as inserted.
            inserted: fields
                .boolean("Inserted")
                .unwrap_or(image.is_some() && is_connected),
            image: image.map(str::to_owned),
            etag: fields.raw("@odata.etag").map(str::to_owned),
            insert_action: target("#VirtualMedia.InsertMedia"),
            eject_action: target("#VirtualMedia.EjectMedia"),
        }
    }

    /// Reports whether the drive takes CD images.
    pub fn takes_cd(&self) -> bool {
        let is_cd = |media_type: &String| {
            media_type.eq_ignore_ascii_case("CD") || media_type.eq_ignore_ascii_case("DVD")
        };
        self.media_types.iter().any(is_cd)
    }

    /// Reports whether the drive holds an image. Some BMCs keep only the last part of its URL.
    pub fn holds(&self, url: &str) -> bool {
        let last_part = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let is_same = |image: &String| {
            image == url || (!image.contains("://") && last_part(image) == last_part(url))
        };
        self.inserted && self.image.as_ref().is_some_and(is_same)
    }

    /// Lists the requests that may insert an image, the smallest first.
    pub fn insert_requests(&self, url: &str, quirks: &Quirks) -> Vec<ChangeRequest> {
        let Some(action) = &self.insert_action else {
            return vec![
                self.patch(json!({ "Image": url, "Inserted": true })),
                self.patch(json!({ "Image": url })),
            ];
        };
        let protocol = url.split("://").next().unwrap_or_default();
        let small = json!({ "Image": url });
        let medium = json!({ "Image": url, "Inserted": true, "WriteProtected": true });
        let full = json!({
            "Image": url, "Inserted": true, "WriteProtected": true,
            "TransferMethod": "Stream", "TransferProtocolType": protocol.to_ascii_uppercase(),
            "MediaType": "CD",
        });
        let bodies = if quirks.media_needs_all_properties {
            [full, medium, small]
        } else {
            [small, medium, full]
        };
        let requests = bodies.map(|body| ChangeRequest::post(action, body));
        requests.into()
    }

    /// Lists the requests that may eject the image, the smallest first.
    pub fn eject_requests(&self) -> Vec<ChangeRequest> {
        match &self.eject_action {
            Some(action) => vec![ChangeRequest::post(action, json!({}))],
            None => vec![
                self.patch(json!({ "Image": null, "Inserted": false })),
                self.patch(json!({ "Image": null })),
            ],
        }
    }

    fn patch(&self, body: Value) -> ChangeRequest {
        ChangeRequest::patch(&self.path, body)
    }
}

/// Chooses the drive for a CD image: one that holds it already, or else an empty one, or else the
/// first.
pub fn choose<'d>(drives: &'d [VirtualDrive], url: &str) -> Option<&'d VirtualDrive> {
    let cd_drives = || drives.iter().filter(|drive| drive.takes_cd());
    cd_drives()
        .find(|drive| drive.holds(url))
        .or_else(|| cd_drives().find(|drive| !drive.inserted))
        .or_else(|| cd_drives().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::quirks::quirks;
    use crate::bmc::request::ChangeMethod;
    use crate::bmc::resource::{ServiceRoot, System};

    const URL: &str = "http://10.0.0.1/a.iso";

    fn drive(value: Value) -> VirtualDrive {
        VirtualDrive::read("/d", &value)
    }

    fn action(name: &str, target: &str) -> Value {
        json!({ name: { "target": target } })
    }

    #[test]
    fn cd_drive_is_chosen() {
        let read = |id: &str, media_types: &[&str], image: Option<&str>| {
            let value =
                json!({ "MediaTypes": media_types, "Inserted": image.is_some(), "Image": image });
            VirtualDrive::read(id, &value)
        };
        for (drives, chosen) in [
            (vec![], None),
            (vec![read("floppy", &["Floppy", "USBStick"], None)], None),
            (
                vec![
                    read("usb", &["USBStick"], None),
                    read("cd", &["CD", "DVD"], None),
                ],
                Some("cd"),
            ),
            (
                vec![read("a", &["DVD"], Some("x")), read("b", &["CD"], None)],
                Some("b"),
            ),
            (
                vec![read("a", &["CD"], None), read("b", &["CD"], Some(URL))],
                Some("b"),
            ),
            (
                vec![read("a", &["cd"], Some("x")), read("b", &["CD"], Some("y"))],
                Some("a"),
            ),
        ] {
            let found = choose(&drives, URL).map(|drive| drive.path.as_str());
            assert_eq!(found, chosen, "{drives:?}");
        }
    }

    #[test]
    fn smallest_action_comes_first_and_a_patch_replaces_a_missing_action() {
        let standard = quirks(&ServiceRoot::default(), &System::default());
        let with = drive(json!({ "Actions": action("#VirtualMedia.InsertMedia", "/i") }));
        let requests = with.insert_requests(URL, &standard);
        assert_eq!(
            requests[0],
            ChangeRequest::post("/i", json!({ "Image": URL }))
        );
        assert_eq!(requests.len(), 3);
        let ami = Quirks {
            media_needs_all_properties: true,
            ..standard
        };
        assert_eq!(
            with.insert_requests(URL, &ami)[0].body["TransferProtocolType"],
            "HTTP"
        );
        let without = drive(json!({}));
        assert_eq!(
            without.insert_requests(URL, &standard)[0].method,
            ChangeMethod::Patch
        );
        assert_eq!(
            without.eject_requests()[0].body,
            json!({ "Image": null, "Inserted": false })
        );
    }

    #[test]
    fn inserted_image_is_recognized_in_each_form() {
        for (value, holds) in [
            (json!({ "Image": URL, "Inserted": true }), true),
            (json!({ "Image": URL, "ConnectedVia": "URI" }), true),
            (json!({ "Image": "a.iso", "Inserted": "true" }), true),
            (json!({ "Image": URL, "Inserted": false }), false),
            (
                json!({ "Image": URL, "ConnectedVia": "NotConnected" }),
                false,
            ),
            (
                json!({ "Image": "http://10.0.0.2/a.iso", "Inserted": true }),
                false,
            ),
            (json!({ "Image": null }), false),
        ] {
            assert_eq!(drive(value.clone()).holds(URL), holds, "{value}");
        }
    }
}
