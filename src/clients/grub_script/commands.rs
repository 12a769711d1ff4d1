use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::interpreter::{Fetch, Interpreter, Loaded, Status};
use super::pattern::Pattern;
use super::{GrubStep, Purpose};
use crate::clients::dhcp::BootFile;

/// What a command leads to.
pub(super) enum GrubEffect {
    /// It is done, well or not.
    Done(Status),
    /// The caller sees a step, and then it is done.
    Show(GrubStep),
    /// A file is needed.
    Fetch(Fetch),
    /// An address is needed.
    AskForAddress,
    /// The innermost function ends.
    Return,
    /// Everything ends.
    End(GrubStep),
    /// It is not known here.
    NotUnderstood(String),
}

/// Where a name of GRUB leads.
pub(super) enum FileLocation {
    /// A file of a server.
    Network(BootFile),
    /// A path on a local disk.
    Disk(String),
}

/// The fault of a command line that this model does not know, beside those that GRUB itself reports.
enum CommandError {
    Failed(String),
    NotUnderstood(String),
}

impl From<String> for CommandError {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

type CommandResult = Result<GrubEffect, CommandError>;

const DONE: CommandResult = Ok(GrubEffect::Done(Ok(())));

impl Interpreter {
    /// Runs one command.
    pub(super) fn run(&mut self, name: &str, arguments: &[String]) -> GrubEffect {
        match self.try_run(name, arguments) {
            Ok(outcome) => outcome,
            Err(CommandError::Failed(reason)) => GrubEffect::Done(Err(reason)),
            Err(CommandError::NotUnderstood(reason)) => GrubEffect::NotUnderstood(reason),
        }
    }

    fn try_run(&mut self, name: &str, arguments: &[String]) -> CommandResult {
        match name {
            "set" => self.set_command(arguments),
            "unset" => {
                for name in arguments {
                    self.forget(name);
                }
                DONE
            }
            "export" => {
                for name in arguments {
                    if let Some(context) = self.contexts.last_mut() {
                        let entry = context.variables.entry(name.clone()).or_default();
                        entry.1 = true;
                    }
                }
                DONE
            }
            "echo" => {
                let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let begin = words.iter().take_while(|it| ["-n", "-e"].contains(it));
                let text = words[begin.count()..].join(" ");
                Ok(GrubEffect::Show(GrubStep::Print(text)))
            }
            "sleep" => {
                let seconds = arguments.iter().rfind(|word| !word.starts_with('-'));
                let seconds = seconds.and_then(|word| word.parse().ok());
                let seconds = seconds.ok_or_else(|| "unrecognized number".to_owned())?;
                Ok(GrubEffect::Show(GrubStep::Wait(Duration::from_secs(
                    seconds,
                ))))
            }
            "true" => DONE,
            "false" => Ok(GrubEffect::Done(Err(String::new()))),
            "test" => self.test(arguments),
            "[" => match arguments.split_last() {
                Some((last, rest)) if last == "]" => self.test(rest),
                _ => Err("unmatched [".to_owned().into()),
            },
            "regexp" => self.regexp(arguments),
            "smbios" => self.smbios(arguments),
            "search" => self.search(arguments),
            "configfile" => self.fetch_one(arguments, Purpose::Configuration),
            "source" | "." => self.fetch_one(arguments, Purpose::Source),
            "linux" | "linuxefi" | "linux16" => self.linux(arguments),
            "initrd" | "initrdefi" | "initrd16" => self.initrd(arguments),
            "chainloader" => self.chainloader(arguments),
            "boot" => Ok(GrubEffect::Done(self.start())),
            "net_bootp" | "net_dhcp" => Ok(GrubEffect::AskForAddress),
            "return" => Ok(GrubEffect::Return),
            "exit" => Ok(GrubEffect::End(GrubStep::Exit)),
            "reboot" => Ok(GrubEffect::End(GrubStep::Reboot)),
            "halt" => Ok(GrubEffect::End(GrubStep::PowerOff)),
            // They change the console, or load what Debian's image has built in.
            "insmod" | "serial" | "terminal_input" | "terminal_output" | "loadfont" | "clear"
            | "background_color" | "background_image" => DONE,
            name => Err(not_understood(format!("`{name}` is not understood"))),
        }
    }

