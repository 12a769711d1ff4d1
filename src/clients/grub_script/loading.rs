//! Loading files: their locations, and the commands that load them.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use super::Purpose;
use super::effect::{CommandResult, DONE, GrubEffect, not_understood};
use super::state::{Fetch, Interpreter, Loaded};
use crate::clients::dhcp::BootFile;

/// The location of a file name.
pub(super) enum FileLocation {
    /// A file of a server.
    Network(BootFile),
    /// A path on a local disk.
    Disk(String),
}

impl Interpreter {
    pub(super) fn fetch_one(&mut self, arguments: &[String], purpose: Purpose) -> CommandResult {
        let [name] = arguments else {
            return Err("filename expected".to_owned().into());
        };
        match self.place(name)? {
            FileLocation::Network(file) => Ok(GrubEffect::Fetch(Fetch {
                file,
                purpose,
                arguments: String::new(),
                more: VecDeque::new(),
            })),
            FileLocation::Disk(_) if purpose == Purpose::Configuration => DONE,
            FileLocation::Disk(path) => Err(format!("file `{path}' not found").into()),
        }
    }

    pub(super) fn linux(&mut self, arguments: &[String]) -> CommandResult {
        // This unloads the previous kernel, even if it fails.
        self.loaded = None;
        let [name, words @ ..] = arguments else {
            return Err("filename expected".to_owned().into());
        };
        let all: Vec<String> = [format!("BOOT_IMAGE={name}")]
            .into_iter()
            .chain(words.iter().cloned())
            .collect();
        match self.place(name)? {
            FileLocation::Network(file) => Ok(GrubEffect::Fetch(Fetch {
                file,
                purpose: Purpose::Kernel,
                arguments: all.join(" "),
                more: VecDeque::new(),
            })),
            FileLocation::Disk(path) => Err(format!("file `{path}' not found").into()),
        }
    }

    pub(super) fn initrd(&mut self, arguments: &[String]) -> CommandResult {
        if !matches!(self.loaded, Some(Loaded::Kernel { .. })) {
            return Err("you need to load the kernel first".to_owned().into());
        }
        let mut files = VecDeque::new();
        for name in arguments {
            match self.place(name)? {
                FileLocation::Network(file) => files.push_back(file),
                FileLocation::Disk(path) => return Err(format!("file `{path}' not found").into()),
            }
        }
        match files.pop_front() {
            Some(file) => Ok(GrubEffect::Fetch(Fetch {
                file,
                purpose: Purpose::Initrd,
                arguments: String::new(),
                more: files,
            })),
            None => Err("filename expected".to_owned().into()),
        }
    }

    /// Source: GRUB, `grub-core/loader/efi/chainloader.c`: the loader receives the device handle of
    /// `$root`.
    pub(super) fn chainloader(&mut self, arguments: &[String]) -> CommandResult {
        self.loaded = None;
        let words: Vec<&String> = arguments.iter().filter(|it| *it != "--force").collect();
        let [name, words @ ..] = words.as_slice() else {
            return Err("filename expected".to_owned().into());
        };
        let text: Vec<&str> = words.iter().map(|word| word.as_str()).collect();
        let text = text.join(" ");
        let root = self.variable("root").trim_matches(['(', ')']).to_owned();
        if *name == "+1" {
            let how = format!("chainloader +1 of ({root})");
            return match root.starts_with("hd") {
                true => self.loads(Loaded::Disk { how }),
                false => Err(format!("disk `{root}' not found").into()),
            };
        }
        match self.place(name)? {
            FileLocation::Network(file) => Ok(GrubEffect::Fetch(Fetch {
                file,
                purpose: Purpose::Program,
                arguments: text,
                more: VecDeque::new(),
            })),
            FileLocation::Disk(path) => {
                let mut files = self.machine.disk_files.iter();
                if !files.any(|file| file.eq_ignore_ascii_case(&path)) {
                    return Err(format!("file `{path}' not found").into());
                }
                if !root.starts_with("hd") {
                    return Err(not_understood(format!(
                        "`$root` is `{root}`, where the loader would look for its own files"
                    )));
                }
                let how = format!("chainloader {path} of ({root})");
                self.loads(Loaded::Disk { how })
            }
        }
    }

    fn loads(&mut self, loaded: Loaded) -> CommandResult {
        self.loaded = Some(loaded);
        DONE
    }

    /// Resolves a name: `(device)path`, or a path on `$root`.
    ///
    /// # Errors
    /// When the device does not exist. Source: GRUB, `grub-core/net/net.c`, `grub_net_open_real`.
    pub(super) fn place(&self, name: &str) -> Result<FileLocation, String> {
        let root = self.variable("root").trim_matches(['(', ')']);
        let (device, path) = match name.strip_prefix('(').and_then(|it| it.split_once(')')) {
            Some(found) => found,
            None => (root, name),
        };
        let (protocol, server) = device.split_once(',').unwrap_or((device, ""));
        let server = match server {
            "" => self.variable("net_default_server"),
            server => server,
        };
        let not_found = || format!("disk `{device}' not found");
        match protocol {
            "tftp" => {
                let address = server.split(':').next().unwrap_or_default();
                let server: Ipv4Addr = address.parse().map_err(|_| not_found())?;
                let name = path.to_owned();
                Ok(FileLocation::Network(BootFile { server, name }))
            }
            "http" if self.machine.has_http => {
                let path = path.trim_start_matches('/');
                Ok(FileLocation::Network(BootFile {
                    server: Ipv4Addr::UNSPECIFIED,
                    name: format!("http://{server}/{path}"),
                }))
            }
            protocol if protocol.starts_with("hd") => Ok(FileLocation::Disk(path.to_owned())),
            _ => Err(not_found()),
        }
    }
}
