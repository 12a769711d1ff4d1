//! What machines do: they boot, fetch and report.

use pxectl::machine::{MacAddress, SystemUuid};
use pxectl::token::{Capability, Purpose, StoreKey};

use super::{HOSTS, World, hardware};
use crate::support::oracle::{Fetch, Phase, Terms, same, swapped};

impl World {
    pub fn boot(&mut self, host: usize, other_uuid: bool, has_token: bool) -> Result<(), String> {
        let mut shown = hardware(host);
        if other_uuid {
            shown.uuid = hardware((host + 1) % HOSTS.len()).uuid;
        }
        let key = self.key();
        let mac = MacAddress::new(shown.mac);
        let uuid = SystemUuid::from_wire(swapped(shown.uuid.unwrap()));
        let token = match has_token {
            true => key.boot_token(mac, Some(uuid), pxectl::clock::wall_time()),
            false => "".into(),
        };
        let serial = shown.serial.unwrap();
        let url = format!(
            "/boot.ipxe?token={}&mac={mac}&uuid={uuid}&serial={serial}&asset=A-000{}\
             &platform=efi&buildarch=x86_64",
            token.expose(),
            host + 1
        );
        let script = self.server.web().get(&url);
        let text = script.text();
        let found = text.split("/s/").nth(1).and_then(|rest| {
            let capability = rest.split('/').next()?;
            key.read_capability(capability)
        });
        if text.contains("/s/") && found.is_none() {
            return Err(format!("a capability that cannot be read: {text}"));
        }
        let clocks = self.clocks();
        let moment = self.stores.moment(&mut self.process, clocks);
        let is_sound = has_token && self.stores.is_sound(&self.process, clocks.wall);
        let today = Terms {
            hardware: hardware(host),
            attempts: 1,
        };
        let memory = self.stores.hosts(&self.process)[host];
        let expected = memory
            .install_for(&shown, &today, moment)
            .filter(|_| is_sound);
        let session = found.map(|found| (found.session.bits(), found.attempt));
        if session != expected {
            return Err(format!(
                "installs {session:?}, expected {expected:?}: {text}"
            ));
        }
        match found {
            Some(capability) => {
                self.scripts[host].push(capability);
                self.count("installed from");
            }
            None => self.count("not installed"),
        }
        Ok(())
    }

    pub fn fetch(&mut self, host: usize, is_first: bool, is_foreign: bool) -> Result<(), String> {
        let given = &self.scripts[host];
        let given = if is_first {
            given.first()
        } else {
            given.last()
        };
        let Some(capability) = given.copied() else {
            return Ok(());
        };
        let key = match is_foreign {
            true => StoreKey::new([9; 32]),
            false => self.key(),
        };
        let text = key.capability(capability);
        let url = format!("/s/{}/files/kernel", text.expose());
        let found = self.server.web().get(&url).status() == 200;
        let clocks = self.clocks();
        let moment = self.stores.moment(&mut self.process, clocks);
        let is_sound = !is_foreign && self.stores.is_sound(&self.process, clocks.wall);
        let (session, attempt) = (capability.session.bits(), capability.attempt);
        let memory = &mut self.stores.hosts(&self.process)[host];
        let expected = match is_sound {
            true => memory.fetch(session, attempt, moment),
            false => Fetch::Refused,
        };
        if expected == Fetch::Begins {
            self.stores.wrote(&self.process, clocks.wall, true);
            self.seeds[host].push(Capability {
                purpose: Purpose::Callback,
                ..capability
            });
        }
        self.count(if found { "fetched" } else { "fetch refused" });
        same("fetched", found, expected != Fetch::Refused)
    }

    pub fn report(&mut self, host: usize, is_first: bool, phase: Phase) -> Result<(), String> {
        let given = &self.seeds[host];
        let given = if is_first {
            given.first()
        } else {
            given.last()
        };
        let Some(capability) = given.copied() else {
            return Ok(());
        };
        let name = match phase {
            Phase::Installed => "installed",
            _ => "failed",
        };
        let text = self.key().capability(capability);
        let url = format!("/s/{}/{name}", text.expose());
        let answer = self.server.web().post(&url, "");
        let clocks = self.clocks();
        let moment = self.stores.moment(&mut self.process, clocks);
        let is_in_place = self.stores.is_in_place(&self.process);
        let (session, attempt) = (capability.session.bits(), capability.attempt);
        let memory = &mut self.stores.hosts(&self.process)[host];
        let counts = is_in_place && memory.report(session, attempt, phase, moment);
        if counts {
            self.stores.wrote(&self.process, clocks.wall, true);
            self.count("report counts");
            return match (answer.status(), answer.text()) {
                (200, "ok\n") => Ok(()),
                other => Err(format!("a report that counts: {other:?}")),
            };
        }
        self.count("report does not count");
        // One that would be lost must not be acknowledged, so that the installer tries again.
        same(
            "acknowledged what is lost",
            answer.status() == 200 && !is_in_place,
            false,
        )
    }
}
