//! Which certificates a registry may present, and which client certificate it gets.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder, Identity, blocking};

use super::address::RegistryAddress;
use super::error::{RegistryError, TlsFailure, describe};
use super::options::{IDLE_LIMIT, RegistryOptions};

/// What TLS uses besides the system's certificates.
#[derive(Default)]
pub(super) struct TlsSettings {
    plain_http: bool,
    certificates: Vec<Certificate>,
    identity: Option<Identity>,
}

impl TlsSettings {
    /// Reads the file in `options`, and the files that Docker and Podman keep for a registry: those in
    /// the first directory of `~/.config/containers/certs.d`, `/etc/containers/certs.d` and
    /// `/etc/docker/certs.d` that has a subdirectory `HOST[:PORT]`.
    ///
    /// Source: containers-certs.d(5).
    ///
    /// # Errors
    /// When a file cannot be read, or has no certificate.
    pub fn read(
        address: &RegistryAddress,
        options: &RegistryOptions,
    ) -> Result<Self, RegistryError> {
        let mut settings = Self {
            plain_http: options.plain_http,
            ..Self::default()
        };
        if options.plain_http {
            return Ok(settings);
        }
        if let Some(path) = &options.ca {
            settings.certificates.extend(certificates(path)?);
        }
        let mut host_directories = certificate_directories()
            .into_iter()
            .map(|directory| directory.join(&address.host));
        if let Some(directory) = host_directories.find(|directory| directory.is_dir()) {
            settings.read_directory(&directory)?;
        }
        Ok(settings)
    }

    /// Reads the trusted certificates `*.crt`, and the client certificate `*.cert` with its `*.key`.
    fn read_directory(&mut self, directory: &Path) -> Result<(), RegistryError> {
        let failed = |source| RegistryError::Io {
            path: directory.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.certificates.extend(certificates(&path)?),
                Some("cert") => {
                    let mut pem = read_file(&path)?;
                    pem.push(b'\n');
                    pem.extend(read_file(&path.with_extension("key"))?);
                    let identity = Identity::from_pem(&pem);
                    self.identity =
                        Some(identity.map_err(|_| no_certificate(&path, "with a matching key"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Builds a client that gives up on a silent connection, and one for uploads, which may take
    /// longer.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn clients(
        &self,
        address: &RegistryAddress,
    ) -> Result<(blocking::Client, Client), RegistryError> {
        // If another thread installs it first, it installs the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reading = self.build(|builder| {
            blocking::ClientBuilder::from(builder)
                .timeout(IDLE_LIMIT)
                .build()
        });
        // Each upload has its own connection, which ends with it.
        let writing = self.build(|builder| builder.pool_max_idle_per_host(0).build());
        reading
            .and_then(|reading| Ok((reading, writing?)))
            .map_err(|error| RegistryError::Unreachable {
                host: address.host.clone(),
                reason: describe(&error),
                tls: TlsFailure::of(&error),
            })
    }

    fn build<T>(&self, build: impl Fn(ClientBuilder) -> reqwest::Result<T>) -> reqwest::Result<T> {
        let builder = || {
            let builder = Client::builder()
                .user_agent(concat!("pxectl/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(IDLE_LIMIT)
                .tcp_user_timeout(IDLE_LIMIT)
                .https_only(!self.plain_http);
            match &self.identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        };
        if self.plain_http {
            // Works on a machine without any certificates.
            return build(builder().tls_certs_only([]));
        }
        if self.certificates.is_empty() {
            return build(builder());
        }
        let trusted = || self.certificates.iter().cloned();
        // The system may have no certificates of its own.
        build(builder().tls_certs_merge(trusted()))
            .or_else(|_| build(builder().tls_certs_only(trusted())))
    }
}

fn certificate_directories() -> Vec<PathBuf> {
    let home =
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
    home.into_iter().chain(system.map(PathBuf::from)).collect()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
    Certificate::from_pem_bundle(&read_file(path)?)
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| no_certificate(path, "in PEM format"))
}

fn read_file(path: &Path) -> Result<Vec<u8>, RegistryError> {
    fs::read(path).map_err(|source| RegistryError::Io {
        path: path.to_owned(),
        source,
    })
}

fn no_certificate(path: &Path, form: &str) -> RegistryError {
    RegistryError::Certificate {
        path: path.to_owned(),
        reason: format!("has no certificate {form}"),
    }
}
