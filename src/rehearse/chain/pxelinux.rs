//! PXELINUX: its core module, its configuration, and what that starts.

use super::firmware::{LARGEST_KEPT, Started, described};
use super::install::Ended;
use super::{LOOK_AT_THE_SCRIPT, Player, Reach, Stopped, held, is_held, said, stop, waits};
use crate::clients::dhcp::BootFile;
use crate::clients::pxelinux::{Pxelinux, needs};
use crate::clients::pxelinux_config::{PxelinuxConfig, PxelinuxOutcome, Start, file_name};
use crate::rehearse::Stop;
use crate::rehearse::tftp::TftpClient;
use crate::wire::path::shown_path;

impl Player<'_> {
    /// PXELINUX looks for its configuration, and does what that says.
    pub(super) fn run_pxelinux(&mut self, started: &Started, reach: Reach) -> Result<Ended, Stop> {
        self.tftp_client = TftpClient::PXELINUX;
        let pxelinux = Pxelinux::after_pxe(&started.answers.for_pxelinux(), self.mac());
        let wanted = pxelinux.requests(self.rom.architecture().firmware());
        let text = self.step("pxelinux", |player| {
            let (file, fetched, asked) = player.asks_for(&wanted, TftpClient::PXELINUX)?;
            let text = String::from_utf8_lossy(&fetched.octets).into_owned();
            let name = shown_path(&file.name);
            let said = said(&text, "SAY pxectl: ").unwrap_or("its configuration");
            let detail = format!("asks for {asked} names; {name}: {said}");
            Ok((text, detail))
        })?;
        let config = PxelinuxConfig::parse(&text)
            .map_err(|error| stop("script", (error.to_string(), LOOK_AT_THE_SCRIPT.into())))?;
        let PxelinuxOutcome {
            screen,
            wait,
            labels,
            start,
        } = config.outcome();
        if labels > 1 && !wait.is_zero() {
            self.note("menu", waits(wait, config.default_label()));
        }
        let screen: Vec<String> = screen.iter().map(|it| it.trim().to_owned()).collect();
        let file = |name: &str| BootFile {
            server: pxelinux.server,
            name: file_name(&pxelinux.prefix, name),
        };
        match start {
            Start::Kernel {
                kernel,
                arguments,
                initrds,
            } => Ok(Ended::Boot {
                kernel: file(&kernel),
                arguments,
                initrds: match reach {
                    Reach::Script => Vec::new(),
                    Reach::Whole => initrds.iter().map(|name| file(name)).collect(),
                },
            }),
            Start::LocalDisk(how) => {
                let detail = format!("LOCALBOOT {how}: the BIOS goes on with its next boot entry");
                self.note("disk", detail);
                Ok(Ended::LocalDisk)
            }
            Start::Module {
                file: module,
                arguments,
            } => {
                for name in [module.as_str()].iter().chain(needs(&module)) {
                    self.step("module", |player| player.load_module(&file(name)))?;
                }
                match module.as_str() {
                    _ if is_held(&screen) => Ok(Ended::Hold(held(&screen))),
                    "chain.c32" if arguments.starts_with("hd") => {
                        self.note("disk", format!("{module} {arguments}"));
                        Ok(Ended::LocalDisk)
                    }
                    module => {
                        let reason = format!("PXELINUX ended with `{module} {arguments}`");
                        Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())))
                    }
                }
            }
            other => {
                let screen = screen.join(" / ");
                let reason = format!("PXELINUX ended with {other:?}; its screen: {screen}");
                Err(stop("script", (reason, LOOK_AT_THE_SCRIPT.into())))
            }
        }
    }

    /// Fetches a module; without one of them, PXELINUX asks again and again.
    fn load_module(&mut self, file: &BootFile) -> Result<((), String), Stopped> {
        let shown = shown_path(&file.name);
        let fetched = self.fetch(file, TftpClient::PXELINUX, LARGEST_KEPT);
        let fetched = fetched.map_err(|error| {
            let help = "put PXELINUX's modules into a directory of `server.files`; on Debian, the package `syslinux-common` has them";
            (format!("`{shown}`: {error}"), help.to_owned())
        })?;
        Ok(((), described(&shown, &fetched)))
    }
}
