mod text;

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

pub use text::IpmiText;
use text::{NoSession, boot_words, power_words};

use super::{BmcError, BootTarget, Context, Machine, Planned, PowerVerb};
use crate::machine::{Secret, cleaned};

const PROGRAM: &str = "ipmitool";

/// The longest that one command may take: a session, and one request that is repeated.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of an answer; no command that is used prints a tenth of it.
const OUTPUT_LIMIT: u64 = 64 << 10;

/// HMAC-SHA256 with AES, then HMAC-SHA1 with AES, which controllers from before 2010 have.
/// Source: IPMI 2.0 revision 1.1 §22.15.2.
const SUITES: [&str; 2] = ["17", "3"];

/// A controller that speaks IPMI over the LAN, through the program `ipmitool`.
///
/// The password goes to it by the environment (`IPMI_PASSWORD` with `-E`), never as an argument.
pub struct Ipmi {
    context: Arc<Context>,
    host: String,
    port: u16,
    username: String,
    password: Secret,
    /// Which of [`SUITES`] is used; those before it did not do.
    suite: usize,
}

/// What a command printed, once a session came about.
struct Ran {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ipmi {
    /// Names a controller; nothing is sent yet.
    pub fn new(
        context: Arc<Context>,
        host: String,
        port: u16,
        username: String,
        password: Secret,
    ) -> Self {
        context.cover_password(&password);
        Self {
            context,
            host,
            port,
            username,
            password,
            suite: 0,
        }
    }

    /// Reads what the controller says of its machine: power, identity (FRU, GUID), boot options.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn machine(&mut self) -> Result<Machine, BmcError> {
        let status = self.must(&["chassis", "status"]).await?;
        let power = IpmiText::new(&status).power();
        let power = power.ok_or_else(|| malformed("chassis status", "no line `System Power`"))?;
        // Controllers may lack what follows; a machine that is not named is not refused for it.
        let boot = self.run(&["chassis", "bootparam", "get", "5"]).await?;
        let guid = self.run(&["mc", "guid"]).await?;
        let fru = self.run(&["fru", "print", "0"]).await?;
        let fru = IpmiText::new(&fru.stdout);
        let mut manufacturer =
            fru.field(&["Product Manufacturer", "Board Mfg", "Chassis Manufacturer"]);
        if manufacturer.is_none() {
            let info = self.run(&["mc", "info"]).await?;
            manufacturer = IpmiText::new(&info.stdout).field(&["Manufacturer Name"]);
        }
        Ok(Machine {
            power,
            manufacturer,
            model: fru.field(&["Product Name", "Board Product"]),
            serial: fru.field(&["Product Serial", "Chassis Serial"]),
            uuid: IpmiText::new(&guid.stdout).guid(),
            boot: IpmiText::new(&boot.stdout).boot().unwrap_or_default(),
            health: None,
            in_post: false,
        })
    }

