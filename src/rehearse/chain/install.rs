//! What follows once a loader has started a kernel: the installer, and the boot after it.

use std::net::Ipv4Addr;

use super::firmware::{LARGEST_KEPT, signature};
use super::{Player, Stopped, short, stop};
use crate::clients::dhcp::BootFile;
use crate::inventory::Installer;
use crate::rehearse::Stop;
use crate::rehearse::fetched::Fetched;

/// How the boot of a machine ended.
pub(super) enum Ended {
    /// It started a kernel.
    Boot {
        kernel: BootFile,
        arguments: String,
        initrds: Vec<BootFile>,
    },
    /// It left for the local disk.
    LocalDisk,
    /// It started an image that holds all that it needs.
    Image,
    /// It held the machine; the screen.
    Hold(String),
}

impl Player<'_> {
    /// Plays an installer to its last callback.
    pub(super) fn install(
        &mut self,
        kernel: &BootFile,
        arguments: &str,
        initrds: &[BootFile],
    ) -> Result<(), Stop> {
        self.check_files(kernel, initrds)?;
        self.check_image(arguments)?;
        let seeds = self.fetch_seeds(arguments)?;
        self.call_back(&seeds)
    }

    /// Fetches kernel and initrds, and compares them with the bundle.
    fn check_files(&mut self, kernel: &BootFile, initrds: &[BootFile]) -> Result<(), Stop> {
        self.step("kernel", |player| player.check_file(kernel, true))?;
        for initrd in initrds {
            self.step("initrd", |player| player.check_file(initrd, false))?;
        }
        Ok(())
    }

    fn check_file(&mut self, file: &BootFile, is_kernel: bool) -> Result<((), String), Stopped> {
        let help = || {
            "`pxectl host provision` verifies every file of the bundle, and names the one at fault"
                .to_owned()
        };
        let client = self.tftp_client;
        let is_secure = is_kernel && self.is_secure();
        let keep = if is_secure { LARGEST_KEPT } else { 0 };
        let fetched = self.fetch(file, client, keep);
        let Fetched {
            size,
            digest,
            octets,
        } = fetched.map_err(|error| (error.to_string(), help()))?;
        let signed = match is_secure {
            true => format!(", {}", signature("the kernel", &octets)?),
            false => String::new(),
        };
        let key = file.name.rsplit('/').next().unwrap_or_default();
        let pinned = self.bundle().and_then(|bundle| bundle.files.get(key));
        match pinned {
            Some(file) if file.sha256 == digest && file.size == size => Ok((
                (),
                format!(
                    "{}: {size} octets, sha256 {} as pinned{signed}",
                    file.path,
                    short(&digest)
                ),
            )),
            Some(file) => {
                let reason = format!(
                    "{} octets, sha256 {digest}; the bundle pins {} octets, {}",
                    size, file.size, file.sha256
                );
                Err((reason, help()))
            }
            None => Ok((
                (),
                format!(
                    "{size} octets, sha256 {} (not of the bundle){signed}",
                    short(&digest)
                ),
            )),
        }
    }

    /// Fetches the image that the kernel's command line names, and compares it with the bundle.
    fn check_image(&mut self, arguments: &str) -> Result<(), Stop> {
        let image = |word: &&str| word.starts_with("url=") && word.ends_with("/files/iso");
        let url = arguments.split_whitespace().find(image);
        match url.and_then(|word| word.strip_prefix("url=")) {
            Some(url) => {
                let file = BootFile {
                    server: Ipv4Addr::UNSPECIFIED,
                    name: url.to_owned(),
                };
                self.step("image", |player| player.check_file(&file, false))
            }
            None => Ok(()),
        }
    }

    /// Fetches the seeds that the kernel's command line names; returns their texts.
    fn fetch_seeds(&mut self, arguments: &str) -> Result<String, Stop> {
        let installer = self
            .inventory
            .profile_of(self.host)
            .map(|profile| profile.installer);
        let words = || arguments.split_whitespace();
        let named: Vec<String> = match installer {
            Some(Installer::Autoinstall) => {
                let root = words().find_map(|word| word.strip_prefix("ds=nocloud-net;s="));
                let seeds = Installer::Autoinstall.seeds();
                root.map(|root| seeds.iter().map(|seed| format!("{root}{seed}")).collect())
                    .unwrap_or_default()
            }
            Some(Installer::Preseed) => words()
                .filter_map(|word| word.strip_prefix("url="))
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        if named.is_empty() {
            let reason = format!("the kernel's command line names no seed: {arguments}");
            return Err(stop(
                "seed",
                (
                    reason,
                    "a template of the script may have left it out".into(),
                ),
            ));
        }
        let mut all = String::new();
        for url in named {
            self.step("seed", |player| {
                let text = player.text(&url)?;
                let name = url.rsplit('/').next().unwrap_or_default().to_owned();
                all.push_str(&text);
                all.push('\n');
                Ok(((), format!("{name}: {} octets", text.len())))
            })?;
        }
        Ok(all)
    }

    /// Reports as the installer would, to the URLs that its seeds name.
    fn call_back(&mut self, seeds: &str) -> Result<(), Stop> {
        for kind in ["progress", "installed"] {
            let suffix = format!("/{kind}");
            let base = self.endpoints.http.0.clone();
            let found = seeds
                .split(|c: char| c.is_whitespace() || "\"'`;)".contains(c))
                .find(|word| word.starts_with(&base) && word.ends_with(&suffix))
                .map(str::to_owned);
            self.step("callback", |player| {
                let url = found.ok_or_else(|| {
                    let help = "without it the host stays `provisioning`: let its seed post to `session.callbacks`";
                    (format!("no seed names the callback `{kind}`"), help.to_owned())
                })?;
                let answer = player.open_web()?.post(&url, "rehearsal").map_err(|error| (error, String::new()))?;
                Ok(((), format!("{kind}: {}", answer.trim())))
            })?;
        }
        Ok(())
    }
}
