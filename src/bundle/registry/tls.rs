//! Which certificates a registry may have, and which one it is shown.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder, Identity, blocking};

use super::address::RegistryAddress;
use super::diagnose::chain;
use super::options::{PATIENCE, RegistryOptions};
use crate::bundle::transfer::TransferError;

/// What TLS needs beside what the system has.
#[derive(Default)]
pub(super) struct Trust {
    plain_http: bool,
    certificates: Vec<Certificate>,
    identity: Option<Identity>,
}

impl Trust {
    /// Reads the file that is named, and what lies where Docker and Podman look for a registry's
    /// certificates: in the first directory of `~/.config/containers/certs.d`,
    /// `/etc/containers/certs.d` and `/etc/docker/certs.d` that has one called `HOST[:PORT]`.
    ///
    /// Source: containers-certs.d(5).
    ///
    /// # Errors
    /// When a file cannot be read, or holds none.
    pub fn of(address: &RegistryAddress, options: &RegistryOptions) -> Result<Self, TransferError> {
        let mut trust = Self {
            plain_http: options.plain_http,
            ..Self::default()
        };
        if options.plain_http {
            return Ok(trust);
        }
        if let Some(path) = &options.ca {
            trust.certificates.extend(certificates(path)?);
        }
        let directories = directories().into_iter();
        let mut of_host = directories.map(|directory| directory.join(&address.host));
        if let Some(directory) = of_host.find(|directory| directory.is_dir()) {
            trust.read(&directory)?;
        }
        Ok(trust)
    }

    /// Reads `*.crt`, whom to trust, and `*.cert` with `*.key`, who we are.
    fn read(&mut self, directory: &Path) -> Result<(), TransferError> {
        let failed = |source| TransferError::Io {
            path: directory.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        for path in paths {
            match path.extension().and_then(|it| it.to_str()) {
                Some("crt") => self.certificates.extend(certificates(&path)?),
                Some("cert") => {
                    let mut pem = read(&path)?;
                    pem.push(b'\n');
                    pem.extend(read(&path.with_extension("key"))?);
                    let identity = Identity::from_pem(&pem);
                    self.identity = Some(identity.map_err(|_| none_in(&path, "and a key"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a client that breaks off what says nothing for a while, and one for uploads, which take
    /// as long as they take.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn clients(
        &self,
        address: &RegistryAddress,
    ) -> Result<(blocking::Client, Client), TransferError> {
        // Of two who do so the first one wins, with the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reading = self.built(|builder| {
            let builder = blocking::ClientBuilder::from(builder);
            builder.timeout(PATIENCE).build()
        });
        // Each upload has a connection of its own, which ends with it.
        let writing = self.built(|builder| builder.pool_max_idle_per_host(0).build());
        let both = reading.and_then(|reading| Ok((reading, writing?)));
        both.map_err(|error| TransferError::Unreachable {
            host: address.host.clone(),
            reason: chain(&error),
        })
    }

    fn built<T>(&self, build: impl Fn(ClientBuilder) -> reqwest::Result<T>) -> reqwest::Result<T> {
        let builder = || {
            let builder = Client::builder()
                .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(PATIENCE)
                .tcp_user_timeout(PATIENCE)
                .https_only(!self.plain_http);
            match &self.identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        };
        let trusted = || self.certificates.iter().cloned();
        match (self.plain_http, self.certificates.is_empty()) {
            // A machine without any certificates can still talk to it.
            (true, _) => build(builder().tls_certs_only([])),
            (_, true) => build(builder()),
            // It may have none but those that are named.
            _ => build(builder().tls_certs_merge(trusted()))
                .or_else(|_| build(builder().tls_certs_only(trusted()))),
        }
    }
}

fn directories() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let home = home.map(|home| home.join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
    home.into_iter().chain(system.map(PathBuf::from)).collect()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, TransferError> {
    let found = Certificate::from_pem_bundle(&read(path)?);
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| none_in(path, "in PEM"))
}

fn read(path: &Path) -> Result<Vec<u8>, TransferError> {
    fs::read(path).map_err(|source| TransferError::Io {
        path: path.to_owned(),
        source,
    })
}

fn none_in(path: &Path, what: &str) -> TransferError {
    TransferError::Certificate {
        path: path.to_owned(),
        reason: format!("it holds no certificate {what}"),
    }
}
