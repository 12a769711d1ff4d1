//! The commands of scripts.

use std::time::Duration;

use super::arguments::{Arguments, Flag, number};
use super::state::{Fetch, Image, Interpreter, IpxeEffect, Status};
use super::{IpxeStep, Purpose};
use crate::clients::url;

/// The options of the commands that load files.
const IMAGE: [Flag; 5] = [
    ("name", 'n', true),
    ("timeout", 't', true),
    ("quiet", 'q', false),
    ("autofree", 'a', false),
    ("replace", 'r', false),
];

impl Interpreter {
    /// Runs one command whose settings are expanded; an empty one succeeds.
    pub(super) fn run(&mut self, words: &[String]) -> IpxeEffect {
        let Some((name, arguments)) = words.split_first() else {
            return IpxeEffect::Done(Ok(()));
        };
        self.try_run(name, arguments, words)
            .unwrap_or_else(|reason| IpxeEffect::Done(Err(format!("{name}: {reason}"))))
    }

    fn try_run(
        &mut self,
        name: &str,
        arguments: &[String],
        words: &[String],
    ) -> Result<IpxeEffect, String> {
        let plain = || Arguments::parse(arguments, &[]);
        let whole = || words.join(" ");
        let done = IpxeEffect::Done(Ok(()));
        Ok(match name {
            "echo" => {
                let text = Arguments::parse(arguments, &[("n", 'n', false)])?
                    .rest
                    .join(" ");
                IpxeEffect::Show(IpxeStep::Print(text), Ok(()))
            }
            "set" => {
                let arguments = plain()?;
                let (name, value) = arguments.first_and_text()?;
                self.settings.set(name, value);
                done
            }
            "clear" => {
                self.settings.clear(plain()?.only()?);
                done
            }
            "inc" => {
                self.increment(&plain()?)?;
                done
            }
            "isset" => match plain()?.only()? {
                "" => return Err("the value is empty".to_owned()),
                _ => done,
            },
            "iseq" => match plain()?.rest.as_slice() {
                [a, b] if a == b => done,
                [a, b] => return Err(format!("`{a}` is not `{b}`")),
                words => {
                    let given = words.len();
                    return Err(format!("two arguments are required, found {given}"));
                }
            },
            "goto" => IpxeEffect::Goto(plain()?.only()?.to_owned()),
            "exit" => match plain()?.rest.as_slice() {
                [] => IpxeEffect::Leave(0),
                [code] => IpxeEffect::Leave(number(code)?),
                _ => return Err("only one exit code is allowed".to_owned()),
            },
            "sleep" => {
                let seconds = number(plain()?.only()?)?;
                IpxeEffect::Show(IpxeStep::Wait(Duration::from_secs(seconds.into())), Ok(()))
            }
            "prompt" => prompt(arguments, &whole())?,
            "menu" => self.menu(arguments)?,
            "item" => self.item(arguments)?,
            "choose" => self.choose(arguments, &whole())?,
            "chain" | "imgexec" | "boot" => self.chain(&Arguments::parse(arguments, &IMAGE)?)?,
            "kernel" | "imgselect" | "imgload" => {
                self.kernel(&Arguments::parse(arguments, &IMAGE[..4])?)?
            }
            "initrd" | "module" | "imgfetch" => {
                self.initrd(&Arguments::parse(arguments, &IMAGE[..4])?)?
            }
            "imgargs" => {
                let arguments = Arguments::parse(arguments, &IMAGE[..4])?;
                let (name, text) = arguments.first_and_text()?;
                self.image(name)?.arguments = text;
                done
            }
            "imgfree" => {
                self.free(&plain()?.rest)?;
                done
            }
            "sanboot" => IpxeEffect::End(IpxeStep::LocalDisk { how: whole() }),
            "reboot" => IpxeEffect::End(IpxeStep::Reboot),
            "poweroff" => IpxeEffect::End(IpxeStep::PowerOff),
            "shell" | "login" | "config" => {
                IpxeEffect::End(IpxeStep::NeedsOperator { command: whole() })
            }
            // The only network card of this model has its link and its address.
            "dhcp" | "ifconf" | "ifopen" | "ifclose" | "iflinkwait" | "ifstat" | "route"
            | "imgstat" | "console" | "colour" | "cpair" => done,
            _ => return Err("command not found".to_owned()),
        })
    }

