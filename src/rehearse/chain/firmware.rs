//! The firmware: it gets an address by DHCP, and downloads its loader.

use super::player::{Player, short_digest};
use crate::clients::dhcp::{BootFile, ClientKind};
use crate::clients::{IfMissing, LoaderRequest};
use crate::inventory::Loader;
use crate::lint::boot_file::BootFile as Format;
use crate::loader::LoaderKind;
use crate::machine::Firmware;
use crate::rehearse::dhcp::ClientReplies;
use crate::rehearse::download::DownloadedFile;
use crate::rehearse::report::{ChainFailure, StepError};
use crate::rehearse::rom::Rom;
use crate::rehearse::tftp::TftpClient;
use crate::wire::path::shown_path;

/// The largest file that is kept whole, in bytes: a loader, or an image of one.
pub(super) const LARGEST_KEPT: usize = 64 << 20;
/// The ending of our boot volumes, which hold GRUB and its configuration.
const VOLUME_SUFFIX: &str = ".img";

/// A loader that the firmware has started.
pub(super) struct StartedLoader {
    /// The loader, as the inventory names it.
    pub loader: Loader,
    /// The DHCP replies that the firmware keeps for it.
    pub replies: ClientReplies,
    /// The file that was loaded.
    pub file: BootFile,
    /// The content of the file.
    pub content: Vec<u8>,
}

impl StartedLoader {
    /// Returns which kind of loader it is.
    pub fn kind(&self) -> LoaderKind {
        self.loader.kind
    }

    /// Returns the boot volume with GRUB and its configuration, if the firmware loaded one.
    pub fn volume(&self) -> Option<&[u8]> {
        let is_volume = self.loader.second.is_some() && self.file.name.ends_with(VOLUME_SUFFIX);
        is_volume.then_some(&self.content)
    }
}

impl Player<'_> {
    /// The firmware gets an address, and downloads its loader.
    pub(super) fn load_loader(&mut self) -> Result<StartedLoader, ChainFailure> {
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
        let (boot, replies, loader) = self.step("dhcp", |player| {
            let replies = player.exchange(&client, 1)?;
            let help = format!("check that the site has a loader for `{}`", player.rom);
            let boot = client.boot_file(replies.boot_reply()).map_err(|error| {
                StepError::new(format!("no boot file: {error}")).help(help.clone())
            })?;
            let loader = player.inventory.loader_of(Some(player.host), architecture);
            let loader = loader.cloned().ok_or_else(|| {
                let name = &boot.name;
                let reason = format!("the offer names `{name}`, but the inventory has no loader");
                StepError::new(reason).help(help)
            })?;
            let address = replies.acknowledgement.your_address;
            let shown = shown_path(&boot.url());
            let detail = format!("{address}, boots {shown} ({})", replies.reason);
            Ok(((boot, replies, loader), detail))
        })?;
        let name = if architecture.is_http() {
            "http"
        } else {
            "tftp"
        };
        let downloaded = self.step(name, |player| {
            let shown = shown_path(&boot.name);
            let client = player.tftp_client;
            let downloaded = player.fetch(&boot, client, LARGEST_KEPT).map_err(|error| {
                StepError::new(format!("`{shown}`: {error}")).help(
                    "put the loader into a directory of `server.files`; on Debian, install `ipxe`",
                )
            })?;
            let signature = player.check_signature(&shown, &downloaded.content)?;
            let detail = describe_download(&shown, &downloaded);
            Ok((downloaded, format!("{detail}{signature}")))
        })?;
        Ok(StartedLoader {
            loader,
            replies,
            file: boot,
            content: downloaded.content,
        })
    }

    /// Requests the files of a loader in its order. Returns the last file that exists, and how many
    /// were requested.
    pub(super) fn request_files(
        &mut self,
        requests: &[LoaderRequest],
        client: TftpClient,
    ) -> Result<(BootFile, DownloadedFile, usize), StepError> {
        let mut last = None;
        for (count, LoaderRequest { file, missing }) in (1..).zip(requests) {
            let shown = shown_path(&file.name);
            match self.fetch(file, client, LARGEST_KEPT) {
                Ok(downloaded) => {
                    last = Some((file.clone(), downloaded, count));
                    if *missing == IfMissing::AsksForNext {
                        break;
                    }
                }
                // Any error except "not found" ends shim, and hides the real problem.
                Err(error) if !error.is_missing() || *missing == IfMissing::Stops => {
                    let reason = format!("`{shown}`: {error} (after {count} requests)");
                    return Err(StepError::new(reason).help(
                        "check that the file is in a directory of `server.files`; the server's log has the reason",
                    ));
                }
                Err(_) => {}
            }
        }
        last.ok_or_else(|| StepError::new("the loader requests no file"))
    }

    /// Returns the Secure Boot result of a file, after a comma; empty if the host has Secure Boot off.
    pub(super) fn check_signature(&self, name: &str, content: &[u8]) -> Result<String, StepError> {
        // A volume is not signed; the files in it are.
        if !self.is_secure() || name.ends_with(VOLUME_SUFFIX) {
            return Ok(String::new());
        }
        describe_signature(name, content).map(|signature| format!(", {signature}"))
    }
}

/// Describes the signature of a file, as firmware, shim or GRUB checks it with Secure Boot on.
pub(super) fn describe_signature(name: &str, content: &[u8]) -> Result<String, StepError> {
    match Format::read(content) {
        Format::Image(image) => match image.signed_under() {
            Ok(authorities) => Ok(format!("signed under {}", authorities.join(" and "))),
            Err(why) => Err(
                StepError::new(format!("Secure Boot rejects `{name}`: {why}")).help(
                    "name signed files, such as Debian's `shimx64.efi.signed`, or set `secure_boot: false`",
                ),
            ),
        },
        _ => Ok("a stand-in, not a PE file: nothing to verify".to_owned()),
    }
}

/// Describes a downloaded file.
pub(super) fn describe_download(name: &str, downloaded: &DownloadedFile) -> String {
    let DownloadedFile { size, digest, .. } = downloaded;
    format!("{name}: {size} bytes, sha256 {}", short_digest(digest))
}
