use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::sel::parse_sel;
use super::text::{IpmiText, SessionFailure, boot_arguments, power_arguments};
use crate::bmc::boot::BootTarget;
use crate::bmc::console::SolConsole;
use crate::bmc::context::TaskContext;
use crate::bmc::error::BmcError;
use crate::bmc::log::LogEntry;
use crate::bmc::power::PowerAction;
use crate::bmc::request::PlannedRequest;
use crate::bmc::status::MachineStatus;
use crate::machine::{Secret, cleaned};

pub(super) const PROGRAM: &str = "ipmitool";

/// The time limit of one command: opening a session, and one request with its retries.
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// The number of output bytes to keep. An event log of 16,000 entries fits.
const OUTPUT_LIMIT: u64 = 4 << 20;

/// The longest message of `ipmitool` to show, in bytes.
const MESSAGE_LIMIT: usize = 200;

/// The cipher suites to try, in order: HMAC-SHA256 with AES, then HMAC-SHA1 with AES for BMCs from
/// before 2010. Source: IPMI 2.0 revision 1.1 §22.15.2.
const CIPHER_SUITES: [&str; 2] = ["17", "3"];

/// Runs `ipmitool` against one BMC.
///
/// The password goes through the environment (`IPMI_PASSWORD` with `-E`), never through an
/// argument.
pub struct IpmiClient {
    context: Arc<TaskContext>,
    host: String,
    port: u16,
    username: String,
    password: Secret,
    /// The index into [`CIPHER_SUITES`]; the suites before it failed.
    cipher_suite: usize,
}

/// The output of a command that opened a session.
struct CommandOutput {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl IpmiClient {
    /// Prepares the connection to a BMC without sending anything.
    pub fn new(
        context: Arc<TaskContext>,
        host: String,
        port: u16,
        username: String,
        password: Secret,
    ) -> Self {
        context.mask_password(&password);
        Self {
            context,
            host,
            port,
            username,
            password,
            cipher_suite: 0,
        }
    }

    /// Reads the status of the machine: power, identity (FRU, GUID) and boot flags.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn machine(&mut self) -> Result<MachineStatus, BmcError> {
        let status = self.run_checked(&["chassis", "status"]).await?;
        let power = IpmiText::new(&status)
            .power()
            .ok_or_else(|| malformed("chassis status", "no line `System Power`"))?;
        // Some BMCs lack the rest. A machine without an identity is not refused.
        let boot = self.run(&["chassis", "bootparam", "get", "5"]).await?;
        let guid = self.run(&["mc", "guid"]).await?;
        let fru_output = self.run(&["fru", "print", "0"]).await?;
        let fru = IpmiText::new(&fru_output.stdout);
        let mut manufacturer =
            fru.field(&["Product Manufacturer", "Board Mfg", "Chassis Manufacturer"]);
        if manufacturer.is_none() {
            let info = self.run(&["mc", "info"]).await?;
            manufacturer = IpmiText::new(&info.stdout).field(&["Manufacturer Name"]);
        }
        Ok(MachineStatus {
            power,
            manufacturer,
            model: fru.field(&["Product Name", "Board Product"]),
            serial: fru.field(&["Product Serial", "Chassis Serial"]),
            uuid: IpmiText::new(&guid.stdout).guid(),
            boot: IpmiText::new(&boot.stdout).boot().unwrap_or_default(),
            ..MachineStatus::default()
        })
    }