    /// `chain` and its alias `boot`: the name of a loaded image, a URL, or nothing.
    fn chain(&mut self, arguments: &Arguments) -> Result<IpxeEffect, String> {
        let replace = arguments.option("replace").is_some();
        if arguments.rest.is_empty() {
            let selected = self.images.iter().find(|image| image.is_selected);
            let image = selected.ok_or("no image is selected")?;
            return Ok(IpxeEffect::Execute(image.clone(), replace));
        }
        let (target, text) = arguments.first_and_text()?;
        if let Ok(image) = self.image(target) {
            image.apply(arguments, text);
            return Ok(IpxeEffect::Execute(image.clone(), replace));
        }
        Ok(IpxeEffect::Fetch(Fetch {
            image: self.new_image(target, arguments, text),
            purpose: Purpose::Chain,
            replace,
        }))
    }

    fn kernel(&mut self, arguments: &Arguments) -> Result<IpxeEffect, String> {
        let (target, text) = arguments.first_and_text()?;
        if let Some(at) = self.images.iter().position(|image| image.name == target) {
            let mut image = self.images.remove(at);
            image.apply(arguments, text);
            self.select(image);
            return Ok(IpxeEffect::Done(Ok(())));
        }
        Ok(IpxeEffect::Fetch(Fetch {
            image: self.new_image(target, arguments, text),
            purpose: Purpose::Kernel,
            replace: false,
        }))
    }

    fn initrd(&mut self, arguments: &Arguments) -> Result<IpxeEffect, String> {
        let (target, text) = arguments.first_and_text()?;
        let image = self.new_image(target, arguments, text);
        Ok(IpxeEffect::Fetch(Fetch {
            purpose: Purpose::Initrd {
                name: image.name.clone(),
            },
            image,
            replace: false,
        }))
    }

    fn new_image(&self, target: &str, arguments: &Arguments, text: String) -> Image {
        let url = url::resolve(self.base(), target);
        let mut image = Image {
            name: url::file_name(&url).to_owned(),
            url,
            arguments: String::new(),
            is_selected: false,
            script: None,
        };
        image.apply(arguments, text);
        image
    }

    fn image(&mut self, name: &str) -> Result<&mut Image, String> {
        let mut images = self.images.iter_mut();
        images
            .find(|image| image.name == name)
            .ok_or_else(|| format!("no image is named `{name}`"))
    }

    /// `imgfree`: frees all images, or the named images.
    fn free(&mut self, names: &[String]) -> Status {
        if names.is_empty() {
            self.images.clear();
        }
        for name in names {
            self.image(name)?;
            self.images.retain(|image| image.name != *name);
        }
        Ok(())
    }

    fn increment(&mut self, arguments: &Arguments) -> Status {
        let (name, by) = arguments.first_and_text()?;
        let by = if by.is_empty() { 1 } else { number(&by)? };
        let value = self.settings.value(name).map(ToString::to_string);
        let value = number(value.as_deref().unwrap_or("0")).unwrap_or(0);
        self.settings.set(name, value.wrapping_add(by).to_string());
        Ok(())
    }
}

impl Image {
    /// Applies a name and a command line, if there are any.
    fn apply(&mut self, arguments: &Arguments, text: String) {
        if let Some(name) = arguments.option("name") {
            self.name = name.to_owned();
        }
        if !text.is_empty() {
            self.arguments = text;
        }
    }
}

/// Source: iPXE, `src/image/script.c`, `prompt_exec`.
fn prompt(arguments: &[String], command: &str) -> Result<IpxeEffect, String> {
    let arguments = Arguments::parse(arguments, &[("key", 'k', true), ("timeout", 't', true)])?;
    let milliseconds = number(arguments.option("timeout").unwrap_or("0"))?;
    Ok(match milliseconds {
        0 => IpxeEffect::End(IpxeStep::NeedsOperator {
            command: command.to_owned(),
        }),
        _ => IpxeEffect::Show(
            IpxeStep::Prompt {
                text: arguments.rest.join(" "),
                timeout: Duration::from_millis(milliseconds.into()),
            },
            Err("prompt: no key was pressed in time".to_owned()),
        ),
    })
}
