use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::size::size;
use super::store;
use super::transfer_progress::{TransferBars, location_error};
use crate::bundle::transfer::{BundleLocation, TransferError, TransferProgress, publish};
use crate::bundle::{BundleStoreError, RegistryOptions};
use crate::cli::error::{CommandError, CommandResult};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};

/// Copy a bundle to a registry, a tar file or another directory
#[derive(Debug, Args)]
#[command(after_help = "\
DEST is one of:
  docker://HOST[:PORT]/REPOSITORY[:TAG]  a registry (the default tag is the
                                         bundle's name)
  oci-archive:FILE[:NAME], or FILE.tar   a tar file
  oci:DIR[:NAME], or DIR                 a directory

The bundle is stored as an OCI artifact, which skopeo, oras and umoci can read.
Only missing files are copied. Each file is hashed while it is copied, and the
name comes last. Credentials are those of `docker login` and `skopeo login`.
Trusted certificates are those of the system, of `--ca`, and of
`/etc/docker/certs.d/HOST[:PORT]/*.crt`. See pxectl-bundles(7).

Examples:
  pxectl bundle publish ubuntu-24.04-a docker://registry.example/boot/ubuntu
  pxectl bundle publish ubuntu-24.04-a /media/usb/bundles.tar

Exit status:
  0  the bundle is at DEST
  1  the store has no such bundle, or a file of it is damaged
  3  the bundle cannot be copied")]
pub struct Publish {
    /// Bundle to copy
    name: String,
    /// Destination
    #[arg(value_name = "DEST")]
    destination: BundleLocation,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How to talk to a registry.
#[derive(Clone, Debug, Args)]
pub struct RegistryArgs {
    /// Use HTTP without TLS: others on the network can read the credentials
    #[arg(long)]
    plain_http: bool,
    /// Trust the certificates in this file, too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Number of files to copy at the same time to or from a registry
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Number of retries when the registry is busy or the connection breaks
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    retries: u32,
}

impl RegistryArgs {
    pub fn options(&self) -> RegistryOptions {
        RegistryOptions {
            plain_http: self.plain_http,
            ca: self.ca.clone(),
            retries: self.retries,
            jobs: usize::from(self.jobs),
        }
    }
}

impl Publish {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let store = store::open(global, output)?;
        if let Ok(bundle) = store.bundle(&self.name) {
            store::check_unsigned(&bundle, global)?;
        }
        let progress = TransferBars::new(output);
        let watch: Arc<dyn TransferProgress> = progress.clone();
        let options = self.registry.options();
        let summary = publish(&store, &self.name, &self.destination, &options, &watch);
        progress.clear();
        let summary = summary.map_err(|error| match &error {
            // A damaged file is in this store, not at the destination.
            TransferError::Store(BundleStoreError::Unexpected { .. }) => {
                CommandError::no(error.to_string()).hint(error.help().unwrap_or_default())
            }
            _ => location_error(error, &self.destination, "DEST"),
        })?;
        if output.is_json() {
            output.json(&json!({
                "bundle": self.name, "place": self.destination.to_string(),
                "copied_files": summary.blobs, "copied_bytes": summary.bytes,
            }));
        } else {
            let copied = size(summary.bytes);
            output.result(&format!(
                "{}: published to {}, {copied} copied\n",
                self.name, self.destination
            ));
        }
        Ok(Exit::Done)
    }
}
