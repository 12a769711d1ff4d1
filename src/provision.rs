//! Arming hosts: verifies what they would install, freezes it into a session, and makes the host
//! `provisioning`.

mod needed;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::bundle::{BundleStore, RETIRED_ANNOTATION, Verifier};
use crate::decide::{Refusal, Standing, arm};
use crate::inventory::{Host, IdentityPolicy, Inventory};
use crate::loader::Dialect;
use crate::machine::{Event, EventKind, Session, SessionId};
use crate::render::{
    Plan, SessionLinks, TemplateError, Templates, Variables, install_script, seed_errors,
};
use crate::store::{HostUpdate, Store};
pub use needed::{need_installs, need_inventory};

/// Why one host was not armed.
#[derive(Debug, thiserror::Error)]
pub enum NotArmed {
    /// Its phase does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The host has no UUID, so its machine cannot be identified.
    #[error("the inventory has no `uuid` for this host, and pxectl overwrites no disk without one")]
    NoUuid,
    /// The files of the install cannot be rendered.
    #[error("cannot render the files of this install: {0}")]
    Unrendered(#[from] TemplateError),
    /// Its bundle should not be installed any more.
    #[error("bundle `{bundle}` expired on {day}")]
    Expired {
        /// The bundle.
        bundle: String,
        /// The day from which it is not installed any more.
        day: jiff::civil::Date,
    },
    /// Its bundle was retired in the store.
    #[error("bundle `{bundle}` is retired: {why}")]
    Retired {
        /// The bundle.
        bundle: String,
        /// The reason that was given when the bundle was retired.
        why: String,
    },
    /// Its bundle is not whole.
    #[error("bundle `{bundle}`: {reason}")]
    Bundle {
        /// The bundle.
        bundle: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl NotArmed {
    /// Returns the help text; empty if the reason already has one.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.help(),
            Self::NoUuid => {
                "add `uuid: …` to the host; `serve http` logs the UUID when the machine boots"
            }
            Self::Expired { .. } => {
                "use a newer bundle in the profile, or set a later `expires` in the bundle"
            }
            Self::Retired { .. } => {
                "use a newer bundle in the profile, or use `--allow-retired` to arm the host anyway"
            }
            Self::Unrendered(_) => {
                "run `pxectl render HOST --context` to list the variables that templates can use"
            }
            Self::Bundle { .. } => {
                "fetch the blob with `pxectl bundle fetch`, or correct the Bundle document"
            }
        }
    }
}

/// How hosts are armed.
#[derive(Clone, Copy, Debug)]
pub struct Arming {
    /// How long the install is served.
    pub deadline: Duration,
    /// Whether retired bundles are allowed.
    pub allow_retired: bool,
}

/// Arms hosts in one transaction, and returns the result for each host, in order.
///
/// Each bundle's blobs are hashed once. `verified` is called with each bundle before its blobs are hashed.
///
/// # Errors
/// When the store or the system's random numbers fail; no host is armed then.
pub fn provision<'h>(
    inventory: &Inventory,
    bundles: &BundleStore,
    store: &dyn Store,
    hosts: &[&'h Host],
    how: Arming,
    verified: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<(&'h str, Result<Session, NotArmed>)>> {
    let standing = store.standing()?;
    let now = standing.now();
    // What is verified here is still there when the store of hosts says that it is needed.
    let _held = bundles.hold()?;
    let names = bundles.names()?;
    let mut checked: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    let mut plans: BTreeMap<&str, (Session, String)> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, Result<Session, NotArmed>> = BTreeMap::new();
    for host in hosts {
        let plan = Plan::new(inventory, host)?;
        let bundle = &plan.bundle;
        let named = names.get(&bundle.name);
        let retired = named.and_then(|it| it.annotations.get(RETIRED_ANNOTATION));
        if let Some(why) = retired.filter(|_| !how.allow_retired) {
            let refused = NotArmed::Retired {
                bundle: bundle.name.clone(),
                why: why.clone(),
            };
            outcomes.insert(&host.name, Err(refused));
            continue;
        }
        if !checked.contains_key(&bundle.name) {
            verified(&bundle.name);
            let verifier = Verifier::default();
            let good = bundle
                .files
                .values()
                .try_for_each(|file| verifier.open(bundles, file).map(|_| ()));
            checked.insert(bundle.name.clone(), good.map_err(|error| error.to_string()));
        }
        match ready(inventory, &plan, checked.get(&bundle.name), now) {
            Ok(()) => {
                let session = new_session(&standing, how.deadline)?;
                let frozen = serde_json::to_string(&plan).context("cannot freeze the plan")?;
                plans.insert(&host.name, (session, frozen));
            }
            Err(why) => {
                outcomes.insert(&host.name, Err(why));
            }
        }
    }
    let names: Vec<&str> = plans.keys().copied().collect();
    store.update(&names, &mut |name, record, standing| {
        let (name, (session, plan)) = plans.get_key_value(name)?;
        let armed = arm(name, record, session.clone(), standing);
        let outcome = armed.map(|record| {
            let message = format!("armed until {:.0}", session.deadline);
            let host = Some((*name).to_owned());
            let event = Event {
                at: now,
                kind: EventKind::Armed,
                host,
                mac: None,
                session: Some(session.id),
                message,
            };
            HostUpdate {
                record,
                plan: Some(plan.clone()),
                events: vec![event],
            }
        });
        let (update, outcome) = match outcome {
            Ok(update) => (Some(update), Ok(session.clone())),
            Err(refusal) => (None, Err(refusal.into())),
        };
        outcomes.insert(name, outcome);
        update
    })?;
    Ok(hosts
        .iter()
        .filter_map(|host| {
            outcomes
                .remove(host.name.as_str())
                .map(|o| (host.name.as_str(), o))
        })
        .collect())
}

fn ready(
    inventory: &Inventory,
    plan: &Plan,
    blobs: Option<&Result<(), String>>,
    now: Timestamp,
) -> Result<(), NotArmed> {
    let bundle = &plan.bundle;
    if plan.host.uuid.is_none() && inventory.site.identity == IdentityPolicy::Uuid {
        return Err(NotArmed::NoUuid);
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    if let Some(day) = bundle.expires.filter(|_| bundle.is_expired(today)) {
        return Err(NotArmed::Expired {
            bundle: bundle.name.clone(),
            day,
        });
    }
    match blobs {
        Some(Err(reason)) => Err(NotArmed::Bundle {
            bundle: bundle.name.clone(),
            reason: reason.clone(),
        }),
        _ => Ok(render(plan)?),
    }
}

/// Renders everything that the plan serves, from the frozen plan only.
fn render(plan: &Plan) -> Result<(), TemplateError> {
    let templates = Templates::compile(&plan.templates).map_err(|mut faults| faults.remove(0))?;
    let variables = Variables::new(plan, &SessionLinks::placeholder(&plan.server));
    for dialect in Dialect::all() {
        install_script(&templates, dialect, &variables)?;
    }
    for name in plan.profile.installer.seeds() {
        if let Some(error) = seed_errors(&templates, plan, &variables, name)
            .into_iter()
            .next()
        {
            return Err(error);
        }
    }
    Ok(())
}

fn new_session(standing: &Standing, deadline: Duration) -> anyhow::Result<Session> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits)
        .map_err(|error| anyhow::anyhow!("cannot get random numbers from the system: {error}"))?;
    let id = SessionId::new(u64::from_le_bytes(bits));
    Session::open(id, standing.clock(), deadline).context("the deadline is too far in the future")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::workspace::Snapshot;

    #[test]
    fn nothing_is_collected_between_its_being_verified_and_its_being_needed() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        let (inventory, _) = Snapshot::read(&fixture).unwrap().check().good.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let bundles = BundleStore::open_or_create(&directory.path().join("bundles")).unwrap();
        let store = crate::store::SqliteStore::open_or_create(
            &directory.path().join("state"),
            &directory.path().join("witness"),
        )
        .unwrap();
        let lock = || std::fs::File::open(bundles.root().join(".partial")).unwrap();
        let how = Arming {
            deadline: Duration::from_secs(60),
            allow_retired: false,
        };
        let hosts = [&inventory.hosts["worker-01"]];
        let mut held = Vec::new();
        let mut verified = |_: &str| held.push(lock().try_lock().is_err());
        provision(&inventory, &bundles, &store, &hosts, how, &mut verified).unwrap();
        assert_eq!(held, [true]);
        lock().try_lock().unwrap();
    }

    #[test]
    fn a_host_whose_files_cannot_be_rendered_is_not_armed() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rack-a");
        let checked = Snapshot::read(&fixture).unwrap().check();
        let (inventory, _) = checked.good.unwrap();
        let host = &inventory.hosts["worker-01"];
        let plan = Plan::new(&inventory, host).unwrap();
        let ready = |plan: &Plan| {
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            ready(&inventory, plan, Some(&Ok(())), now).map_err(|why| why.to_string())
        };
        assert_eq!(ready(&plan), Ok(()));
        let rows = [
            (
                "install.ipxe.hbs",
                "{{host.nmae}}",
                "unknown variable `host.nmae`",
            ),
            (
                "autoinstall.meta-data.hbs",
                "{{vars.rack}}",
                "unknown variable `vars.rack`",
            ),
            ("install.ipxe.hbs", "{{> part.hbs}}", "part.hbs"),
        ];
        for (template, text, why) in rows {
            let mut plan = plan.clone();
            plan.templates.insert(template.to_owned(), text.to_owned());
            let refused = ready(&plan).unwrap_err();
            assert!(
                refused.contains(why) && refused.contains(template),
                "{refused}"
            );
        }
    }
}
