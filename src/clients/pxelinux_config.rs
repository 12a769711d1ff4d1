//! PXELINUX configurations, as far as they boot machines without an operator.

use std::collections::BTreeMap;
use std::time::Duration;

/// A line that is not supported. PXELINUX itself skips unknown lines; a rehearsal that skips them would
/// prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, `{text}`: {reason}")]
pub struct UnsupportedLine {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// The reason.
    pub reason: String,
}

/// The outcome of a configuration without an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PxelinuxOutcome {
    /// The lines on the screen.
    pub screen: Vec<String>,
    /// The timeout.
    pub wait: Duration,
    /// The number of labels.
    pub labels: usize,
    /// The start after the timeout.
    pub start: Start,
}

/// What PXELINUX starts. Names are as in the configuration: see [`file_name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A kernel.
    Kernel {
        /// Its file.
        kernel: String,
        /// Its command line.
        arguments: String,
        /// Its initrds, in order.
        initrds: Vec<String>,
    },
    /// One of its own modules.
    Module {
        /// Its file.
        file: String,
        /// Its arguments.
        arguments: String,
    },
    /// Another boot program, such as a second PXE loader.
    Program {
        /// Its file.
        file: String,
    },
    /// The local disk, by a type number: -1 returns to the BIOS.
    LocalDisk(i32),
    /// Nothing: it waits for an operator.
    NeedsOperator(String),
    /// Nothing: it requests a missing file of this name again and again.
    Nothing(String),
}

/// A parsed configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PxelinuxConfig {
    screen: Vec<String>,
    default: Option<String>,
    on_timeout: Option<String>,
    prompts: bool,
    /// In tenths of a second; 0 is unlimited.
    timeout: u64,
    total_timeout: u64,
    /// Whether a word that is not a label is the name of a kernel.
    implicit: Option<bool>,
    append: String,
    labels: BTreeMap<String, Label>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Label {
    action: Option<Action>,
    append: Option<String>,
    initrds: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// A file whose suffix determines its kind.
    Kernel(String),
    Linux(String),
    Module(String),
    Program(String),
    LocalDisk(i32),
}

impl PxelinuxConfig {
    /// Parses a configuration.
    ///
    /// # Errors
    /// The first line that is not supported.
    ///
    /// Source: syslinux, `com32/elflink/ldlinux/readconfig.c`, `parse_config_file`.
    pub fn parse(text: &str) -> Result<Self, UnsupportedLine> {
        let mut config = Self::default();
        let mut current: Option<String> = None;
        let mut in_help = false;
        for (index, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            let (keyword, rest) = match trimmed.split_once([' ', '\t']) {
                Some((keyword, rest)) => (keyword, rest.trim()),
                None => (trimmed, ""),
            };
            let keyword = keyword.to_ascii_lowercase();
            let refuse = |reason: String| UnsupportedLine {
                line: index + 1,
                text: trimmed.to_owned(),
                reason,
            };
            if in_help {
                in_help = keyword != "endtext";
                continue;
            }
            let number = || {
                let number = rest.parse::<u64>();
                number.map_err(|_| refuse(format!("`{rest}` is not a number")))
            };
            let file = || match rest {
                "" => Err(refuse("a file is missing".into())),
                rest => Ok(rest.to_owned()),
            };
            let label = current.as_ref().and_then(|it| config.labels.get_mut(it));
            let act = |action: Action| match label {
                Some(label) => {
                    label.action = Some(action);
                    Ok(())
                }
                None => Err(refuse("the line must follow a `LABEL`".into())),
            };
            match keyword.as_str() {
                "" => {}
                word if word.starts_with('#') => {}
                "say" => config.screen.push(say_text(line)),
                "default" => config.default = Some(rest.to_owned()),
                "ontimeout" => config.on_timeout = Some(rest.to_owned()),
                "prompt" => config.prompts = number()? != 0,
                "timeout" => config.timeout = number()?,
                "totaltimeout" => config.total_timeout = number()?,
                "implicit" => config.implicit = Some(number()? != 0),
                // These concern the keyboard.
                "noescape" | "nocomplete" | "allowoptions" => {
                    number()?;
                }
                // These concern missing files; in the model, no file is missing.
                "onerror" => {
                    file()?;
                }
                // These concern the display.
                "serial" | "console" | "display" | "font" | "kbdmap" => {}
                "menu" => {}
                "text" => in_help = true,
                "label" => {
                    current = Some(rest.to_owned());
                    config.labels.entry(rest.to_owned()).or_default();
                }
                "kernel" => act(Action::Kernel(file()?))?,
                "linux" => act(Action::Linux(file()?))?,
                "com32" => act(Action::Module(file()?))?,
                "pxe" | "boot" | "bss" => act(Action::Program(file()?))?,
                "localboot" => {
                    let how = rest.parse();
                    act(Action::LocalDisk(
                        how.map_err(|_| refuse(format!("`{rest}` is not a number")))?,
                    ))?;
                }
                "append" => {
                    let text = if rest == "-" { "" } else { rest };
                    match current.as_ref().and_then(|it| config.labels.get_mut(it)) {
                        Some(label) => label.append = Some(text.to_owned()),
                        None => text.clone_into(&mut config.append),
                    }
                }
                "initrd" => {
                    let files = file()?;
                    match current.as_ref().and_then(|it| config.labels.get_mut(it)) {
                        Some(label) => label.initrds = list(&files),
                        None => return Err(refuse("the line must follow a `LABEL`".into())),
                    }
                }
                other => return Err(refuse(format!("`{other}` is not supported"))),
            }
        }
        Ok(config)
    }