    /// Sends one power command, without waiting for what comes of it. Under `--dry-run` it is noted
    /// in the context instead.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power(&mut self, verb: PowerVerb) -> Result<(), BmcError> {
        self.change(&power_words(verb)).await
    }

    /// Tells the machine what to boot next, once, and reads it back. `uefi` says whether its
    /// firmware is UEFI.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn boot(&mut self, target: &BootTarget, uefi: bool) -> Result<(), BmcError> {
        let Some((words, wanted)) = boot_words(target, uefi) else {
            let what = "IPMI has no word for HTTP boot".to_owned();
            return Err(BmcError::Unsupported { what });
        };
        self.change(&words).await?;
        if self.context.dry_run {
            return Ok(());
        }
        let read = self.must(&["chassis", "bootparam", "get", "5"]).await?;
        let boot = IpmiText::new(&read).boot();
        let boot = boot.ok_or_else(|| malformed("chassis bootparam get 5", "no boot flags"))?;
        // The mode is not compared: controllers drop the flag for EFI (pyghmi's, and
        // boards of Supermicro), and firmware that is set to UEFI goes by its own set-up.
        let seen = match boot.enabled.as_deref() {
            Some("Disabled") => "not valid".to_owned(),
            _ => boot.target.unwrap_or_default(),
        };
        if seen == wanted {
            return Ok(());
        }
        Err(BmcError::NotTaken {
            what: "the boot device".to_owned(),
            wanted: wanted.to_owned(),
            seen,
        })
    }

    /// Runs a command that changes something, or notes it under `--dry-run`.
    async fn change(&mut self, words: &[&str]) -> Result<(), BmcError> {
        if self.context.dry_run {
            self.context.plan(Planned {
                method: PROGRAM.to_owned(),
                path: words.join(" "),
                body: None,
            });
            return Ok(());
        }
        self.must(words).await.map(drop)
    }

    /// Runs a command that must end well, and returns what it printed.
    async fn must(&mut self, words: &[&str]) -> Result<String, BmcError> {
        let ran = self.run(words).await?;
        if ran.status.success() {
            return Ok(ran.stdout);
        }
        let help = format!("see what `{PROGRAM} {}` says by hand", words.join(" "));
        Err(program(self.said(&ran), help))
    }

    /// Runs a command with the first suite of ciphers that both sides know.
    async fn run(&mut self, words: &[&str]) -> Result<Ran, BmcError> {
        loop {
            let ran = self.run_once(words).await?;
            if ran.status.success() {
                return Ok(ran);
            }
            let Some(no_session) = NoSession::read(&ran.stderr) else {
                return Ok(ran);
            };
            let url = format!("ipmi://{}:{}", self.host, self.port);
            let username = self.username.clone();
            return Err(match no_session {
                NoSession::Credentials => BmcError::WrongPassword { url, username },
                NoSession::Privilege => BmcError::NotAllowed {
                    username,
                    what: "be an administrator over the LAN".to_owned(),
                },
                NoSession::Suite if self.suite + 1 < SUITES.len() => {
                    self.suite += 1;
                    continue;
                }
                NoSession::Unreachable | NoSession::Suite => BmcError::Unreachable {
                    url,
                    reason: self.said(&ran),
                },
            });
        }
    }

    async fn run_once(&self, words: &[&str]) -> Result<Ran, BmcError> {
        let doing = || format!("`{PROGRAM} {}`", words.join(" "));
        let late = |after| BmcError::Deadline {
            doing: doing(),
            after,
        };
        let time = self.context.left().unwrap_or_default().min(PATIENCE);
        let mut command = Command::new(PROGRAM);
        command
            // Its reasons for not getting a session stand in its verbose words only.
            .args(["-v", "-I", "lanplus", "-E", "-N", "2", "-R", "3"])
            .args(["-C", SUITES[self.suite], "-H", &self.host, "-p"])
            .args([&self.port.to_string(), "-U", &self.username])
            .args(words)
            // Its own variables, and the secrets of others, are none of its business.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LC_ALL", "C")
            .env("IPMI_PASSWORD", self.password.expose())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => program(
                "it is not installed".to_owned(),
                format!("install the package `{PROGRAM}`, or use Redfish: `bmc.url: https://…`"),
            ),
            _ => program(error.to_string(), "see `PATH`".to_owned()),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
            Ok::<_, std::io::Error>(Ran {
                stdout: stdout?,
                stderr: stderr?,
                status: child.wait().await?,
            })
        };
        match tokio::time::timeout(time, whole).await {
            Ok(Ok(ran)) => Ok(ran),
            Ok(Err(error)) => Err(program(error.to_string(), "run it again".to_owned())),
            Err(_) => Err(late(time)),
        }
    }

    /// The last line that a command had to say, without the password.
    fn said(&self, ran: &Ran) -> String {
        let mut lines = ran.stderr.lines().chain(ran.stdout.lines());
        let told = |line: &&str| !line.trim().is_empty() && !line.contains("Unable to establish");
        let said = lines.rfind(told).unwrap_or("no session");
        cleaned(&self.context.repeated(said), 200)
    }
}

/// Reads a pipe to its end, and keeps the first of it.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut octets = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut octets)
            .await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

fn malformed(command: &str, reason: &str) -> BmcError {
    BmcError::Malformed {
        path: format!("{PROGRAM} {command}"),
        reason: reason.to_owned(),
    }
}

fn program(said: String, help: String) -> BmcError {
    BmcError::Program {
        program: PROGRAM,
        said,
        help,
    }
}
