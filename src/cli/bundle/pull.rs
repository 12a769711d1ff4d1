use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::publish::RegistryArgs;
use super::size::size;
use super::store::{directory, rules};
use super::transfer_progress::{TransferBars, location_error};
use super::{document, parse_name};
use crate::bundle::BundleStore;
use crate::bundle::transfer::{BundleLocation, PullOptions, TransferProgress, pull};
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::SignaturePolicy;
use crate::machine::CpuArchitecture;

/// Copy a bundle from a registry, a tar file or another directory, and print its document
#[derive(Debug, Args)]
#[command(after_help = "\
SOURCE has the form of DEST in `pxectl bundle publish`, or it is an image by
`docker save`: `docker-archive:FILE[:IMAGE]`. Put the printed Bundle document
into the inventory, and review it in git. An image with boot files below
`/disk/` (`FROM scratch`) becomes a bundle called NAME.

If the site requires signatures, a bundle without a valid one is refused before
it is copied.

Examples:
  pxectl bundle pull docker://registry.example/boot/ubuntu ubuntu-24.04-a \\
      --out ubuntu-24.04-a.yaml
  pxectl bundle pull /media/usb/bundles.tar ubuntu-24.04-a
  pxectl bundle pull docker-archive:metal.tar metal-a

Exit status:
  0  the store has the bundle
  1  SOURCE has no such bundle, or the bundle is refused
  3  the bundle cannot be copied")]
pub struct Pull {
    /// Source
    #[arg(value_name = "SOURCE")]
    source: BundleLocation,
    /// Bundle to copy [default: the only bundle in SOURCE, or the one of its tag]
    #[arg(value_parser = parse_name)]
    name: Option<String>,
    /// Write the document to this file, which must be new or this bundle's document
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Processor to choose in an image for several: x86_64, aarch64, …
    #[arg(long, value_name = "ARCH", value_parser = parse_arch)]
    arch: Option<CpuArchitecture>,
    /// Accept a bundle without a valid signature, to sign it here
    #[arg(long)]
    allow_unsigned: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

fn parse_arch(text: &str) -> Result<CpuArchitecture, String> {
    CpuArchitecture::from_name(text)
        .ok_or_else(|| "use the name that `uname -m` prints: `x86_64`, `aarch64`, …".to_owned())
}

impl Pull {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        document::check(self.out.as_deref(), self.name.as_deref(), output)?;
        let path = directory(global, output)?;
        let mut policy = rules(global, output)?.map_or_else(SignaturePolicy::default, |good| {
            good.inventory.site.signatures
        });
        if self.allow_unsigned {
            policy = policy.for_unsigned();
        }
        let store = BundleStore::open_or_create(&path)?;
        let options = PullOptions {
            name: self.name.as_deref(),
            arch: self.arch,
            registry: self.registry.options(),
            signatures: &policy,
        };
        let progress = TransferBars::new(output);
        let watch: Arc<dyn TransferProgress> = progress.clone();
        let pulled = pull(&store, &self.source, &options, &watch);
        progress.clear();
        let pulled = pulled.map_err(|error| location_error(error, &self.source, "SOURCE"))?;
        let (bundle, copied) = (pulled.bundle, size(pulled.summary.bytes));
        output.note(&format!("{}: {copied} copied", bundle.name));
        let unsigned = policy.required && policy.check(&bundle).is_err();
        if unsigned && pulled.is_unpacked {
            output.warning(
                "a bundle made from an image is not signed, and the site requires a signature",
                &format!(
                    "sign it with `pxectl bundle sign {} --key FILE`",
                    bundle.name
                ),
            );
        }
        document::write(&bundle, self.out.as_deref(), output)?;
        Ok(Exit::Done)
    }
}
