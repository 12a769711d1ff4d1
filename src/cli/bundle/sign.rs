use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use jiff::civil::Date;

use super::{document, store};
use crate::bundle::SecretKey;
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::clock::wall_time;
use crate::inventory::{SIGNED_EXPIRES, SignaturePolicy, SiteKey, is_signature};

/// Sign a bundle of the store, and print its document with the signature
#[derive(Debug, Args)]
#[command(after_help = "\
The signature covers the bundle's manifest (its name, its processor, and the
digest of each file) and its day of expiry, if it has one. Run `pxectl bundle
verify` before you sign. The signature is part of the document, and is copied
with the bundle. Signatures by other keys stay.

If the key is encrypted with a password or kept elsewhere, use minisign:
  pxectl bundle sign ubuntu-24.04-a --print > manifest
  minisign -S -m manifest -s release.key -t \"expires:2027-05-01\"
  pxectl bundle sign ubuntu-24.04-a --signature manifest.minisig

Examples:
  pxectl bundle sign ubuntu-24.04-a --key ~/keys/release-2026.key \\
      --out rack-a/ubuntu-24.04-a.yaml")]
pub struct Sign {
    /// Bundle to sign
    name: String,
    #[command(flatten)]
    by: SignatureSource,
    /// Change the first day on which the bundle must not be installed
    #[arg(long, value_name = "DAY", conflicts_with = "print")]
    expires: Option<Date>,
    /// Write the document to this file, which must be new or this bundle's document
    #[arg(long, value_name = "FILE", conflicts_with = "print")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SignatureSource {
    /// File with the secret key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File with a signature from minisign
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Print the content to sign, without signing it
    #[arg(long)]
    print: bool,
}

impl Sign {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        document::check(self.out.as_deref(), Some(&self.name), output)?;
        let store = store::open(global, output)?;
        let mut bundle = store.bundle(&self.name)?;
        bundle.expires = self.expires.or(bundle.expires);
        let manifest = bundle.manifest();
        let signature = match (&self.by.key, &self.by.signature) {
            (Some(path), _) => {
                let key = SecretKey::read(path)?;
                let now = wall_time().as_second();
                // A space where minisign writes a tab, for which YAML would quote the whole signature.
                let mut comment = format!("timestamp:{now} bundle:{}", bundle.name);
                if let Some(day) = bundle.expires {
                    comment += &format!(" {SIGNED_EXPIRES}{day}");
                }
                let signature = key.sign(&manifest, &comment);
                let own = key.public().map(|key| SignaturePolicy {
                    required: true,
                    keys: vec![SiteKey {
                        name: "own".into(),
                        key,
                    }],
                    revoked: Vec::new(),
                });
                bundle.signatures = vec![signature.clone()];
                // A key that cannot verify its own signature is damaged.
                let checked = own.map(|policy| policy.check(&bundle).map(|_| ()));
                checked.unwrap_or(Ok(()))?;
                signature
            }
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path);
                let shown = path.display();
                let text = text.with_context(|| format!("cannot read `{shown}`"))?;
                if !is_signature(&text) {
                    let what = format!("`{shown}` is not a minisign signature");
                    output.error(&what, "name the `.minisig` file that minisign wrote");
                    return Ok(Exit::No);
                }
                text
            }
            (None, None) => {
                output.data(&String::from_utf8_lossy(&manifest));
                return Ok(Exit::Done);
            }
        };
        bundle.signatures = vec![signature];
        store::check_unsigned(&bundle, global)?;
        store.add_bundle(&bundle)?;
        let bundle = store.bundle(&self.name)?;
        document::write(&bundle, self.out.as_deref(), output)?;
        Ok(Exit::Done)
    }
}
