use clap::Args;
use jiff::Timestamp;

use super::options::Change;
use super::rounds::Rounds;
use super::{Stop, said};
use crate::bmc::{Boot, BootTarget, StaticAddress, Target, Task};
use crate::cli::inventory::warn_without_server;
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::machine::{Secret, cleaned};
use crate::respond::dhcp::http_boot_file;
use crate::store::Store;
use crate::token::StoreKey;

/// How machines are started.
#[derive(Clone, Debug, Args)]
pub struct Start {
    #[command(flatten)]
    change: Change,

    /// Leave the power alone: the machine boots so when it boots the next time
    #[arg(long)]
    no_power: bool,
}

pub fn pxe(global: &Global, output: &Output, select: &Select, start: &Start) -> Result<Exit, Stop> {
    let rounds = Rounds::open_to_change(global, output, select, &start.change)?;
    if !start.no_power {
        rounds.confirm_reboot()?;
    }
    if !rounds.dry_run {
        warn_without_server(&rounds.store, &rounds.directory, output);
    }
    rounds.carry_out(|_| Ok(Task::Boot(boot(BootTarget::Pxe, start))))
}

pub fn disk(
    global: &Global,
    output: &Output,
    select: &Select,
    start: &Start,
) -> Result<Exit, Stop> {
    let rounds = Rounds::open_to_change(global, output, select, &start.change)?;
    if !start.no_power {
        rounds.confirm_interruption("rebooted")?;
    }
    rounds.carry_out(|_| Ok(Task::Boot(boot(BootTarget::Disk, start))))
}

pub fn http(
    global: &Global,
    output: &Output,
    select: &Select,
    start: &Start,
    url: Option<&str>,
    is_static: bool,
) -> Result<Exit, Stop> {
    if let Some(url) = url {
        check_url(url, output)?;
    }
    let rounds = Rounds::open_to_change(global, output, select, &start.change)?;
    if !start.no_power {
        rounds.confirm_reboot()?;
    }
    if url.is_none() && !rounds.dry_run {
        warn_without_server(&rounds.store, &rounds.directory, output);
    }
    let key = StoreKey::new(*rounds.store.key());
    rounds.carry_out(|target| {
        let (uri, shown) = match url {
            Some(url) => (url.into(), None),
            None => ours(&rounds, &key, target)?,
        };
        let address = match is_static {
            true => Some(static_address(&rounds, target, &uri)?),
            false => None,
        };
        Ok(Task::Boot(Boot {
            uri_may_be_left_out: url.is_none(),
            address,
            shown,
            ..boot(BootTarget::Http { uri }, start)
        }))
    })
}

fn boot(target: BootTarget, start: &Start) -> Boot {
    Boot {
        target,
        uri_may_be_left_out: false,
        address: None,
        power: !start.no_power,
        shown: None,
    }
}

/// Returns the URL that our DHCP would give a host, and how it is shown.
fn ours(
    rounds: &Rounds<'_>,
    key: &StoreKey,
    target: &Target,
) -> Result<(Secret, Option<String>), Stop> {
    let file = http_boot_file(&rounds.good.inventory, key, &target.host, Timestamp::now());
    match file {
        Some(file) => Ok((file.text().into(), Some(file.to_string()))),
        None => {
            let what = format!("there is no loader for HTTP boot of `{}`", target.host.name);
            let help =
                "add one to `loaders:` of the site, or give `--url URL`; a BIOS has no HTTP boot";
            rounds.output.error(&what, help);
            Err(said(Exit::No))
        }
    }
}

fn static_address(
    rounds: &Rounds<'_>,
    target: &Target,
    url: &Secret,
) -> Result<StaticAddress, Stop> {
    let nic = target.host.boot_nic();
    let address = nic.and_then(|nic| nic.ip);
    let network = nic.and_then(|nic| rounds.good.inventory.site.network(&nic.network));
    match (address, network) {
        (Some(address), Some(network)) => Ok(StaticAddress {
            address,
            mask: network.subnet.mask(),
            gateway: network.gateway,
            dns: network.dns.first().copied(),
            url: url.clone(),
        }),
        _ => {
            let what = format!("the boot NIC of `{}` has no `ip`", target.host.name);
            rounds
                .output
                .error(&what, "add `ip: …` to it, or leave `--static` out");
            Err(said(Exit::No))
        }
    }
}

/// Refuses what no firmware and no BMC fetches, and credentials, which would stand in their logs.
pub fn check_url(url: &str, output: &Output) -> Result<(), Stop> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let known = ["http", "https", "nfs", "cifs", "smb", "tftp"].contains(&scheme);
    let fault = if place.contains('@') {
        "the URL holds a user or a password".to_owned()
    } else if !known || place.is_empty() {
        format!("`{}` is no URL of an image", cleaned(url, 120))
    } else if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "the URL holds a blank".to_owned()
    } else {
        return Ok(());
    };
    let help = "write one such as `http://10.20.0.10:8080/files/rescue.iso`";
    output.error(&fault, help);
    Err(said(Exit::No))
}
