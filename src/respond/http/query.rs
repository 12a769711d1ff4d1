use jiff::Timestamp;

use crate::decide::{BootRequest, IDENTITY_LIMIT, Standing, cleaned};
use crate::loader::Dialect;
use crate::machine::{Architecture, MacAddress, Secret, SystemUuid};
use crate::render::TemplateError;
use crate::respond::boot::{BootAnswer, BootSources};
use crate::wire::path::decoded;

/// The query of a boot URL, not verified yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootQuery {
    token: Secret,
    mac: Option<MacAddress>,
    uuid: Option<SystemUuid>,
    serial: Option<String>,
    asset: Option<String>,
    platform: String,
    build_architecture: String,
}

impl BootQuery {
    /// Reads a query; unreadable values count as absent.
    pub fn parse(query: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let Some(value) = decoded(value) else {
                continue;
            };
            let text = || Some(cleaned(&value, IDENTITY_LIMIT)).filter(|text| !text.is_empty());
            match name {
                "token" => found.token = token_only(&value),
                "mac" => found.mac = value.parse().ok(),
                "uuid" => found.uuid = value.parse().ok(),
                "serial" => found.serial = text(),
                "asset" => found.asset = text(),
                "platform" => found.platform = text().unwrap_or_default(),
                "buildarch" => found.build_architecture = text().unwrap_or_default(),
                _ => {}
            }
        }
        found
    }

    /// Returns the machine's Ethernet address, if the query has one.
    pub fn mac(&self) -> Option<MacAddress> {
        self.mac
    }

    /// Answers a boot request. A machine that has not identified itself gets a script that makes it do so.
    ///
    /// # Errors
    /// When a template cannot be rendered.
    pub fn answer(
        &self,
        sources: &BootSources<'_>,
        standing: &Standing,
    ) -> Result<BootAnswer, TemplateError> {
        match self.mac {
            Some(mac) => {
                let request = self.request(mac, sources, standing.now());
                sources.boot(&request, standing)
            }
            None => sources.ask_ipxe(self.token.expose()),
        }
    }

    fn request(&self, mac: MacAddress, sources: &BootSources<'_>, now: Timestamp) -> BootRequest {
        BootRequest {
            mac,
            uuid: self.uuid,
            serial: self.serial.clone(),
            asset: self.asset.clone(),
            architecture: Architecture::from_ipxe(&self.platform, &self.build_architecture),
            dialect: Dialect::Ipxe,
            token: sources.token_state(self.token.expose(), mac, self.uuid, now),
        }
    }
}

/// Keeps only characters of a token's alphabet, because scripts contain the token.
fn token_only(text: &str) -> Secret {
    let good = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    Secret::new(text.chars().filter(good).take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_in_the_form_of_ipxe_is_parsed() {
        let query = "token=T&mac=52-54-00-85-00-01&uuid=4c4c4544-0051-3610-8043-c2c04f4b3135\
                     &serial=C7%20X9&asset=&platform=efi&buildarch=x86_64&more=1";
        let expected = BootQuery {
            token: "T".into(),
            mac: "52:54:00:85:00:01".parse().ok(),
            uuid: "4c4c4544-0051-3610-8043-c2c04f4b3135".parse().ok(),
            serial: Some("C7 X9".into()),
            asset: None,
            platform: "efi".into(),
            build_architecture: "x86_64".into(),
        };
        assert_eq!(BootQuery::parse(query), expected);
    }

    proptest! {
        #[test]
        fn arbitrary_queries_never_panic_and_carry_no_commands(
            query in "(token|mac|uuid|serial|asset|platform)=[ -~]{0,40}(&serial=[%a-f0-9 -~]{0,40})?"
        ) {
            let query = BootQuery::parse(&query);
            prop_assert!(query.token.expose().chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
            for text in [query.serial, query.asset].into_iter().flatten() {
                prop_assert_eq!(cleaned(&text, IDENTITY_LIMIT), text);
            }
        }
    }
}
