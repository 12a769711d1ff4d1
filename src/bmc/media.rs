//! Virtual media: which drive, what it is sent, and whether it took it.

use serde_json::{Value, json};

use super::boot::Rung;
use super::fields::Fields;
use super::quirks::Quirks;

/// One virtual drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drive {
    /// Where it is.
    pub path: String,
    /// What it can hold: `CD`, `DVD`, `USBStick`, `Floppy`.
    pub kinds: Vec<String>,
    /// Whether something is in it.
    pub inserted: bool,
    /// What is in it.
    pub image: Option<String>,
    /// The entity tag.
    pub etag: Option<String>,
    insert: Option<String>,
    eject: Option<String>,
}

/// One way to ask for something: an action (`POST`), or a change of the resource (`PATCH`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Whether it is an action.
    pub is_action: bool,
    /// What is sent where.
    pub rung: Rung,
}

impl Drive {
    /// Reads a drive that was found at `path`.
    pub fn read(path: &str, value: &Value) -> Self {
        let fields = Fields::of(value);
        let actions = fields.object("Actions");
        let target = |name: &str| actions.object(name).link("target");
        let image = fields.raw("Image").filter(|it| !it.is_empty());
        let connected = fields
            .raw("ConnectedVia")
            .is_some_and(|it| it != "NotConnected");
        Self {
            path: path.to_owned(),
            kinds: fields.texts("MediaTypes"),
            // Some say nothing of it: then an image that is connected is inserted.
            inserted: fields
                .boolean("Inserted")
                .unwrap_or(image.is_some() && connected),
            image: image.map(str::to_owned),
            etag: fields.raw("@odata.etag").map(str::to_owned),
            insert: target("#VirtualMedia.InsertMedia"),
            eject: target("#VirtualMedia.EjectMedia"),
        }
    }

    /// Reports whether a CD fits.
    pub fn takes_cd(&self) -> bool {
        let cd = |kind: &String| ["CD", "DVD"].iter().any(|it| kind.eq_ignore_ascii_case(it));
        self.kinds.iter().any(cd)
    }

    /// Reports whether an image is in it. Some controllers keep only the end of the URL.
    pub fn holds(&self, url: &str) -> bool {
        let end = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let same =
            |image: &String| image == url || (!image.contains("://") && end(image) == end(url));
        self.inserted && self.image.as_ref().is_some_and(same)
    }

    /// Lists the ways to insert an image, the smallest first.
    pub fn inserting(&self, url: &str, quirks: &Quirks) -> Vec<Way> {
        let method = url
            .split("://")
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let small = json!({ "Image": url });
        let more = json!({ "Image": url, "Inserted": true, "WriteProtected": true });
        let all = json!({
            "Image": url, "Inserted": true, "WriteProtected": true,
            "TransferMethod": "Stream", "TransferProtocolType": method, "MediaType": "CD",
        });
        let bodies = match quirks.media_wants_all {
            true => vec![all, more, small],
            false => vec![small, more.clone(), all],
        };
        let actions = self
            .insert
            .iter()
            .flat_map(|target| bodies.iter().map(|body| Way::action(target, body.clone())));
        let mut ways: Vec<Way> = actions.collect();
        if ways.is_empty() {
            ways.push(self.change(json!({ "Image": url, "Inserted": true })));
            ways.push(self.change(json!({ "Image": url })));
        }
        ways
    }

    /// Lists the ways to eject what is in it.
    pub fn ejecting(&self) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        ways.extend(
            self.eject
                .as_ref()
                .map(|target| Way::action(target, json!({}))),
        );
        if ways.is_empty() {
            ways.push(self.change(json!({ "Image": null, "Inserted": false })));
            ways.push(self.change(json!({ "Image": null })));
        }
        ways
    }

    fn change(&self, body: Value) -> Way {
        let path = self.path.clone();
        Way {
            is_action: false,
            rung: Rung { path, body },
        }
    }
}

impl Way {
    fn action(target: &str, body: Value) -> Self {
        let path = target.to_owned();
        Self {
            is_action: true,
            rung: Rung { path, body },
        }
    }
}

/// Chooses the drive for a CD: one that holds the image already, else an empty one, else the first.
pub fn choose<'d>(drives: &'d [Drive], url: &str) -> Option<&'d Drive> {
    let cds = || drives.iter().filter(|drive| drive.takes_cd());
    cds()
        .find(|drive| drive.holds(url))
        .or_else(|| cds().find(|drive| !drive.inserted))
        .or_else(|| cds().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmc::quirks::quirks;
    use crate::bmc::resource::{ServiceRoot, System};

    const URL: &str = "http://10.0.0.1/a.iso";

    fn drive(value: Value) -> Drive {
        Drive::read("/d", &value)
    }

    fn action(name: &str, target: &str) -> Value {
        json!({ name: { "target": target } })
    }

    #[test]
    fn a_drive_for_a_cd_is_chosen() {
        let read = |id: &str, kinds: &[&str], image: Option<&str>| {
            let value = json!({ "MediaTypes": kinds, "Inserted": image.is_some(), "Image": image });
            Drive::read(id, &value)
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
    fn the_smallest_action_comes_first_and_a_change_where_there_is_none() {
        let standard = quirks(&ServiceRoot::default(), &System::default());
        let with = drive(json!({ "Actions": action("#VirtualMedia.InsertMedia", "/i") }));
        let ways = with.inserting(URL, &standard);
        assert_eq!(ways[0], Way::action("/i", json!({ "Image": URL })));
        assert_eq!(ways.len(), 3);
        let ami = Quirks {
            media_wants_all: true,
            ..standard
        };
        assert_eq!(
            with.inserting(URL, &ami)[0].rung.body["TransferProtocolType"],
            "HTTP"
        );
        let without = drive(json!({}));
        assert!(!without.inserting(URL, &standard)[0].is_action);
        assert_eq!(
            without.ejecting()[0].rung.body,
            json!({ "Image": null, "Inserted": false })
        );
    }

    #[test]
    fn what_is_in_a_drive_is_told_in_several_ways() {
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
