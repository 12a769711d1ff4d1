//! The commands of scripts.

use std::time::Duration;

use super::effect::{CommandError, CommandResult, DONE, GrubEffect, not_understood};
use super::loading::FileLocation;
use super::pattern::Pattern;
use super::state::Interpreter;
use super::{GrubStep, Purpose};

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
            // These change the console, or load modules that Debian's image has built in.
            "insmod" | "serial" | "terminal_input" | "terminal_output" | "loadfont" | "clear"
            | "background_color" | "background_image" => DONE,
            name => Err(not_understood(format!("command `{name}` is not supported"))),
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
            // GRUB uses only the first word; the author meant the others, too.
            _ => Err(not_understood(
                "`set` has several words without quotes".into(),
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
                return Err(not_understood(format!("`smbios {seen}` is not supported")));
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
}

impl Interpreter {
    fn test(&mut self, words: &[String]) -> CommandResult {
        // Only `-s` requests a file; `-e` and `-f` are always false for network files.
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
