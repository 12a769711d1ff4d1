//! The firmware: it gets an address, and its loader.

use super::{Player, Stopped, short};
use crate::clients::IfMissing;
use crate::clients::LoaderRequest;
use crate::clients::dhcp::{BootFile, ClientKind};
use crate::inventory::{Loader, LoaderKind};
use crate::lint::boot_file::BootFile as Format;
use crate::machine::Firmware;
use crate::rehearse::dhcp::Answers;
use crate::rehearse::fetched::Fetched;
use crate::rehearse::tftp::TftpClient;
use crate::rehearse::{Rom, Stop};
use crate::wire::path::shown_path;

/// The largest file that is kept whole, in octets: a loader, or the image of one.
pub(super) const LARGEST_KEPT: usize = 64 << 20;
/// The name under which a boot image of ours ends, which holds GRUB and its configuration.
const IMAGE_SUFFIX: &str = ".img";

/// A loader that firmware has started.
pub(super) struct Started {
    /// The loader, as the inventory names it.
    pub loader: Loader,
    /// The answers that firmware keeps for it.
    pub answers: Answers,
    /// What was loaded.
    pub file: BootFile,
    /// Its octets.
    pub octets: Vec<u8>,
}

impl Started {
    /// Returns what the loader asks us for next.
    pub fn kind(&self) -> LoaderKind {
        self.loader.kind
    }

    /// Returns the octets of a volume with GRUB and its configuration, where firmware was given one.
    pub fn volume(&self) -> Option<&[u8]> {
        let is_volume = self.loader.second.is_some() && self.file.name.ends_with(IMAGE_SUFFIX);
        is_volume.then_some(&self.octets)
    }
}

impl Player<'_> {
    /// The firmware gets an address, and its loader.
    pub(super) fn load_loader(&mut self) -> Result<Started, Stop> {
        let architecture = self.rom.architecture();
        let kind = match self.rom {
            Rom::Firmware(it) if it.is_http() => ClientKind::EdkHttp(it),
            Rom::Firmware(it) if it.firmware() != Firmware::Bios => ClientKind::EdkPxe(it),
            _ => ClientKind::BiosPxe,
        };
        self.tftp_client = match architecture.firmware() {
            Firmware::Uefi => TftpClient::EDK2,
            _ => TftpClient::ROM,
        };
        let client = self.client(kind);
        let (boot, answers, loader) = self.step("dhcp", |player| {
            let answers = player.exchange(&client, 1)?;
            let help = format!("has `loaders:` of the site one for `{}`?", player.rom);
            let boot = client
                .boot_file(answers.naming())
                .map_err(|error| (format!("no boot file: {error}"), help.clone()))?;
            let loader = player.inventory.loader_of(Some(player.host), architecture);
            let loader = loader.cloned().ok_or_else(|| {
                let name = &boot.name;
                let reason = format!("`{name}` is offered, and the inventory names no loader");
                (reason, help)
            })?;
            let (address, shown) = (
                answers.acknowledgement.your_address,
                shown_path(&boot.url()),
            );
            let detail = format!("{address}, boots {shown} ({})", answers.reason);
            Ok(((boot, answers, loader), detail))
        })?;
        let name = if architecture.is_http() {
            "http"
        } else {
            "tftp"
        };
        let fetched = self.step(name, |player| {
            let shown = shown_path(&boot.name);
            let client = player.tftp_client;
            let fetched = player.fetch(&boot, client, LARGEST_KEPT);
            let fetched = fetched.map_err(|error| {
                let help = "put the loader into a directory of `server.files`; on Debian, the package `ipxe` has it";
                (format!("`{shown}`: {error}"), help.to_owned())
            })?;
            let signed = player.checked(&shown, &fetched.octets)?;
            let detail = described(&shown, &fetched);
            Ok((fetched, format!("{detail}{signed}")))
        })?;
        Ok(Started {
            loader,
            answers,
            file: boot,
            octets: fetched.octets,
        })
    }

    /// Asks for what a loader wants, in its order, and returns the last file that was there, with
    /// how many were asked for.
    pub(super) fn asks_for(
        &mut self,
        wanted: &[LoaderRequest],
        client: TftpClient,
    ) -> Result<(BootFile, Fetched, usize), Stopped> {
        let mut last = None;
        for (index, LoaderRequest { file, missing }) in wanted.iter().enumerate() {
            let shown = shown_path(&file.name);
            match self.fetch(file, client, LARGEST_KEPT) {
                Ok(fetched) => {
                    last = Some((file.clone(), fetched, index + 1));
                    if *missing == IfMissing::AsksForNext {
                        break;
                    }
                }
                // Any other error than "not found" ends shim, and hides what is wrong.
                Err(error) if !error.is_missing() || *missing == IfMissing::Stops => {
                    let asked = index + 1;
                    let reason = format!("`{shown}`: {error} (the last of {asked} names)");
                    let help =
                        "the log of the server says why; is it in a directory of `server.files`?";
                    return Err((reason, help.into()));
                }
                Err(_) => {}
            }
        }
        last.ok_or_else(|| ("the loader asks for nothing".to_owned(), String::new()))
    }

    /// Returns what Secure Boot says of a file, where the host has it on: empty, or after a comma.
    pub(super) fn checked(&self, name: &str, octets: &[u8]) -> Result<String, Stopped> {
        // A volume is not signed; what lies in it is.
        if !self.is_secure() || name.ends_with(IMAGE_SUFFIX) {
            return Ok(String::new());
        }
        signature(name, octets).map(|signed| format!(", {signed}"))
    }
}

/// Says who signed a file, as firmware, shim or GRUB look at it with Secure Boot on.
pub(super) fn signature(name: &str, octets: &[u8]) -> Result<String, Stopped> {
    match Format::read(octets) {
        Format::Image(image) => match image.signed_under() {
            Ok(authorities) => Ok(format!("signed under {}", authorities.join(" and "))),
            Err(why) => {
                let reason = format!("`{name}` is refused, since Secure Boot is on: {why}");
                let help = "name signed files, such as Debian's `shimx64.efi.signed`, or write `secure_boot: false`";
                Err((reason, help.into()))
            }
        },
        _ => Ok("a stand-in, not a PE file: nothing to verify".to_owned()),
    }
}

/// Describes a file that was fetched.
pub(super) fn described(name: &str, fetched: &Fetched) -> String {
    let Fetched { size, digest, .. } = fetched;
    format!("{name}: {size} octets, sha256 {}", short(digest))
}
