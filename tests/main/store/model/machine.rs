//! What machines do: they boot, fetch and report.

use std::net::Ipv4Addr;

use pxectl::clients::dhcp::{Client, ClientKind};
use pxectl::decide::{
    Action, Admission, ArmedHost, Attempt, BootRequest, CallbackClass, CallbackKind, TokenState,
    admit_callback, begin_attempt, decide, report,
};
use pxectl::loader::Dialect;
use pxectl::machine::{Architecture, EventKind, HostRecord, MacAddress, Secret, SessionId};
use pxectl::respond::dhcp::{AssignedBootFile, DhcpResponder, Ingress};
use pxectl::store::{CallbackUpdate, HostUpdate, Store};
use pxectl::token::{Capability, Purpose, StoreKey};
use pxectl::wire::dhcp::{OptionCode, TransactionId};

use super::run::kept;
use super::site::{HOSTS, inventories, listed, machine, owner, uuid};
use super::step::{Shown, Text, Way, Wish};
use super::world::{Checked, Given, World};
use crate::store::at;
use crate::support::oracle::{Fetch, Hardware, Phase, Terms, same, swapped};

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 22, 0, 1);
/// How long a boot token is good at most, in seconds: 15 minutes, rounded up.
const TOKEN_TIME: i64 = 1200;

impl World {
    /// A machine asks for a boot token by DHCP, and then for its script.
    pub fn boot(&mut self, number: usize, shown: Shown, by: Way) -> Checked {
        let seen = show(machine(number), shown, number);
        let moment = self.moment();
        let inventory = &inventories()[self.inventory];
        let clocks = self.clocks();
        let given = token(
            &self.server().key,
            self.inventory,
            number,
            &seen,
            by,
            clocks.wall,
        );
        let is_foreign = matches!(by, Way::UnlistedRelay | Way::ForgedRelay | Way::ForgedLink);
        if is_foreign && given.is_some() {
            return Err(format!("a boot token was given by way of {by:?}"));
        }
        let old = self.given[number].token.clone();
        if let (Way::Home, Some(token)) = (by, &given) {
            self.given[number].token = Some((token.clone(), clocks.wall));
        }
        let (sent, is_good) = match by {
            Way::Home => (given.clone(), Some(given.is_some())),
            Way::OldToken => match old {
                Some((token, made)) => {
                    let age = moment.now - made;
                    let is_good = match age {
                        age if age > TOKEN_TIME => Some(false),
                        _ => None,
                    };
                    (Some(token), is_good)
                }
                None => (None, Some(false)),
            },
            Way::OtherToken => {
                let other = machine((number + 1) % HOSTS.len());
                (
                    Some(self.server().key.boot_token(
                        MacAddress::new(other.mac),
                        None,
                        at(clocks.wall),
                    )),
                    None,
                )
            }
            _ => (None, Some(false)),
        };
        let is_good = match (by, &sent) {
            // It is good for the machine that has that network card.
            (Way::OtherToken, _) => Some(seen.mac == machine((number + 1) % HOSTS.len()).mac),
            _ => is_good,
        };

        let mac = MacAddress::new(seen.mac);
        let standing = self.server().store.standing().unwrap();
        let host = inventory.host_by_mac(mac);
        let owner = owner(self.inventory, seen.mac);
        let name = owner.map(|owner| self.name(owner));
        let record = name.and_then(|name| self.server().store.host(&name).unwrap());
        let open = record.as_ref().and_then(HostRecord::open_session);
        let stored = open.and_then(|open| self.server().store.session(open.id).unwrap());
        let armed = stored.and_then(|stored| {
            let frozen = &inventories()[stored.plan.parse::<usize>().unwrap()];
            Some(ArmedHost {
                host: frozen.hosts.get(&host?.name)?,
                identity: frozen.site.identity,
                provisioning: frozen.site.provisioning,
                secure_boot: false,
            })
        });
        let state = match &sent {
            None => TokenState::Missing,
            Some(token) => {
                let seen_uuid = seen.uuid.map(uuid);
                let checked = self.server().key.check_boot_token(
                    token.expose(),
                    mac,
                    seen_uuid,
                    standing.now(),
                );
                match checked {
                    Ok(()) => TokenState::Good,
                    Err(error) => TokenState::Bad(error),
                }
            }
        };
        let request = BootRequest {
            mac,
            uuid: seen.uuid.map(uuid),
            serial: seen.serial.map(str::to_owned),
            asset: None,
            architecture: seen.arch.parse::<Architecture>().ok(),
            dialect: Dialect::Ipxe,
            token: state,
        };
        let decision = decide(inventory, record.as_ref(), armed, &request, &standing);

        let expected = owner.and_then(|owner| {
            let today: Terms = listed(self.inventory, owner)?;
            let memory = self.hosts()[owner];
            memory.install_for(&seen, &today, moment)
        });
        let is_sound = self.is_sound();
        let expected = expected.filter(|_| is_sound);
        let found = match decision.action {
            Action::Install { session, attempt } => Some((session.bits(), attempt)),
            Action::LocalDisk | Action::Hold => None,
        };
        let is_right = match is_good {
            Some(true) => found == expected,
            Some(false) => found.is_none(),
            None => found.is_none() || found == expected,
        };
        if !is_right {
            return Err(format!(
                "installs {found:?}, expected {expected:?} with a token that is good: {is_good:?}; \
                 {}",
                decision.reason
            ));
        }
        let Some((session, attempt)) = found else {
            self.count("not installed");
            return Ok(());
        };
        self.count("installed from");
        let capability = Capability {
            session: SessionId::new(session),
            attempt,
            purpose: Purpose::Seed,
        };
        let text = self.server().key.capability(capability);
        let Given { scripts, .. } = &mut self.given[owner.expect("a host")];
        scripts.push((text, capability));
        Ok(())
    }

