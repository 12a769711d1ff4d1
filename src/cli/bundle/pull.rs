use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::publish::RegistryArgs;
use super::store::{directory, rules};
use super::transfer_progress::{Progress, not_there, size};
use super::{Stop, document, fails, parse_name};
use crate::bundle::BundleStore;
use crate::bundle::transfer::{Place, PullOptions, Watch, pull};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::SignaturePolicy;
use crate::machine::CpuArchitecture;

/// Copy a bundle from a registry, a tar file or another directory, and print its document
#[derive(Debug, Args)]
#[command(after_help = "\
SOURCE is written as DEST of `bundle publish`. What is printed is the Bundle
document: put it into the inventory, and review it in git. An image with boot
files below `/disk/` (`FROM scratch`) is made a bundle called NAME.

Where the site requires signatures, a bundle without a good one is refused
before it is copied.

Examples:
  pxectl bundle pull docker://registry.example/boot/ubuntu ubuntu-24.04-a \\
      --out ubuntu-24.04-a.yaml
  pxectl bundle pull /media/usb/bundles.tar ubuntu-24.04-a

Exit status: 0 when the store has it, 1 when SOURCE has no such bundle or it is
refused, 3 when it could not be done.")]
pub struct Pull {
    /// Where from
    #[arg(value_name = "SOURCE")]
    place: Place,
    /// The bundle [default: the only one in SOURCE, or the one of its tag]
    #[arg(value_parser = parse_name)]
    name: Option<String>,
    /// Write the document here, not to standard output: to a new file, or in place of this bundle's
    /// document
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which processor, of an image for several: x86_64, aarch64, …
    #[arg(long, value_name = "ARCH", value_parser = parse_arch)]
    arch: Option<CpuArchitecture>,
    /// Take a bundle without a good signature too, to be signed here
    #[arg(long)]
    allow_unsigned: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

fn parse_arch(text: &str) -> Result<CpuArchitecture, String> {
    CpuArchitecture::from_name(text)
        .ok_or_else(|| "write it as `uname -m` prints it: `x86_64`, `aarch64`, …".to_owned())
}

impl Pull {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        document::check(self.out.as_deref(), self.name.as_deref(), output)?;
        let path = directory(global, output)?;
        let policy = match rules(global, output)? {
            Some(good) => good.inventory.site.signatures,
            None => SignaturePolicy::default(),
        };
        let policy = match self.allow_unsigned {
            true => policy.for_unsigned(),
            false => policy,
        };
        let store = BundleStore::open_or_create(&path).map_err(fails)?;
        let options = PullOptions {
            name: self.name.as_deref(),
            arch: self.arch,
            registry: self.registry.options(),
            signatures: &policy,
        };
        let progress = Progress::new(output);
        let watch: Arc<dyn Watch> = progress.clone();
        let pulled = pull(&store, &self.place, &options, &watch);
        progress.clear();
        let pulled = pulled.map_err(|error| not_there(error, &self.place, "SOURCE", output))?;
        let (bundle, copied) = (pulled.bundle, size(pulled.travelled.octets));
        output.note(&format!("{}: {copied} copied", bundle.name));
        let unsigned = policy.required && policy.check(&bundle).is_err();
        if unsigned && pulled.is_unpacked {
            output.warning(
                "a bundle made of an image is not signed, and the site requires a signature",
                &format!("`pxectl bundle sign {} --key FILE`", bundle.name),
            );
        }
        document::write(&bundle, self.out.as_deref(), output)?;
        Ok(Exit::Done)
    }
}
