//! PXELINUX: its core module, its configuration, and what that starts.

use super::firmware::{LARGEST_KEPT, StartedLoader, describe_download};
use super::outcome::BootOutcome;
use super::player::{
    Player, hold_reason, is_hold_screen, menu_timeout, script_error, shown_message,
};
use crate::clients::dhcp::BootFile;
use crate::clients::pxelinux::Pxelinux;
use crate::clients::pxelinux_config::{PxelinuxConfig, PxelinuxOutcome, Start, file_name};
use crate::loader::module_needs;
use crate::rehearse::report::{ChainFailure, Reach, StepError};
use crate::rehearse::tftp::TftpClient;
use crate::wire::path::shown_path;

impl Player<'_> {
    /// PXELINUX finds its configuration and follows it.
    pub(super) fn run_pxelinux(
        &mut self,
        started: &StartedLoader,
        reach: Reach,
    ) -> Result<BootOutcome, ChainFailure> {
        self.tftp_client = TftpClient::PXELINUX;
        let pxelinux = Pxelinux::after_pxe(&started.replies.for_pxelinux(), self.mac());
        let requests = pxelinux.requests(self.rom.architecture().firmware());
        let text = self.step("pxelinux", |player| {
            let (file, downloaded, count) =
                player.request_files(&requests, TftpClient::PXELINUX)?;
            let text = String::from_utf8_lossy(&downloaded.content).into_owned();
            let name = shown_path(&file.name);
            let message = shown_message(&text, "SAY pxectl: ").unwrap_or("its configuration");
            let detail = format!("requests {count} files; {name}: {message}");
            Ok((text, detail))
        })?;
        let config =
            PxelinuxConfig::parse(&text).map_err(|error| script_error(error.to_string()))?;
        let PxelinuxOutcome {
            screen,
            wait,
            labels,
            start,
        } = config.outcome();
        if labels > 1 && !wait.is_zero() {
            self.note("menu", menu_timeout(wait, config.default_label()));
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
            } => Ok(BootOutcome::Kernel {
                kernel: file(&kernel),
                arguments,
                initrds: match reach {
                    Reach::Script => Vec::new(),
                    Reach::Whole => initrds.iter().map(|name| file(name)).collect(),
                },
            }),
            Start::LocalDisk(how) => {
                let detail = format!("LOCALBOOT {how}: the BIOS tries its next boot entry");
                self.note("disk", detail);
                Ok(BootOutcome::LocalDisk)
            }
            Start::Module {
                file: module,
                arguments,
            } => {
                for name in [module.as_str()].iter().chain(module_needs(&module)) {
                    self.step("module", |player| player.load_module(&file(name)))?;
                }
                match module.as_str() {
                    _ if is_hold_screen(&screen) => Ok(BootOutcome::Hold(hold_reason(&screen))),
                    "chain.c32" if arguments.starts_with("hd") => {
                        self.note("disk", format!("{module} {arguments}"));
                        Ok(BootOutcome::LocalDisk)
                    }
                    module => {
                        let reason = format!("PXELINUX ended with `{module} {arguments}`");
                        Err(script_error(reason))
                    }
                }
            }
            other => {
                let screen = screen.join(" / ");
                let reason = format!("PXELINUX ended with {other:?}; screen: {screen}");
                Err(script_error(reason))
            }
        }
    }

    /// Downloads a module; PXELINUX requests a missing module again and again.
    fn load_module(&mut self, file: &BootFile) -> Result<((), String), StepError> {
        let name = shown_path(&file.name);
        let downloaded = self
            .fetch(file, TftpClient::PXELINUX, LARGEST_KEPT)
            .map_err(|error| {
                StepError::new(format!("`{name}`: {error}")).help(
                    "put PXELINUX's modules into a directory of `server.files`; on Debian, install `syslinux-common`",
                )
            })?;
        Ok(((), describe_download(&name, &downloaded)))
    }
}