    /// A machine fetches a kernel or a seed.
    pub fn fetch(&mut self, host: usize, what: Wish) -> Checked {
        let Some((text, meant)) = self.wished(host, what, Purpose::Seed) else {
            return Ok(());
        };
        let moment = self.moment();
        let wall = self.clocks().wall;
        let opened = self.server();
        let (store, key) = (&opened.store, &opened.key);
        let capability = key.read_capability(text.expose());
        let stored = capability.and_then(|it| store.session(it.session).unwrap());
        let found = match (capability, stored) {
            (Some(capability), Some(stored)) => {
                let mut found = Fetch::Refused;
                let begun = store.update(&[&stored.host], &mut |_, record, standing| {
                    let (session, attempt) = (capability.session, capability.attempt);
                    match begin_attempt(record, session, attempt, standing) {
                        Ok(Attempt::Begins(record)) => {
                            found = Fetch::Begins;
                            Some(HostUpdate {
                                record: *record,
                                plan: None,
                                events: Vec::new(),
                            })
                        }
                        Ok(Attempt::Running) => {
                            found = Fetch::Goes;
                            None
                        }
                        Err(_) => None,
                    }
                });
                if !kept(begun) {
                    found = Fetch::Refused;
                }
                found
            }
            _ => Fetch::Refused,
        };

        let is_sound = self.is_sound();
        let memory = &mut self.hosts()[host];
        let expected = match is_sound && what != Wish::Foreign {
            true => memory.fetch(meant.session.bits(), meant.attempt, moment),
            false => Fetch::Refused,
        };
        if expected == Fetch::Begins {
            let process = self.process();
            self.stores.wrote(&process, wall, true);
        }
        if found == Fetch::Begins {
            let capability = Capability {
                purpose: Purpose::Callback,
                ..meant
            };
            let text = self.server().key.capability(capability);
            self.given[host].seeds.push((text, capability));
        }
        self.count(match found {
            Fetch::Begins => "attempt begun",
            Fetch::Goes => "attempt went on",
            Fetch::Refused => "fetch refused",
        });
        same("fetched", found, expected)
    }

    /// An installer reports.
    pub fn report(&mut self, host: usize, what: Wish, text: Text) -> Checked {
        let Some((capability_text, meant)) = self.wished(host, what, Purpose::Callback) else {
            return Ok(());
        };
        let kind = match text {
            Text::Installed => CallbackKind::Installed,
            Text::Failed => CallbackKind::Failed,
            Text::Progress => CallbackKind::Progress,
            Text::Ready => CallbackKind::Ready,
            Text::Log => CallbackKind::Log,
        };
        let moment = self.moment();
        let wall = self.clocks().wall;
        let opened = self.server();
        let (store, key) = (&opened.store, &opened.key);
        let capability = key.read_capability(capability_text.expose());
        let stored = capability.and_then(|it| store.session(it.session).unwrap());
        let (mut counts, mut is_stored) = (false, false);
        if let (Some(capability), Some(stored)) = (capability, stored) {
            let Capability {
                session, attempt, ..
            } = capability;
            let stored_report =
                store.callback(&stored.host, session, &mut |record, tallies, standing| {
                    let callback = report(record, session, attempt, kind, "", standing);
                    let event = callback.event?;
                    let is_late = event == EventKind::Late;
                    let class = CallbackClass { kind, is_late };
                    let tally = tallies.iter().find(|(of, _)| *of == class);
                    let tally = tally.map(|(_, tally)| tally);
                    let admission = admit_callback(class, tally, attempt, "", standing.now());
                    let Admission::Store(tally) = admission else {
                        return None;
                    };
                    (counts, is_stored) = (callback.record.is_some(), true);
                    Some(CallbackUpdate {
                        record: callback.record,
                        class,
                        tally,
                        event: crate::store::event(&stored.host, 0, ""),
                    })
                });
            if !kept(stored_report) {
                (counts, is_stored) = (false, false);
            }
        }

        let is_in_place = self.stores.is_in_place(&self.process());
        let memory = &mut self.hosts()[host];
        let was_open = memory.open().is_some();
        let target = match text {
            Text::Installed => Some(Phase::Installed),
            Text::Failed => Some(Phase::Failed),
            Text::Progress | Text::Ready | Text::Log => None,
        };
        // What is written to a deleted file is lost, so it must not be acknowledged.
        let target = target.filter(|_| what != Wish::Foreign && is_in_place);
        let expected = target
            .is_some_and(|phase| memory.report(meant.session.bits(), meant.attempt, phase, moment));
        if is_stored || expected {
            let process = self.process();
            self.stores.wrote(&process, wall, expected && was_open);
        }
        self.count(match (counts, target) {
            (true, _) => "report counts",
            (false, Some(_)) => "report does not count",
            (false, None) => "other report",
        });
        same("counts", counts, expected)
    }

