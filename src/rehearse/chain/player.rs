//! The state of one rehearsal, and what every step of it uses.

use std::time::{Duration, Instant};

use crate::clients::dhcp::{BootFile, Client, ClientKind};
use crate::inventory::{Bundle, Host, Inventory};
use crate::machine::{MacAddress, Sha256Digest};
use crate::rehearse::dhcp::{self, ClientReplies};
use crate::rehearse::download::{DownloadError, DownloadedFile};
use crate::rehearse::endpoints::Endpoints;
use crate::rehearse::foreign_dhcp::ForeignDhcpServer;
use crate::rehearse::http::WebClient;
use crate::rehearse::report::{ChainFailure, ChainStep, StepError};
use crate::rehearse::rom::Rom;
use crate::rehearse::tftp::{self, TftpClient};

/// Plays one host.
pub(super) struct Player<'a> {
    pub inventory: &'a Inventory,
    pub host: &'a Host,
    pub endpoints: &'a Endpoints,
    /// The completed steps.
    pub steps: Vec<ChainStep>,
    web: Option<WebClient>,
    pub rom: Rom,
    /// How the running loader requests files by TFTP.
    pub tftp_client: TftpClient,
}

impl<'a> Player<'a> {
    pub fn new(
        inventory: &'a Inventory,
        host: &'a Host,
        endpoints: &'a Endpoints,
        rom: Rom,
    ) -> Self {
        Self {
            inventory,
            host,
            endpoints,
            steps: Vec::new(),
            web: None,
            rom,
            tftp_client: TftpClient::ROM,
        }
    }

    /// Gets an address and a boot file by DHCP.
    pub fn exchange(&self, client: &Client, transaction: u32) -> Result<ClientReplies, StepError> {
        let nic = self
            .host
            .boot_nic()
            .ok_or_else(|| StepError::new("the host has no boot NIC"))?;
        let server = self.endpoints.dhcp.get(&nic.network).ok_or_else(|| {
            StepError::new(format!("network `{}` has no DHCP server", nic.network))
        })?;
        let foreign = ForeignDhcpServer::of(&self.inventory.site, nic);
        dhcp::exchange(client, *server, foreign.as_ref(), transaction)
    }

    /// Returns the DHCP client of the machine.
    pub fn client(&self, kind: ClientKind) -> Client {
        Client {
            kind,
            mac: self.mac(),
            uuid: self.host.uuid,
        }
    }

    /// Returns the MAC address of the boot NIC.
    pub fn mac(&self) -> MacAddress {
        let nic = self.host.boot_nic();
        nic.map_or(MacAddress::new([0; 6]), |nic| nic.mac)
    }

    /// Returns the bundle of the host's profile.
    pub fn bundle(&self) -> Option<&'a Bundle> {
        let profile = self.inventory.profile_of(self.host)?;
        self.inventory.bundle_of(profile)
    }

    /// Reports whether the host boots with Secure Boot on.
    pub fn is_secure(&self) -> bool {
        let profile = self.inventory.profile_of(self.host);
        profile.is_some_and(|profile| profile.secure_boot)
    }

    /// Downloads a file by URL, or by TFTP from the server that it names. Keeps its first `keep` bytes.
    pub fn fetch(
        &mut self,
        file: &BootFile,
        client: TftpClient,
        keep: usize,
    ) -> Result<DownloadedFile, DownloadError> {
        let url = file.url();
        let Some(rest) = url.strip_prefix("tftp://") else {
            return self
                .web_client()
                .map_err(DownloadError::Failed)?
                .file(&url, keep);
        };
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let site = self.endpoints.server;
        if server != site.to_string() {
            let reason = format!("the boot server is {server}, not the site's {site}");
            return Err(DownloadError::Failed(reason));
        }
        let name = if file.name.starts_with("tftp://") {
            path
        } else {
            &file.name
        };
        tftp::fetch(self.endpoints.tftp, name, client, keep)
    }

    /// Downloads a text by URL.
    pub fn text(&mut self, url: &str) -> Result<String, StepError> {
        let web = self.web_client().map_err(StepError::new)?;
        web.text(url)
            .map_err(|error| StepError::new(error).help("the log of `serve http` has the reason"))
    }

    /// Posts a message to a URL, and returns the response.
    pub fn post(&mut self, url: &str, message: &str) -> Result<String, StepError> {
        let web = self.web_client().map_err(StepError::new)?;
        web.post(url, message).map_err(StepError::new)
    }

    /// Returns the HTTP client, and creates it on first use.
    fn web_client(&mut self) -> Result<&WebClient, String> {
        let web = match self.web.take() {
            Some(web) => web,
            None => {
                let (base, address) = &self.endpoints.http;
                WebClient::new(base, *address)?
            }
        };
        Ok(self.web.insert(web))
    }

    /// Runs one step, and records its result and how long it took.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        run: impl FnOnce(&mut Self) -> Result<(T, String), StepError>,
    ) -> Result<T, ChainFailure> {
        let start = Instant::now();
        let (value, detail) = run(self).map_err(|error| error.at(name))?;
        self.record(name, start, detail);
        Ok(value)
    }

    /// Records a step that began at `start`.
    pub fn record(&mut self, name: &'static str, start: Instant, detail: String) {
        self.steps.push(ChainStep {
            name,
            took: start.elapsed(),
            detail,
        });
    }

    /// Records a step that takes no time.
    pub fn note(&mut self, name: &'static str, detail: String) {
        self.steps.push(ChainStep {
            name,
            took: Duration::ZERO,
            detail,
        });
    }
}

/// Makes the error of a script that cannot be run.
pub(super) fn script_error(reason: impl Into<String>) -> ChainFailure {
    let error = StepError::new(reason).help("run `pxectl render` to see the script");
    error.at("script")
}

/// Describes a menu that times out.
pub(super) fn menu_timeout(timeout: Duration, chosen: &str) -> String {
    let seconds = timeout.as_secs();
    format!("the menu times out after {seconds} s and starts `{chosen}`")
}

/// Reports whether a screen is the quarantine screen.
pub(super) fn is_hold_screen(screen: &[String]) -> bool {
    screen
        .iter()
        .any(|line| line.starts_with("pxectl: on hold"))
}

/// Returns the reason on a quarantine screen.
pub(super) fn hold_reason(screen: &[String]) -> String {
    screen
        .iter()
        .find_map(|line| line.strip_prefix("reason: "))
        .unwrap_or("the screen shows no reason")
        .to_owned()
}

/// Returns the message that a script shows first: the rest of the line that starts with `prefix`.
pub(super) fn shown_message<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.trim_start().strip_prefix(prefix))
}

/// Returns the first digits of a digest.
pub(super) fn short_digest(digest: &Sha256Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
