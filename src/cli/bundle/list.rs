use std::collections::BTreeSet;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::size::{size, total_size};
use super::store;
use crate::bundle::{BundleStore, NamedBundle};
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::clock::wall_time;
use crate::inventory::{Bundle, Inventory, KeyId, SignaturePolicy, plural};
use crate::machine::shown_line;

/// List the bundles in the store with their size, age, expiry, signatures and users
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pxectl bundle list
  pxectl bundle list --format json")]
pub struct List {}

/// One row of the list.
struct BundleRow {
    name: String,
    bundle: Option<Bundle>,
    created: Option<Timestamp>,
    retired: Option<String>,
    signed_by: Vec<String>,
    /// Keys of signatures that the site does not know.
    unknown_keys: Vec<KeyId>,
    profiles: Vec<String>,
    hosts: usize,
    in_git: bool,
    notes: Vec<String>,
}

impl List {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let store = store::open(global, output)?;
        let inventory = store::rules_if_good(global);
        if inventory.is_none() {
            output.warning(
                "the users of bundles are unknown: no valid inventory",
                "name the inventory with `-i DIR`, and run `pxectl validate` to see its errors",
            );
        }
        let policy = store::policy(global).unwrap_or_default();
        let now = wall_time();
        let today = now.to_zoned(TimeZone::UTC).date();
        let named = store.bundles()?.into_iter();
        let rows: Vec<BundleRow> = named
            .map(|(name, it)| row(&store, inventory.as_ref(), &policy, name, it, today))
            .collect();
        if output.is_json() {
            output.json(&rows.iter().map(json).collect::<Vec<_>>());
            return Ok(Exit::Done);
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_header([
            "BUNDLE",
            "ARCH",
            "SIZE",
            "AGE",
            "EXPIRES",
            "SIGNED BY",
            "USED BY",
            "INVENTORY",
            "NOTE",
        ]);
        for row in &rows {
            let used = match (row.profiles.as_slice(), row.hosts) {
                ([], _) => String::new(),
                (profiles, hosts) => {
                    format!("{} ({})", profiles.join(", "), plural(hosts, "host"))
                }
            };
            let bundle = row.bundle.as_ref();
            table.add_row([
                shown_line(&row.name).into_owned(),
                bundle.map(|it| it.arch.clone()).unwrap_or_default(),
                bundle.map(|it| size(total_size(it))).unwrap_or_default(),
                row.created.map(|at| age(now, at)).unwrap_or_default(),
                expires(row).map(|day| day.to_string()).unwrap_or_default(),
                signers(row),
                used,
                match (row.in_git, inventory.is_some()) {
                    (true, _) => "yes".to_owned(),
                    (false, true) => "no".to_owned(),
                    (false, false) => "unknown".to_owned(),
                },
                shown_line(&row.notes.join("; ")).into_owned(),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        output.result(&format!("{}\n", table.trim_fmt()));
        Ok(Exit::Done)
    }
}

fn row(
    store: &BundleStore,
    inventory: Option<&Inventory>,
    policy: &SignaturePolicy,
    name: String,
    named: NamedBundle,
    today: Date,
) -> BundleRow {
    let mut notes = Vec::new();
    let (created, retired) = (named.created(), named.retired().map(str::to_owned));
    notes.extend(retired.as_ref().map(|why| format!("retired: {why}")));
    let bundle = match named.bundle {
        Ok(bundle) => Some(bundle),
        Err(error) => {
            notes.push(error.to_string());
            None
        }
    };
    let pinned = inventory.and_then(|inventory| inventory.bundles.get(&name));
    // The day of expiry in git takes precedence over the one that came with the bundle.
    let bundle = bundle.map(|bundle| Bundle {
        expires: pinned.map_or(bundle.expires, |pinned| pinned.expires),
        ..bundle
    });
    let profiles: Vec<String> = inventory
        .into_iter()
        .flat_map(|inventory| inventory.profiles.values())
        .filter(|profile| profile.bundle == name)
        .map(|profile| profile.name.clone())
        .collect();
    let hosts = inventory
        .into_iter()
        .flat_map(|inventory| inventory.hosts.values())
        .filter(|host| profiles.contains(&host.profile))
        .count();
    let (mut signed_by, mut unknown_keys) = (Vec::new(), Vec::new());
    if let Some(bundle) = &bundle {
        let relaxed = policy.clone().for_unsigned();
        match relaxed.check(bundle) {
            Ok(names) => signed_by.extend(names.into_iter().map(str::to_owned)),
            Err(error) => notes.push(error.to_string()),
        }
        let of_site = |id: &KeyId| {
            let known = relaxed.keys.iter().chain(&relaxed.revoked);
            known.into_iter().any(|site| site.key.id() == *id)
        };
        let keys = bundle.signatures.iter();
        unknown_keys.extend(keys.filter_map(|text| KeyId::of_signature(text)));
        unknown_keys.retain(|id| !of_site(id));
        let missing: BTreeSet<_> = bundle
            .files
            .values()
            .filter(|file| store.blob_size(&file.sha256) != Some(file.size))
            .map(|file| file.sha256)
            .collect();
        if !missing.is_empty() {
            notes.push(format!("{} missing", plural(missing.len(), "file")));
        }
        if bundle.expires.is_some_and(|day| today >= day) {
            notes.push("expired".to_owned());
        }
        if pinned.is_some_and(|pinned| pinned.manifest_digest() != bundle.manifest_digest()) {
            notes.push("the inventory pins other content".to_owned());
        }
    }
    BundleRow {
        in_git: pinned.is_some(),
        name,
        bundle,
        created,
        retired,
        signed_by,
        unknown_keys,
        profiles,
        hosts,
        notes,
    }
}

/// Names the keys that signed a bundle, also those that the site does not know.
fn signers(row: &BundleRow) -> String {
    let unknown_keys = (row.unknown_keys.iter()).map(|id| format!("unknown key {id}"));
    let signers: Vec<String> = row.signed_by.iter().cloned().chain(unknown_keys).collect();
    signers.join(", ")
}

fn expires(row: &BundleRow) -> Option<Date> {
    row.bundle.as_ref().and_then(|bundle| bundle.expires)
}

fn json(row: &BundleRow) -> serde_json::Value {
    let bundle = row.bundle.as_ref();
    json!({
        "bundle": row.name,
        "arch": bundle.map(|it| &it.arch),
        "files": bundle.map(|it| it.files.len()),
        "size": bundle.map(total_size),
        "manifest": bundle.map(Bundle::manifest_digest),
        "created_at": row.created,
        "expires": expires(row),
        "signed_by": row.signed_by,
        "unknown_keys": row.unknown_keys.iter().map(KeyId::to_string).collect::<Vec<_>>(),
        "retired": row.retired,
        "in_inventory": row.in_git,
        "profiles": row.profiles,
        "hosts": row.hosts,
        "notes": row.notes,
    })
}

/// Writes an age in its largest unit.
fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
