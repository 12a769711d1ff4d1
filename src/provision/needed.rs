//! The bundles that a site needs.

use anyhow::{Context, bail};

use crate::bundle::BundlesInUse;
use crate::inventory::Inventory;
use crate::machine::Phase;
use crate::render::Plan;
use crate::store::Store;

/// Adds the bundles that an inventory names.
pub fn need_inventory(needed: &mut BundlesInUse, inventory: &Inventory) {
    for bundle in inventory.bundles.values() {
        let users = inventory.profiles.values();
        let users = users.filter(|profile| profile.bundle == bundle.name);
        let users: Vec<String> = users.map(|it| format!("profile `{}`", it.name)).collect();
        let why = match users.as_slice() {
            [] => format!("in the inventory of `{}`", inventory.site.name),
            users => format!("used by {}", users.join(", ")),
        };
        needed.add(bundle, why);
    }
}

/// Adds the bundles of all open installs in a store. Reports whether the store belongs to the site: a store
/// without any host of the inventory belongs to another site, and says nothing about this site's installs.
///
/// # Errors
/// When the store cannot be read, or has no plan for an open install.
pub fn need_installs(
    needed: &mut BundlesInUse,
    inventory: &Inventory,
    store: &dyn Store,
) -> anyhow::Result<bool> {
    let records = store.hosts()?;
    for record in &records {
        let Some(session) = &record.session else {
            continue;
        };
        if session.ended_at.is_some() && record.phase != Phase::Provisioning {
            continue;
        }
        let (host, id) = (&record.host, session.id);
        let Some(stored) = store.session(id)? else {
            bail!("session {id} of `{host}` is open, but the store has no plan for it");
        };
        let plan: Plan = serde_json::from_str(&stored.plan)
            .with_context(|| format!("cannot read the plan of session {id} of `{host}`"))?;
        needed.add(&plan.bundle, format!("used by an open install of `{host}`"));
    }
    let is_known = |host: &String| inventory.hosts.contains_key(host);
    Ok(records.iter().any(|record| is_known(&record.host)))
}
