//! The servers that are compared, each with the same directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shared::link::{Link, SERVER, SERVER_INTERFACE, SUBNET};
use crate::shared::program::find;

/// A server that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Pxectl,
    Dnsmasq,
    TftpdHpa,
    Atftpd,
    RsTftpd,
    /// Another build of ours, such as one from before a change.
    Baseline,
}

impl Server {
    /// Those to compare, in this order.
    pub const ALL: [Self; 6] = [
        Self::Dnsmasq,
        Self::TftpdHpa,
        Self::Atftpd,
        Self::RsTftpd,
        Self::Baseline,
        Self::Pxectl,
    ];

    /// Returns its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pxectl => "pxectl serve tftp",
            Self::Dnsmasq => "dnsmasq",
            Self::TftpdHpa => "tftpd-hpa",
            Self::Atftpd => "atftpd",
            Self::RsTftpd => "rs-tftpd",
            Self::Baseline => "pxectl before",
        }
    }

    /// Finds its program, where it is installed.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Pxectl => Some(env!("CARGO_BIN_EXE_pxectl").into()),
            Self::Dnsmasq => find("dnsmasq"),
            // That of atftpd is another name of itself.
            Self::TftpdHpa => find("in.tftpd").filter(|path| !path.is_symlink()),
            Self::Atftpd => find("atftpd"),
            Self::RsTftpd => find("tftpd"),
            Self::Baseline => std::env::var_os("PXECTL_BENCH_BASELINE").map(PathBuf::from),
        }
    }

    /// Returns the command that serves `files` on the server's machine.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn command(
        self,
        link: &Link,
        program: &Path,
        directory: &Path,
        files: &Path,
    ) -> anyhow::Result<Command> {
        let mut command = link.on_server(program);
        match self {
            Self::Pxectl | Self::Baseline => {
                fs::write(directory.join("site.yaml"), site(files))?;
                command.arg("--inventory").arg(directory);
                command.arg("--state").arg(directory.join("state"));
                command.args(["serve", "tftp"]);
            }
            Self::Dnsmasq => {
                command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]);
                command.args([
                    "--user=root",
                    "--pid-file",
                    "--log-facility=-",
                    "--quiet-tftp",
                ]);
                command.args(["--enable-tftp", "--tftp-max=1000"]);
                command.arg(format!("--tftp-root={}", files.display()));
            }
            Self::TftpdHpa => {
                command.args(["--foreground", "--user", "root", "--secure", "--address"]);
                command.arg(format!("{SERVER}:69")).arg(files);
            }
            Self::Atftpd => {
                command.args([
                    "--daemon",
                    "--no-fork",
                    "--user=root.root",
                    "--maxthread=1000",
                ]);
                command.arg(format!("--bind-address={SERVER}"));
                command
                    .args(["--verbose=3", "--logfile=/dev/null"])
                    .arg(files);
            }
            Self::RsTftpd => {
                command.args(["-i", &SERVER.to_string(), "-p", "69", "-r", "-d"]);
                command.arg(files);
            }
        }
        Ok(command)
    }
}

fn site(files: &Path) -> String {
    let files = files.display();
    format!(
        "kind: Site\nname: bench\nserver:\n  address: {SERVER}\n  files: [{files}]\nnetworks:\n  \
         - name: prov0\n    subnet: {SUBNET}\n    interface: {SERVER_INTERFACE}\n\
         loaders: {{bios: one}}\n"
    )
}
