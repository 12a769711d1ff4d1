use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::parse_name;
use crate::bundle::SecretKey;
use crate::cli::Exit;
use crate::cli::error::CommandResult;
use crate::cli::output::Output;

/// Create a key for signing bundles, in minisign's format
#[derive(Debug, Args)]
#[command(after_help = "\
Writes the secret key to FILE, which only you can read, and the public key to
FILE.pub. Prints the line for `signatures: {keys: […]}` in the site. minisign
can read both files. Keep the secret key where you build bundles, never in the
inventory. pxectl-bundles(7) explains how to replace and revoke keys.

Examples:
  pxectl bundle keygen release-2026 --out ~/keys/release-2026.key")]
pub struct Keygen {
    /// Name of the key in the site
    #[arg(value_parser = parse_name)]
    name: String,
    /// File for the secret key, which must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Keygen {
    pub fn run(&self, output: &Output) -> CommandResult {
        let key = SecretKey::generate()?;
        let public_file = key.write(&self.out)?;
        let public = key.public().map(|key| key.to_string()).unwrap_or_default();
        if output.is_json() {
            output.json_data(&json!({
                "name": self.name, "key": public, "id": key.id().to_string(),
                "secret_file": self.out, "public_file": public_file,
            }));
        } else {
            output.note(&format!(
                "key {}: secret in `{}`, public in `{}`",
                key.id(),
                self.out.display(),
                public_file.display()
            ));
            output.data(&format!("- {{name: {}, key: {public}}}\n", self.name));
        }
        Ok(Exit::Done)
    }
}
