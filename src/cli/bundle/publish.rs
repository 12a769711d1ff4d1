use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::transfer_progress::{Progress, not_there, size};
use super::{Stop, said, store};
use crate::bundle::transfer::{Place, TransferError, Watch, publish};
use crate::bundle::{BundleStoreError, RegistryOptions};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};

/// Copy a bundle to a registry, a tar file or another directory
#[derive(Debug, Args)]
#[command(after_help = "\
DEST is `docker://HOST[:PORT]/REPOSITORY[:TAG]` (the tag is the bundle's name
where it is left out), `oci-archive:FILE` or a path that ends in `.tar`, or
`oci:DIR` or another path. What others can read is an OCI image layout: skopeo,
oras and umoci know it.

Only files that are missing there go, each is read once and hashed on its way,
and the name goes last. Credentials are those of `docker login` and `skopeo
login`; certificates are those of the system, of `--ca`, and of
`/etc/docker/certs.d/HOST[:PORT]/*.crt`: see pxectl-bundles(7).

Examples:
  pxectl bundle publish ubuntu-24.04-a docker://registry.example/boot/ubuntu
  pxectl bundle publish ubuntu-24.04-a /media/usb/bundles.tar

Exit status: 0 when it is there, 1 when there is no such bundle or a file of it
is not good, 3 when it could not be done.")]
pub struct Publish {
    /// The bundle
    name: String,
    /// Where to
    #[arg(value_name = "DEST")]
    place: Place,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How a registry is talked to.
#[derive(Clone, Debug, Args)]
pub struct RegistryArgs {
    /// Talk to the registry without TLS: who listens sees credentials
    #[arg(long)]
    plain_http: bool,
    /// Trust the certificates in this file too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How many files travel at once to or from a registry
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// How often to try again when the registry is busy or the connection breaks
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
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let store = store::open(global, output)?;
        if let Ok(bundle) = store.bundle(&self.name) {
            store::check_unsigned(&bundle, global, output)?;
        }
        let progress = Progress::new(output);
        let watch: Arc<dyn Watch> = progress.clone();
        let options = self.registry.options();
        let travelled = publish(&store, &self.name, &self.place, &options, &watch);
        progress.clear();
        let travelled = travelled.map_err(|error| match &error {
            // What was read is of our own store, and is not what it was.
            TransferError::Store(BundleStoreError::Unexpected { .. }) => {
                output.failed(&error.into());
                said(Exit::No)
            }
            _ => not_there(error, &self.place, "DEST", output),
        })?;
        if output.is_json() {
            output.json(&json!({
                "bundle": self.name, "place": self.place.to_string(),
                "copied_files": travelled.blobs, "copied_octets": travelled.octets,
            }));
        } else {
            let copied = size(travelled.octets);
            output.result(&format!(
                "{}: at {}, {copied} copied\n",
                self.name, self.place
            ));
        }
        Ok(Exit::Done)
    }
}
