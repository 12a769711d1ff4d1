use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use jiff::civil::Date;

use super::build_progress::Shown;
use super::store::{check_unsigned, policy};
use super::{Stop, document, fails, parse_name, store_directory};
use crate::bundle::BundleStore;
use crate::bundle::builder::{BuildError, Web, build, presets};
use crate::cli::output::Output;
use crate::cli::{Exit, Global};
use crate::inventory::{BundleSpec, PresetUse, SourceFile, Sources, parse_spec};
use crate::machine::CpuArchitecture;

/// Build a bundle: verify its files, store them, and print the document that pins them
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(group = ArgGroup::new("what").args(["spec", "preset"]).required(true))]
#[command(after_help = "\
The files come from this machine, from the web and out of ISO images and tar
archives, as a spec or a preset says; each is verified before it counts. A
download that breaks off goes on where it stopped. A name never changes its
content: build what is new under a new name.

A spec is a document of its own. Its paths go from where it lies. With files of
this machine:
  kind: BundleSpec
  name: debian-12
  arch: x86_64
  files:
    kernel: {from: netboot/linux}
    initrd: {from: netboot/initrd.gz}

Of what comes from the web it says what verifies it, and an image gives the
files in it:
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
pxectl-inventory(5) has all of its keys, and pxectl-bundles(7) what verifies
each preset.

Examples:
  pxectl bundle build ubuntu.spec.yaml --out ubuntu-24.04-a.yaml
  pxectl bundle build --preset debian-12 --name debian-12-2026-05 \\
      --out debian-12-2026-05.yaml
  pxectl bundle build --preset ubuntu-24.04 \\
      --mirror /srv/mirror/ubuntu-releases

Exit status:
  0  the bundle is in the store
  1  the spec is at fault, or a file is not what it should be
  3  a file cannot be had, or the disk refuses")]
pub struct Build {
    /// The spec: a `BundleSpec` document
    spec: Option<PathBuf>,

    /// Write the Bundle document here, not to standard output: to a new file, or in place of this
    /// bundle's document
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Build what a distribution publishes, without a spec
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(presets::names()))]
    preset: Option<String>,

    /// A URL or directory laid out as the publisher's [default: the publisher's own]
    #[arg(long, value_name = "URL-OR-DIR", requires = "preset")]
    mirror: Option<String>,

    /// The name of the bundle [default: the preset's]
    #[arg(long, requires = "preset", value_parser = parse_name)]
    name: Option<String>,

    /// The processor, as `uname -m` prints it
    #[arg(long, requires = "preset", default_value = "x86_64", value_parser = parse_arch)]
    arch: String,

    /// The release, where the preset leaves it open, such as v1.10.0 of Talos
    #[arg(long, requires = "preset")]
    release: Option<String>,

    /// The publisher's keys [default: those that the preset names]
    #[arg(long, value_name = "FILE", requires = "preset")]
    keyring: Option<String>,

    /// The day from which the bundle should not be installed any more
    #[arg(long, value_name = "DAY", requires = "preset")]
    expires: Option<Date>,

    /// How many files are worked on at once
    #[arg(short, long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// How often a download that brings nothing is tried again
    #[arg(long, value_name = "NUMBER", default_value = "5")]
    retries: u32,
}

fn parse_arch(text: &str) -> Result<String, String> {
    CpuArchitecture::from_name(text)
        .map(|arch| arch.name().to_owned())
        .ok_or_else(|| "write it as `uname -m` prints it".to_owned())
}

impl Build {
    pub fn run(&self, global: &Global, output: &Output) -> Result<Exit, Stop> {
        let (spec, base) = match &self.spec {
            Some(path) => match read(path, output).map_err(fails)? {
                Some(spec) => (spec, path.parent().unwrap_or(Path::new("")).to_owned()),
                None => return Ok(Exit::No),
            },
            None => (self.of_preset().map_err(fails)?, PathBuf::new()),
        };
        document::check(self.out.as_deref(), Some(&spec.name), output)?;
        let directory = store_directory(global).map_err(fails)?;
        let store = BundleStore::open_or_create(&directory).map_err(fails)?;
        let policy = policy(global).unwrap_or_default();
        let progress = Shown::new(output);
        let built = Web::new(self.retries).and_then(|web| {
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
        let bundle = match built {
            Ok(bundle) => bundle,
            Err(error) => return refused(error, output).map_err(fails),
        };
        check_unsigned(&bundle, global, output)?;
        document::write(&bundle, self.out.as_deref(), output)?;
        Ok(Exit::Done)
    }

    fn of_preset(&self) -> anyhow::Result<BundleSpec> {
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

/// Reads a spec; prints what is at fault with it.
fn read(path: &Path, output: &Output) -> anyhow::Result<Option<BundleSpec>> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("`{name}`"))?;
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

/// Prints why nothing was built: the answer is no where what came is not what it should be.
pub fn refused(error: BuildError, output: &Output) -> anyhow::Result<Exit> {
    output.error(&error.to_string(), &error.help().unwrap_or_default());
    Ok(if error.is_the_inputs() {
        Exit::No
    } else {
        Exit::Failed
    })
}
