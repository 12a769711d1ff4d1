//! The installer, once a loader has started its kernel.

use std::net::Ipv4Addr;

use super::firmware::{LARGEST_KEPT, describe_signature};
use super::player::{Player, short_digest};
use crate::clients::dhcp::BootFile;
use crate::installer::Installer;
use crate::rehearse::download::DownloadedFile;
use crate::rehearse::report::{ChainFailure, StepError};

impl Player<'_> {
    /// Plays an installer to its last callback.
    pub(super) fn install(
        &mut self,
        kernel: &BootFile,
        arguments: &str,
        initrds: &[BootFile],
    ) -> Result<(), ChainFailure> {
        self.step("kernel", |player| player.check_file(kernel, true))?;
        for initrd in initrds {
            self.step("initrd", |player| player.check_file(initrd, false))?;
        }
        let profile = self.inventory.profile_of(self.host);
        let Some(installer) = profile.map(|profile| profile.installer) else {
            let reason = format!("host `{}` has no profile", self.host.name);
            return Err(StepError::new(reason).at("seed"));
        };
        let downloads = installer.downloads(arguments);
        if let Some(url) = downloads.image {
            let file = BootFile {
                server: Ipv4Addr::UNSPECIFIED,
                name: url,
            };
            self.step("image", |player| player.check_file(&file, false))?;
        }
        if downloads.seeds.is_empty() {
            let reason = format!("the kernel command line has no seed URL: {arguments}");
            let help = "write `{{#each arguments}}` into the template of the script";
            return Err(StepError::new(reason).help(help).at("seed"));
        }
        let seeds = self.fetch_seeds(&downloads.seeds)?;
        self.call_back(installer, &seeds)
    }

    /// Downloads a file, and compares it with the bundle.
    fn check_file(&mut self, file: &BootFile, is_kernel: bool) -> Result<((), String), StepError> {
        let error = |reason: String| {
            StepError::new(reason)
                .help("run `pxectl host provision` to verify every file of the bundle")
        };
        let client = self.tftp_client;
        let is_secure = is_kernel && self.is_secure();
        let keep = if is_secure { LARGEST_KEPT } else { 0 };
        let downloaded = self.fetch(file, client, keep);
        let DownloadedFile {
            size,
            digest,
            content,
        } = downloaded.map_err(|cause| error(cause.to_string()))?;
        let signature = if is_secure {
            format!(", {}", describe_signature("the kernel", &content)?)
        } else {
            String::new()
        };
        let key = file.name.rsplit('/').next().unwrap_or_default();
        let short = short_digest(&digest);
        let detail = match self.bundle().and_then(|bundle| bundle.files.get(key)) {
            Some(pinned) if pinned.sha256 == digest && pinned.size == size => {
                let path = &pinned.path;
                format!("{path}: {size} bytes, sha256 {short} matches the bundle{signature}")
            }
            Some(pinned) => {
                return Err(error(format!(
                    "expected {} bytes with sha256 {}, downloaded {size} bytes with sha256 {digest}",
                    pinned.size, pinned.sha256
                )));
            }
            None => format!("{size} bytes, sha256 {short} (not in the bundle){signature}"),
        };
        Ok(((), detail))
    }

    /// Downloads the seeds, and returns their texts, one after another.
    fn fetch_seeds(&mut self, urls: &[String]) -> Result<String, ChainFailure> {
        let mut texts = String::new();
        for url in urls {
            self.step("seed", |player| {
                let text = player.text(url)?;
                let name = url.rsplit('/').next().unwrap_or_default();
                texts.push_str(&text);
                texts.push('\n');
                Ok(((), format!("{name}: {} bytes", text.len())))
            })?;
        }
        Ok(texts)
    }

    /// Posts the installer's callbacks to the URLs in its seeds.
    fn call_back(&mut self, installer: Installer, seeds: &str) -> Result<(), ChainFailure> {
        let base = self.endpoints.http.0.as_str();
        for kind in installer.callbacks() {
            let suffix = format!("/{kind}");
            let url = seeds
                .split(|c: char| c.is_whitespace() || "\"'`;)".contains(c))
                .find(|word| word.starts_with(base) && word.ends_with(&suffix));
            self.step("callback", |player| {
                let url = url.ok_or_else(|| {
                    StepError::new(format!("no seed posts the callback `{kind}`")).help(
                        "let a seed post to `session.callbacks`: otherwise the host stays `provisioning`",
                    )
                })?;
                let response = player.post(url, "rehearsal")?;
                Ok(((), format!("{kind}: {}", response.trim())))
            })?;
        }
        Ok(())
    }
}