    /// Picks a capability that a machine was given, or makes one that it was not.
    fn wished(&self, host: usize, what: Wish, purpose: Purpose) -> Option<(Secret, Capability)> {
        let given = match purpose {
            Purpose::Seed => &self.given[host].scripts,
            Purpose::Callback => &self.given[host].seeds,
        };
        let (text, capability) = match what {
            Wish::First => given.first()?.clone(),
            Wish::Latest | Wish::Later | Wish::Foreign => given.last()?.clone(),
        };
        match what {
            Wish::Latest | Wish::First => Some((text, capability)),
            // Nobody can make it; if somebody could, it would still not be due.
            Wish::Later if purpose == Purpose::Seed => {
                let attempt = capability.attempt + 2;
                let later = Capability {
                    attempt,
                    ..capability
                };
                Some((self.server().key.capability(later), later))
            }
            Wish::Later => Some((text, capability)),
            Wish::Foreign => Some((StoreKey::new([9; 32]).capability(capability), capability)),
        }
    }
}

/// Returns what a machine shows of itself.
fn show(machine_shown: Hardware, shown: Shown, number: usize) -> Hardware {
    let mut seen = machine_shown;
    let other = machine((number + 1) % HOSTS.len());
    match shown {
        Shown::Truth => {}
        Shown::SwappedUuid => seen.uuid = seen.uuid.map(swapped),
        Shown::NoSerial => seen.serial = None,
        Shown::OtherMac => seen.mac = other.mac,
        Shown::UnknownMac => seen.mac[4] = 9,
        Shown::OtherUuid => seen.uuid = other.uuid,
        Shown::NoUuid => seen.uuid = None,
        Shown::ZeroUuid => seen.uuid = Some([0; 16]),
        Shown::OtherSerial => seen.serial = other.serial,
        Shown::OtherArchitecture => seen.arch = "bios",
    }
    seen
}

/// Asks the DHCP server for the boot token of a machine.
fn token(
    key: &StoreKey,
    inventory: usize,
    number: usize,
    seen: &Hardware,
    by: Way,
    wall: i64,
) -> Option<Secret> {
    let client = Client {
        kind: ClientKind::ipxe(seen.arch.parse().expect("an architecture")),
        mac: MacAddress::new(seen.mac),
        uuid: seen.uuid.map(uuid),
    };
    let mut message = client.discover(TransactionId(1));
    let is_far = number == 2;
    let mut ingress = Some("near");
    match by {
        Way::Home if is_far => message.relay_address = RELAY,
        Way::Home => {}
        Way::UnlistedRelay => message.relay_address = Ipv4Addr::new(10, 22, 0, 9),
        Way::ForgedRelay => message.relay_address = Ipv4Addr::new(10, 20, 0, 77),
        Way::ForgedLink => {
            message.relay_address = Ipv4Addr::new(10, 66, 0, 5);
            let link = [5, 4, 10, if is_far { 22 } else { 20 }, 0, 0];
            message
                .options
                .set_raw(OptionCode::RelayAgentInformation, link);
        }
        Way::NoToken | Way::OldToken | Way::OtherToken => return None,
    }
    if !message.relay_address.is_unspecified() {
        ingress = None;
    }
    let ingress = Ingress {
        network: ingress,
        address: Ipv4Addr::new(10, 20, 0, 10),
    };
    let inventory = &inventories()[inventory];
    let mut responder = DhcpResponder::new([]);
    let response = responder.respond(inventory, key, ingress, &message, at(wall));
    response.reply.ok()?;
    match response.exchange.boot_file {
        Some(AssignedBootFile::Script { token, .. }) => Some(token),
        _ => None,
    }
}
