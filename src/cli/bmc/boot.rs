use clap::Args;

use super::options::ChangeOptions;
use super::rounds::Rounds;
use crate::bmc::{BmcTarget, BmcTask, BootTarget, BootTask, StaticAddress};
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::inventory::warn_without_server;
use crate::cli::output::Output;
use crate::cli::select::Select;
use crate::cli::{Exit, Global};
use crate::clock::wall_time;
use crate::machine::{Secret, cleaned};
use crate::respond::dhcp::http_boot_file;
use crate::store::Store;
use crate::token::StoreKey;

/// Options of the commands that set the next boot.
#[derive(Clone, Debug, Args)]
pub struct BootOptions {
    #[command(flatten)]
    change: ChangeOptions,

    /// Do not start or reset the machine; the setting waits for its next boot
    #[arg(long)]
    no_power: bool,
}

pub fn pxe(
    global: &Global,
    output: &Output,
    select: &Select,
    options: &BootOptions,
) -> CommandResult {
    let rounds = Rounds::open_to_change(global, output, select, &options.change)?;
    if !options.no_power {
        rounds.confirm_reboot()?;
    }
    if !rounds.dry_run {
        warn_without_server(&rounds.store, &rounds.directory, output);
    }
    rounds.run(|_| Ok(BmcTask::Boot(boot(BootTarget::Pxe, options))))
}

pub fn disk(
    global: &Global,
    output: &Output,
    select: &Select,
    options: &BootOptions,
) -> CommandResult {
    let rounds = Rounds::open_to_change(global, output, select, &options.change)?;
    if !options.no_power {
        rounds.confirm_interruption("rebooted")?;
    }
    rounds.run(|_| Ok(BmcTask::Boot(boot(BootTarget::Disk, options))))
}

pub fn http(
    global: &Global,
    output: &Output,
    select: &Select,
    options: &BootOptions,
    url: Option<&str>,
    is_static: bool,
) -> CommandResult {
    if let Some(url) = url {
        check_url(url, output)?;
    }
    let rounds = Rounds::open_to_change(global, output, select, &options.change)?;
    if !options.no_power {
        rounds.confirm_reboot()?;
    }
    if url.is_none() && !rounds.dry_run {
        warn_without_server(&rounds.store, &rounds.directory, output);
    }
    let key = StoreKey::new(*rounds.store.key());
    rounds.run(|target| {
        let (uri, printable_uri) = match url {
            Some(url) => (url.into(), None),
            None => dhcp_url(&rounds, &key, target)?,
        };
        let address = if is_static {
            Some(static_address(&rounds, target, &uri)?)
        } else {
            None
        };
        Ok(BmcTask::Boot(BootTask {
            uri_optional: url.is_none(),
            address,
            printable_uri,
            ..boot(BootTarget::Http { uri }, options)
        }))
    })
}

fn boot(target: BootTarget, options: &BootOptions) -> BootTask {
    BootTask::new(target, !options.no_power)
}

/// Returns the URL that our DHCP server would send to a host, and its printable form.
fn dhcp_url(
    rounds: &Rounds<'_>,
    key: &StoreKey,
    target: &BmcTarget,
) -> CommandResult<(Secret, Option<String>)> {
    let file = http_boot_file(&rounds.good.inventory, key, &target.host, wall_time());
    let Some(file) = file else {
        let message = format!("no loader for HTTP boot of `{}`", target.host.name);
        let help = "add a loader to `loaders` of the site, or use `--url URL`; BIOS firmware does \
                    not support HTTP boot";
        rounds.output.error(&message, help);
        return Err(CommandError::reported(Exit::No));
    };
    Ok((file.text().into(), Some(file.to_string())))
}

fn static_address(
    rounds: &Rounds<'_>,
    target: &BmcTarget,
    url: &Secret,
) -> CommandResult<StaticAddress> {
    let nic = target.host.boot_nic();
    let address = nic.and_then(|nic| nic.ip);
    let network = nic.and_then(|nic| rounds.good.inventory.site.network(&nic.network));
    let (Some(address), Some(network)) = (address, network) else {
        let message = format!("the boot NIC of `{}` has no `ip`", target.host.name);
        let help = "add `ip: …` to the NIC, or omit `--static`";
        rounds.output.error(&message, help);
        return Err(CommandError::reported(Exit::No));
    };
    Ok(StaticAddress {
        address,
        mask: network.subnet.mask(),
        gateway: network.gateway,
        dns: network.dns.first().copied(),
        url: url.clone(),
    })
}

/// Refuses a URL that firmware and BMCs cannot fetch, or one with credentials, which would appear
/// in their logs.
pub fn check_url(url: &str, output: &Output) -> CommandResult<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_supported = ["http", "https", "nfs", "cifs", "smb", "tftp"].contains(&scheme);
    let message = if authority.contains('@') {
        "the URL contains a username or a password".to_owned()
    } else if !is_supported || authority.is_empty() {
        not_an_image_url(url)
    } else if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "the URL contains whitespace".to_owned()
    } else {
        return Ok(());
    };
    let help = "use a URL such as `http://10.20.0.10:8080/files/rescue.iso`";
    output.error(&message, help);
    Err(CommandError::reported(Exit::No))
}

/// Returns the message for a text that is not the URL of an image.
pub fn not_an_image_url(text: &str) -> String {
    format!("`{}` is not the URL of an image", cleaned(text, 120))
}
