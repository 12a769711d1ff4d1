use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Map, Value};

use super::output::Output;
use super::select::Select;
use super::{Exit, Global, inventory};
use crate::cli::error::CommandResult;
use crate::installer::Installer;
use crate::inventory::{Host, Inventory};
use crate::loader::{Dialect, LoaderKind};
use crate::render::{Plan, SessionLinks, Templates, Variables, install_script, seed};

/// The number of hosts that are rendered before they are printed.
const BATCH: usize = 512;

/// Show the boot script and the seeds that an armed host is served
#[derive(Debug, Args)]
#[command(after_help = "\
Capabilities and secrets are never printed: placeholders replace them.

Examples:
  pxectl render worker-01
  pxectl render worker-01 --as user-data | cloud-init schema -c /dev/stdin
  pxectl render --all --out rendered
  pxectl render worker-01 --context      print its template variables")]
pub struct Render {
    #[command(flatten)]
    select: Select,

    /// Render one file: boot.ipxe, grub.cfg, pxelinux.cfg, or a seed such as user-data or preseed.cfg
    /// [default: the script of the host's loader, and its seeds]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<String>,

    /// Write the files to DIR/HOST/
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the variables that templates can use, as JSON
    #[arg(long, conflicts_with_all = ["kind", "out"])]
    context: bool,
}

/// The rendered files of a host: name and text.
type RenderedFiles = Vec<(String, String)>;

impl Render {
    pub fn run(&self, global: &Global, output: &Output) -> CommandResult {
        let good = inventory::load(global, output)?;
        let hosts = self.select.find(&good.inventory)?;
        if self.context {
            for host in hosts {
                let plan = Plan::new(&good.inventory, host)?;
                let links = SessionLinks::placeholder(&plan.server);
                output.json_data(Variables::new(&plan, &links).as_json());
            }
            return Ok(Exit::Done);
        }
        if let Some(kind) = &self.kind
            && let Some(host) = hosts
                .iter()
                .find(|host| !file_names(&good.inventory, host).contains(&kind.as_str()))
        {
            let known = file_names(&good.inventory, host).join(", ");
            output.error(
                &format!("host `{}` has no `{kind}`", host.name),
                &format!("its files are {known}"),
            );
            return Ok(if is_file_name(kind) {
                Exit::No
            } else {
                Exit::Usage
            });
        }
        let single = hosts.len() == 1 && self.kind.is_some();
        let mut json = Map::new();
        for batch in hosts.chunks(BATCH) {
            let rendered = self.render(&good.inventory, &good.templates, batch)?;
            if self.out.is_some() {
                continue;
            }
            let mut text = String::new();
            for (host, files) in batch.iter().zip(rendered) {
                if output.is_json() {
                    let files = files
                        .into_iter()
                        .map(|(name, text)| (name, Value::String(text)));
                    json.insert(host.name.clone(), Value::Object(files.collect()));
                } else {
                    for (name, content) in files {
                        if !single {
                            text.push_str(&format!("==> {}/{name} <==\n", host.name));
                        }
                        text.push_str(&content);
                        if !single {
                            text.push('\n');
                        }
                    }
                }
            }
            output.data(&text);
        }
        match &self.out {
            Some(out) => output.note(&format!(
                "rendered {} hosts to `{}`",
                hosts.len(),
                out.display()
            )),
            None if output.is_json() => output.json_data(&json),
            None => {}
        }
        Ok(Exit::Done)
    }

    /// Renders hosts in parallel, writes them to the directory of `--out`, and returns them in order.
    fn render(
        &self,
        inventory: &Inventory,
        templates: &Templates,
        hosts: &[&Host],
    ) -> CommandResult<Vec<RenderedFiles>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = hosts
                .chunks(hosts.len().div_ceil(threads).max(1))
                .map(|part| {
                    scope.spawn(move || {
                        part.iter()
                            .map(|host| {
                                let files = self.render_host(inventory, templates, host)?;
                                if let Some(out) = &self.out {
                                    write(&out.join(&host.name), &files)?;
                                }
                                Ok(files)
                            })
                            .collect::<CommandResult<Vec<_>>>()
                    })
                })
                .collect();
            let mut rendered = Vec::with_capacity(hosts.len());
            for worker in workers {
                rendered.extend(
                    worker.join().map_err(|_| {
                        anyhow::anyhow!("internal error while rendering a template")
                    })??,
                );
            }
            Ok(rendered)
        })
    }

    fn render_host(
        &self,
        inventory: &Inventory,
        templates: &Templates,
        host: &Host,
    ) -> CommandResult<RenderedFiles> {
        let plan = Plan::new(inventory, host)?;
        let variables = Variables::new(&plan, &SessionLinks::placeholder(&plan.server));
        let names = match self.kind.as_deref() {
            None => served(inventory, host),
            Some(kind) => file_names(inventory, host)
                .into_iter()
                .filter(|name| *name == kind)
                .collect(),
        };
        names
            .into_iter()
            .map(|name| {
                let text = match Dialect::all().find(|dialect| dialect.script_name() == name) {
                    Some(dialect) => install_script(templates, dialect, &variables),
                    None => seed(templates, &plan, &variables, name),
                };
                let text = text
                    .with_context(|| format!("cannot render `{name}` of host `{}`", host.name))?;
                Ok((name.to_owned(), text))
            })
            .collect()
    }
}

/// Lists the files that a host is served: the script of its loader, and its seeds.
fn served(inventory: &Inventory, host: &Host) -> Vec<&'static str> {
    // A site without loaders leaves them to another server, which most likely serves iPXE.
    let kind = inventory
        .loader_of(Some(host), host.arch)
        .map_or(LoaderKind::Ipxe, |loader| loader.kind);
    let script = kind.dialect().map(Dialect::script_name);
    script.into_iter().chain(seeds(inventory, host)).collect()
}

/// Lists the files that can be rendered for a host: a script for each kind of loader, and its seeds.
fn file_names(inventory: &Inventory, host: &Host) -> Vec<&'static str> {
    Dialect::all()
        .map(Dialect::script_name)
        .chain(seeds(inventory, host))
        .collect()
}

/// Reports whether any host can have this file.
fn is_file_name(name: &str) -> bool {
    let mut seeds = Installer::all().flat_map(|it| it.seeds());
    Dialect::all().any(|it| it.script_name() == name) || seeds.any(|it| *it == name)
}

fn seeds(inventory: &Inventory, host: &Host) -> impl Iterator<Item = &'static str> {
    let profile = inventory.profile_of(host);
    let seeds = profile.map_or(&[][..], |profile| profile.installer.seeds());
    seeds.iter().copied()
}

fn write(directory: &std::path::Path, files: &RenderedFiles) -> CommandResult<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create `{}`", directory.display()))?;
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}
