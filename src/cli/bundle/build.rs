use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use jiff::civil::Date;

use super::build_progress::BuildBars;
use super::store::{check_unsigned, directory_for_new_files, policy};
use super::{document, parse_name};
use crate::bundle::BundleStore;
use crate::bundle::builder::{WebClient, build, presets};
use crate::cli::error::CommandResult;
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{BundleSpec, PresetUse, SourceFile, Sources, parse_spec};
use crate::machine::CpuArchitecture;

/// Build a bundle: verify its files, store them, and print the document that pins them
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(group = ArgGroup::new("what").args(["spec", "preset"]).required(true))]
#[command(after_help = "\
The files come from this machine, from downloads, and from ISO images and tar
archives, as a spec or a preset lists them. Each file is verified. A download
that breaks off resumes where it stopped. The content of a name never changes:
build new content under a new name.

A spec is a separate document. Its paths are relative to its directory. With
local files:
  kind: BundleSpec
  name: debian-12
  arch: x86_64
  files:
    kernel: {from: netboot/linux}
    initrd: {from: netboot/initrd.gz}

For a download, the spec names what verifies it. An image provides the files
inside it:
  kind: BundleSpec
  name: live-2026-05
  arch: x86_64
  images: {live: {from: live.iso}}
  files:
    kernel: {image: live, member: casper/vmlinuz}
    initrd: {image: live, member: casper/initrd}
    extra:
      from: https://a.example/extra.img
      checksums: {from: https://a.example/SHA256SUMS}
pxectl-inventory(5) documents all keys, and pxectl-bundles(7) the presets.

Examples:
  pxectl bundle build ubuntu.spec.yaml --out ubuntu-24.04-a.yaml
  pxectl bundle build --preset debian-12 --name debian-12-2026-05 \\
      --out debian-12-2026-05.yaml
  pxectl bundle build --preset ubuntu-24.04 \\
      --mirror /srv/mirror/ubuntu-releases

Exit status:
  0  the bundle is in the store
  1  the spec has errors, or a file does not verify
  3  a file cannot be read or downloaded, or the disk fails")]
pub struct Build {
    /// File with the spec, a `BundleSpec` document
    spec: Option<PathBuf>,

    /// Write the Bundle document to this file, which must be new or this bundle's document
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Build from the files that a distribution publishes, without a spec
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(presets::names()))]
    preset: Option<String>,

    /// Use a mirror with the publisher's layout [default: the publisher's own]
    #[arg(long, value_name = "URL-OR-DIR", requires = "preset")]
    mirror: Option<String>,

    /// Name of the bundle [default: the preset's]
    #[arg(long, requires = "preset", value_parser = parse_name)]
    name: Option<String>,

    /// Processor, as `uname -m` prints it
    #[arg(long, requires = "preset", default_value = "x86_64", value_parser = parse_arch)]
    arch: String,

    /// Release, if the preset needs one, such as v1.10.0 of Talos
    #[arg(long, requires = "preset")]
    release: Option<String>,

    /// File with the publisher's keys [default: the preset's]
    #[arg(long, value_name = "FILE", requires = "preset")]
    keyring: Option<String>,

    /// First day on which the bundle must not be installed
    #[arg(long, value_name = "DAY", requires = "preset")]
    expires: Option<Date>,

    /// Number of files to process at the same time
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Number of retries for a download that makes no progress
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    retries: u32,
}

fn parse_arch(text: &str) -> Result<String, String> {
    CpuArchitecture::from_name(text)
        .map(|arch| arch.name().to_owned())
        .ok_or_else(|| "use the name that `uname -m` prints".to_owned())
}

impl Build {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let (spec, base) = match &self.spec {
            Some(path) => match read_spec(path, output)? {
                Some(spec) => (spec, path.parent().unwrap_or(Path::new("")).to_owned()),
                None => return Ok(Exit::No),
            },
            None => (self.spec_of_preset()?, PathBuf::new()),
        };
        document::check(self.out.as_deref(), Some(&spec.name), output)?;
        let directory = directory_for_new_files(global)?;
        let store = BundleStore::open_or_create(&directory)?;
        let policy = policy(global).unwrap_or_default();
        let progress = BuildBars::new(output);
        let built = WebClient::new(self.retries).and_then(|web| {
            build(
                &store,
                &web,
                &spec,
                &base,
                usize::from(self.jobs),
                &policy,
                &progress,
            )
        });
        drop(progress);
        let bundle = built?;
        check_unsigned(&bundle, global)?;
        document::write(&bundle, self.out.as_deref(), output)?;
        Ok(Exit::Done)
    }

    fn spec_of_preset(&self) -> CommandResult<BundleSpec> {
        let preset = self.preset.clone().context("neither a spec nor a preset")?;
        Ok(BundleSpec {
            name: self.name.clone().unwrap_or_else(|| preset.clone()),
            arch: self.arch.clone(),
            expires: self.expires,
            preset: Some(PresetUse {
                name: preset,
                mirror: self.mirror.clone(),
                keyring: self.keyring.clone(),
                release: self.release.clone(),
            }),
            images: BTreeMap::new(),
            files: BTreeMap::new(),
        })
    }
}

/// Reads a spec, and prints its errors; `None` if it has any.
pub(super) fn read_spec(path: &Path, output: &Output) -> CommandResult<Option<BundleSpec>> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{name}`"))?;
    let file = SourceFile { name, text };
    let (spec, diagnostics) = parse_spec(&file);
    let files = std::slice::from_ref(&file);
    let sources = Sources::new(files, &diagnostics);
    for diagnostic in &diagnostics {
        let text = diagnostic.to_text(&sources, output.stderr_color());
        output.stderr(&format!("{text}\n"));
    }
    Ok(spec)
}