    fn set_command(&mut self, arguments: &[String]) -> CommandResult {
        match arguments {
            [] => DONE,
            [word] => match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    self.set(name, value.to_owned());
                    DONE
                }
                _ => Err("not an assignment".to_owned().into()),
            },
            // GRUB takes the first word alone; who wrote the others meant them.
            _ => Err(not_understood(
                "`set` has several words: quotes are missing".into(),
            )),
        }
    }

    /// Source: GRUB, `grub-core/commands/regexp.c`.
    fn regexp(&mut self, arguments: &[String]) -> CommandResult {
        let mut wanted = Vec::new();
        let mut words = arguments.iter();
        let mut plain = Vec::new();
        while let Some(word) = words.next() {
            let value = match word.as_str() {
                "--set" | "-s" => words.next().map(String::as_str),
                word => match word.strip_prefix("--set=") {
                    Some(value) => Some(value),
                    None => {
                        plain.push(word);
                        continue;
                    }
                },
            };
            let value = value.ok_or_else(|| "missing mandatory option for `set'".to_owned())?;
            let (number, name) = value.split_once(':').unwrap_or(("1", value));
            let number: usize = number
                .parse()
                .map_err(|_| "unrecognized number".to_owned())?;
            wanted.push((number, name.to_owned()));
        }
        let [pattern, text] = plain.as_slice() else {
            return Err("two arguments expected".to_owned().into());
        };
        let pattern = Pattern::parse(pattern).map_err(not_understood)?;
        match pattern.find(text).map_err(not_understood)? {
            None => Ok(GrubEffect::Done(Err(String::new()))),
            Some(groups) => {
                for (number, name) in wanted {
                    match groups.get(number) {
                        Some(Some(text)) => self.set(&name, text.clone()),
                        _ => self.forget(&name),
                    }
                }
                DONE
            }
        }
    }

    /// Source: GRUB, `grub-core/commands/smbios.c`.
    fn smbios(&mut self, arguments: &[String]) -> CommandResult {
        let mut options = std::collections::BTreeMap::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (word.as_str(), words.next().cloned().unwrap_or_default()),
            };
            let name = match name {
                "-t" => "--type",
                "-u" => "--get-uuid",
                "-s" => "--get-string",
                other => other,
            };
            options.insert(name.to_owned(), value);
        }
        let option = |name: &str| options.get(name).map(String::as_str);
        let machine = &self.machine;
        let value = match (
            option("--type"),
            option("--get-uuid"),
            option("--get-string"),
        ) {
            (Some("1"), Some("8"), None) => machine.uuid.map(|uuid| uuid.to_string()),
            (Some("1"), None, Some("7")) => machine.serial.clone(),
            (Some("3"), None, Some("8")) => machine.asset.clone(),
            _ => {
                let seen = arguments.join(" ");
                return Err(not_understood(format!("`smbios {seen}` is not understood")));
            }
        };
        let value = value.ok_or_else(|| "no structure matched".to_owned())?;
        match option("--set") {
            Some(name) => {
                self.set(name, value);
                DONE
            }
            None => Ok(GrubEffect::Show(GrubStep::Print(value))),
        }
    }

    /// Source: GRUB, `grub-core/commands/search_wrap.c`.
    fn search(&mut self, arguments: &[String]) -> CommandResult {
        let mut variable = "root".to_owned();
        let mut by_file = false;
        let mut names = Vec::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--file" | "-f" => by_file = true,
                "--label" | "-l" | "--fs-uuid" | "-u" => by_file = false,
                "--set" => {}
                "-s" => variable = words.next().cloned().unwrap_or(variable),
                word if word.starts_with("--set=") => word[6..].clone_into(&mut variable),
                word if word.starts_with("--") => {}
                _ => names.push(word),
            }
        }
        let [name] = names.as_slice() else {
            return Err("one argument expected".to_owned().into());
        };
        let mut files = self.machine.disk_files.iter();
        if by_file && files.any(|file| file.eq_ignore_ascii_case(name)) {
            self.set(&variable, "hd0,gpt1".into());
            return DONE;
        }
        Err(format!("no such device: {name}").into())
    }

    fn fetch_one(&mut self, arguments: &[String], purpose: Purpose) -> CommandResult {
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

    fn linux(&mut self, arguments: &[String]) -> CommandResult {
        // Whatever was loaded is gone, also where this fails.
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

    fn initrd(&mut self, arguments: &[String]) -> CommandResult {
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

    /// Source: GRUB, `grub-core/loader/efi/chainloader.c`: the device handle that it hands on is that
    /// of `$root`.
    fn chainloader(&mut self, arguments: &[String]) -> CommandResult {
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
                        "`$root` is `{root}`, and the loader would look there for its own files"
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

    /// Reads a name: `(device)path`, or a path on `$root`.
    ///
    /// # Errors
    /// Where there is no such device. Source: GRUB, `grub-core/net/net.c`, `grub_net_open_real`.
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

fn not_understood(reason: String) -> CommandError {
    CommandError::NotUnderstood(reason)
}

impl Interpreter {
    fn test(&mut self, words: &[String]) -> CommandResult {
        // Only this one asks a server; `-e` and `-f` say no to whatever lies there.
        if let [option, name] = words
            && option == "-s"
        {
            return match self.place(name) {
                Ok(FileLocation::Network(_)) => {
                    self.fetch_one(std::slice::from_ref(name), Purpose::Test)
                }
                _ => Ok(GrubEffect::Done(Err(String::new()))),
            };
        }
        let is_there = |name: &str| match self.place(name) {
            Ok(FileLocation::Disk(path)) => self.machine.disk_files.contains(&path),
            _ => false,
        };
        match super::conditions::holds(words, &is_there) {
            Ok(true) => DONE,
            Ok(false) => Ok(GrubEffect::Done(Err(String::new()))),
            Err(reason) => Err(not_understood(reason)),
        }
    }
}