    /// Returns the value of `DEFAULT`; empty without it.
    pub fn default_label(&self) -> &str {
        self.default.as_deref().unwrap_or_default()
    }

    /// Returns the outcome for a machine without an operator.
    ///
    /// Source: syslinux, `com32/elflink/ldlinux/ldlinux.c`, `load_kernel`, `enter_cmdline`; `cli.c`,
    /// `edit_cmdline`.
    pub fn outcome(&self) -> PxelinuxOutcome {
        let tenths = |tenths: u64| Duration::from_millis(tenths.saturating_mul(100));
        let outcome = |wait, start| PxelinuxOutcome {
            screen: self.screen.clone(),
            wait,
            labels: self.labels.len(),
            start,
        };
        let default = self.default_label();
        if default.is_empty() && !self.prompts {
            let prompt = "its prompt: there is no `DEFAULT`".to_owned();
            return outcome(Duration::ZERO, Start::NeedsOperator(prompt));
        }
        if !self.prompts {
            return outcome(Duration::ZERO, self.command_line(default));
        }
        let times = [self.timeout, self.total_timeout];
        let wait = times.into_iter().filter(|time| *time > 0).min();
        match wait {
            Some(wait) => {
                let command = self.on_timeout.as_deref().unwrap_or(default);
                outcome(tenths(wait), self.command_line(command))
            }
            None => {
                let prompt = "its prompt: there is no `TIMEOUT`".to_owned();
                outcome(Duration::ZERO, Start::NeedsOperator(prompt))
            }
        }
    }

    /// Runs a label or, unless `IMPLICIT 0` forbids it, the file of that name, with further words.
    fn command_line(&self, command: &str) -> Start {
        let (name, more) = match command.split_once([' ', '\t']) {
            Some((name, more)) => (name, more.trim()),
            None => (command, ""),
        };
        let implicit = Label {
            action: Some(Action::Kernel(name.to_owned())),
            ..Label::default()
        };
        let label = match self.labels.get(name) {
            Some(label) => label,
            None if self.implicit.unwrap_or(true) && !name.is_empty() => &implicit,
            None => return Start::Nothing(name.to_owned()),
        };
        let append = label.append.as_ref().unwrap_or(&self.append);
        let words = [append.as_str(), more].into_iter();
        let words: Vec<&str> = words.flat_map(str::split_whitespace).collect();
        let arguments = words.join(" ");
        // A label without a file loads the file of its own name.
        let action = label.action.clone();
        match action.unwrap_or_else(|| Action::Kernel(name.to_owned())) {
            Action::LocalDisk(how) => Start::LocalDisk(how),
            Action::Module(file) => Start::Module { file, arguments },
            Action::Program(file) => Start::Program { file },
            Action::Linux(kernel) => kernel_with(kernel, arguments, label),
            Action::Kernel(file) => match ending(&file) {
                "c32" => Start::Module { file, arguments },
                "0" | "bin" | "bs" | "bss" => Start::Program { file },
                _ => kernel_with(file, arguments, label),
            },
        }
    }
}

/// Returns the name that PXELINUX requests for a file: below its prefix, unless it starts with `::`. A
/// leading slash does not make it absolute. A URL is unchanged.
///
/// Source: syslinux, `core/fs/pxe/pxe.c`, `pxe_searchdir`, `pxe_mangle_name`; the requests of 6.04.
pub fn file_name(prefix: &str, name: &str) -> String {
    match name.strip_prefix("::") {
        Some(absolute) => absolute.to_owned(),
        None if super::url::is_absolute(name) => name.to_owned(),
        None => format!("{prefix}{name}"),
    }
}

/// Returns a kernel with the initrds of its label, or else of its arguments.
fn kernel_with(kernel: String, arguments: String, label: &Label) -> Start {
    let mut initrds = label.initrds.clone();
    let mut arguments = arguments;
    if initrds.is_empty() {
        let mut words = arguments.split_whitespace().rev();
        let named = words.find_map(|word| word.strip_prefix("initrd="));
        initrds = named.map(list).unwrap_or_default();
    } else {
        let blank = if arguments.is_empty() { "" } else { " " };
        arguments = format!("{arguments}{blank}initrd={}", initrds.join(","));
    }
    Start::Kernel {
        kernel,
        arguments,
        initrds,
    }
}

fn list(files: &str) -> Vec<String> {
    let files = files.split(',').filter(|file| !file.is_empty());
    files.map(str::to_owned).collect()
}

fn ending(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Returns the text after `SAY` and one blank.
fn say_text(line: &str) -> String {
    let line = line.trim_start();
    line.get(4..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