    /// Sends one power command without waiting for its effect. Under `--dry-run`, records it
    /// instead.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn change_power(&mut self, action: PowerAction) -> Result<(), BmcError> {
        self.change(&power_arguments(action)).await
    }

    /// Sets a one-time boot device and reads it back. `uefi` says whether the firmware is UEFI.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn set_boot(&mut self, target: &BootTarget, uefi: bool) -> Result<(), BmcError> {
        let Some((arguments, expected)) = boot_arguments(target, uefi) else {
            let message = "IPMI does not support HTTP boot".to_owned();
            return Err(BmcError::Unsupported { message });
        };
        self.change(&arguments).await?;
        if self.context.dry_run {
            return Ok(());
        }
        let output = self
            .run_checked(&["chassis", "bootparam", "get", "5"])
            .await?;
        let boot = IpmiText::new(&output)
            .boot()
            .ok_or_else(|| malformed("chassis bootparam get 5", "no boot flags"))?;
        // The mode is not compared: pyghmi and some Supermicro boards drop the EFI flag, and
        // firmware in UEFI mode follows its own setup.
        let actual = match boot.enabled.as_deref() {
            Some("Disabled") => "not valid".to_owned(),
            _ => boot.target.unwrap_or_default(),
        };
        if actual == expected {
            return Ok(());
        }
        Err(BmcError::NotApplied {
            property: "the boot device".to_owned(),
            expected: expected.to_owned(),
            actual,
        })
    }

    /// Reads the system event log, in the order of the BMC.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn sel(&mut self) -> Result<Vec<LogEntry>, BmcError> {
        // Finds the cipher suite, and fails if there is no log.
        self.run_checked(&["sel", "info"]).await?;
        // Verbose output repeats the date in the place of the time.
        let output = self.run_once(&["-c"], &["sel", "list"]).await?;
        if !output.status.success() {
            return Err(self.failed(&["sel", "list"], &output));
        }
        Ok(parse_sel(&self.context.masked(&output.stdout)))
    }

    /// Prepares a console over the serial port of the machine (serial over LAN). With `take_over`,
    /// ends another session on it first.
    ///
    /// # Errors
    /// [`BmcError::NoConsole`] when serial over LAN is disabled; otherwise see [`BmcError`].
    pub async fn sol_console(&mut self, take_over: bool) -> Result<SolConsole, BmcError> {
        let info = self.run(&["sol", "info"]).await?;
        if IpmiText::new(&info.stdout).sol_enabled() == Some(false) {
            return Err(BmcError::NoConsole {
                message: "serial over LAN is disabled on the BMC".to_owned(),
                help: "enable it on the web page of the BMC, or run `ipmitool … sol set enabled \
                       true`"
                    .to_owned(),
            });
        }
        if take_over {
            // The BMC refuses this if there is no other session.
            self.run(&["sol", "deactivate"]).await?;
        }
        Ok(SolConsole {
            host: self.host.clone(),
            port: self.port,
            username: self.username.clone(),
            password: self.password.clone(),
            cipher_suite: CIPHER_SUITES[self.cipher_suite],
        })
    }

    /// Runs a command that changes something. Under `--dry-run`, records it instead.
    async fn change(&mut self, arguments: &[&str]) -> Result<(), BmcError> {
        if self.context.dry_run {
            self.context.plan(PlannedRequest {
                method: PROGRAM.to_owned(),
                path: arguments.join(" "),
                body: None,
            });
            return Ok(());
        }
        self.run_checked(arguments).await.map(drop)
    }

    /// Runs a command that must succeed, and returns its output.
    async fn run_checked(&mut self, arguments: &[&str]) -> Result<String, BmcError> {
        let output = self.run(arguments).await?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(self.failed(arguments, &output))
        }
    }

    fn failed(&self, arguments: &[&str], output: &CommandOutput) -> BmcError {
        let command = format!("{PROGRAM} {}", arguments.join(" "));
        BmcError::Program {
            message: format!("`{command}` failed: {}", self.last_message(output)),
            help: format!("run `{command}` by hand for more detail"),
        }
    }

    /// Runs a command with the first cipher suite that the BMC supports.
    async fn run(&mut self, arguments: &[&str]) -> Result<CommandOutput, BmcError> {
        loop {
            // Only verbose output explains why a session cannot be opened.
            let output = self.run_once(&["-v"], arguments).await?;
            if output.status.success() {
                return Ok(output);
            }
            let Some(failure) = SessionFailure::parse(&output.stderr) else {
                return Ok(output);
            };
            let url = format!("ipmi://{}:{}", self.host, self.port);
            let username = self.username.clone();
            return Err(match failure {
                SessionFailure::Credentials => BmcError::LoginFailed { url, username },
                SessionFailure::Privilege => BmcError::NotAllowed {
                    username,
                    action: "open an administrator session over LAN".to_owned(),
                },
                SessionFailure::CipherSuite if self.cipher_suite + 1 < CIPHER_SUITES.len() => {
                    self.cipher_suite += 1;
                    continue;
                }
                SessionFailure::Unreachable | SessionFailure::CipherSuite => {
                    BmcError::Unreachable {
                        url,
                        reason: self.last_message(&output),
                    }
                }
            });
        }
    }

    async fn run_once(
        &self,
        format: &[&str],
        arguments: &[&str],
    ) -> Result<CommandOutput, BmcError> {
        let time_limit = self
            .context
            .remaining()
            .unwrap_or_default()
            .min(COMMAND_TIME);
        let mut command = std::process::Command::new(PROGRAM);
        command
            .args(format)
            .args(["-I", "lanplus", "-E", "-N", "2", "-R", "3"])
            .args(["-C", CIPHER_SUITES[self.cipher_suite], "-H", &self.host])
            .args(["-p", &self.port.to_string(), "-U", &self.username])
            .args(arguments);
        restrict_environment(&mut command, &self.password);
        let mut command = Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BmcError::Program {
                message: format!("`{PROGRAM}` is not installed"),
                help: format!(
                    "install the package `{PROGRAM}`, or use Redfish: `bmc.url: https://…`"
                ),
            },
            _ => cannot_run(&error, "check `PATH`"),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let running = async {
            let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
            Ok::<_, std::io::Error>(CommandOutput {
                stdout: stdout?,
                stderr: stderr?,
                status: child.wait().await?,
            })
        };
        match tokio::time::timeout(time_limit, running).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(cannot_run(&error, "run the same command again")),
            Err(_) => Err(BmcError::Deadline {
                activity: format!("running `{PROGRAM} {}`", arguments.join(" ")),
                time_limit,
            }),
        }
    }

    /// Returns the last line that a command printed, without the password.
    fn last_message(&self, output: &CommandOutput) -> String {
        let mut lines = output.stderr.lines().chain(output.stdout.lines());
        let is_useful =
            |line: &&str| !line.trim().is_empty() && !line.contains("Unable to establish");
        let message = lines.rfind(is_useful).unwrap_or("no session");
        cleaned(&self.context.printable(message), MESSAGE_LIMIT)
    }
}

/// Gives `ipmitool` the password, and keeps its own variables and the secrets of other programs away
/// from it. Its times are in UTC.
pub(super) fn restrict_environment(command: &mut std::process::Command, password: &Secret) {
    let inherited = ["PATH", "TERM"].map(|name| (name, std::env::var_os(name)));
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for (name, value) in inherited {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("IPMI_PASSWORD", password.expose());
}

/// Reads a pipe to its end and keeps the first [`OUTPUT_LIMIT`] bytes.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut bytes)
            .await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn malformed(command: &str, reason: &str) -> BmcError {
    BmcError::Malformed {
        path: format!("{PROGRAM} {command}"),
        reason: reason.to_owned(),
    }
}

fn cannot_run(error: &std::io::Error, help: &str) -> BmcError {
    BmcError::Program {
        message: format!("cannot run `{PROGRAM}`: {error}"),
        help: help.to_owned(),
    }
}
