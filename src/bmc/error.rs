use std::time::Duration;

/// Why a task on a BMC failed.
///
/// No variant holds a credential. Texts of a BMC are cleaned before they are stored here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BmcError {
    /// The BMC does not respond, or the connection breaks repeatedly.
    #[error("cannot reach `{url}`: {reason}")]
    Unreachable {
        /// The BMC's address.
        url: String,
        /// The reason from the operating system.
        reason: String,
    },
    /// The TLS handshake failed: no common version or cipher suite, or an unusable certificate.
    #[error("TLS handshake with `{url}` failed: {reason}")]
    Tls {
        /// The BMC's address.
        url: String,
        /// The reason from rustls.
        reason: String,
    },
    /// The username or the password is wrong. The login is tried once, because BMCs lock accounts.
    #[error("login to `{url}` failed: wrong user `{username}` or wrong password")]
    LoginFailed {
        /// The BMC's address.
        url: String,
        /// The account.
        username: String,
    },
    /// The account lacks a privilege.
    #[error("user `{username}` is not allowed to {action}")]
    NotAllowed {
        /// The account.
        username: String,
        /// The refused action.
        action: String,
    },
    /// The account must change its password before it may do anything else.
    #[error("user `{username}` must change its password before `{url}` accepts requests")]
    PasswordChangeRequired {
        /// The BMC's address.
        url: String,
        /// The account.
        username: String,
    },
    /// The BMC lacks a license for the feature.
    #[error("the BMC has no license to {action}")]
    LicenseRequired {
        /// The refused action.
        action: String,
    },
    /// The password cannot be read.
    #[error("cannot read the password: {reason}")]
    Secret {
        /// The reason, without any part of the secret.
        reason: String,
    },
    /// The BMC presents a certificate that is not trusted.
    #[error("{message}")]
    Certificate {
        /// The expected and the presented certificate.
        message: String,
        /// The next command or edit.
        help: String,
    },
    /// The BMC redirects to a URL that is not followed.
    #[error("`{path}` redirects to `{to}`: {reason}")]
    Redirected {
        /// The requested path.
        path: String,
        /// The target of the redirect.
        to: String,
        /// Why the redirect is not followed.
        reason: &'static str,
    },
    /// A response exceeds the size limit.
    #[error("response from `{path}` exceeds {} MiB", .limit >> 20)]
    TooLarge {
        /// The requested path.
        path: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A response cannot be parsed.
    #[error("cannot parse the response from `{path}`: {reason}")]
    Malformed {
        /// The requested path, or the command.
        path: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// The BMC refuses a request.
    #[error("`{method} {path}` failed with status {status}{}", after_colon(.message))]
    Refused {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The error message of the BMC; may be empty.
        message: String,
    },
    /// The BMC accepted a request, and the operation failed later.
    #[error("`{method} {path}` was accepted, but its task ended with `{state}`{}", after_colon(.message))]
    OperationFailed {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// The state of the task, such as `Exception`.
        state: String,
        /// The message of the task; may be empty.
        message: String,
    },
    /// The BMC does not support a boot target, or refuses it.
    #[error("{refusal} (supported boot targets: {})", .supported.join(", "))]
    BootTargetRefused {
        /// The error without the list of targets.
        refusal: String,
        /// The refused target.
        target: &'static str,
        /// The boot targets that the BMC supports.
        supported: Vec<String>,
    },
    /// The task exceeded its time limit.
    #[error("timed out after {} s: {activity}", .time_limit.as_secs())]
    Deadline {
        /// The activity at that time.
        activity: String,
        /// The time limit.
        time_limit: Duration,
    },
    /// The BMC reported success, but the setting did not change.
    #[error("the BMC reports success, but {property} is `{actual}` (expected `{expected}`)")]
    NotApplied {
        /// The property that was read back.
        property: String,
        /// The expected value.
        expected: String,
        /// The actual value.
        actual: String,
    },
    /// The BMC accepted a power action, but the power state did not change.
    #[error("the BMC reports success, but the power is `{actual}` (expected `{expected}`)")]
    PowerUnchanged {
        /// The expected power state.
        expected: String,
        /// The actual power state.
        actual: String,
    },
    /// The BMC manages no system, or no system that is known to be this host.
    #[error("{message}")]
    NoSystem {
        /// What the BMC manages.
        message: String,
        /// The next command or edit.
        help: String,
    },
    /// A machine other than the expected one is behind the BMC.
    #[error("another machine is behind this BMC: {}", .differences.join("; "))]
    OtherMachine {
        /// The host.
        host: String,
        /// Each value that differs.
        differences: Vec<String>,
    },
    /// The BMC does not support the action.
    #[error("{message}")]
    Unsupported {
        /// The missing feature.
        message: String,
    },
    /// The BMC has no such event log.
    #[error("{message}")]
    NoLog {
        /// The missing log, and the logs that the BMC has.
        message: String,
    },
    /// The BMC offers no serial console that pxectl can open.
    #[error("{message}")]
    NoConsole {
        /// The missing console, and the console that the BMC offers.
        message: String,
        /// The next command or edit.
        help: String,
    },
    /// A required program is missing, or it failed.
    #[error("{message}")]
    Program {
        /// The program, and what went wrong.
        message: String,
        /// The next command.
        help: String,
    },
    /// The store cannot record the result.
    #[error("{message}")]
    Store {
        /// The error of the store.
        message: String,
        /// The hint of the store.
        help: String,
    },
    /// The operator interrupted the command.
    #[error("interrupted before it finished")]
    Interrupted,
}

impl BmcError {
    /// Chooses the more useful of two refusals: the first, unless only the second has a message.
    pub fn or_clearer(first: Option<Self>, second: Self) -> Self {
        let is_bare =
            |error: &Self| matches!(error, Self::Refused { message, .. } if message.is_empty());
        match first {
            Some(first) if !is_bare(&first) || is_bare(&second) => first,
            _ => second,
        }
    }

    /// Changes every text that may hold words of the BMC, a program or the operating system.
    pub fn map_texts(mut self, change: impl Fn(String) -> String) -> Self {
        let texts: Vec<&mut String> = match &mut self {
            Self::Unreachable { reason, .. }
            | Self::Tls { reason, .. }
            | Self::Secret { reason } => {
                vec![reason]
            }
            Self::NotAllowed { action, .. } | Self::LicenseRequired { action } => vec![action],
            Self::OtherMachine { differences, .. } => differences.iter_mut().collect(),
            Self::Unsupported { message } | Self::NoLog { message } => vec![message],
            Self::Certificate { message, help }
            | Self::NoSystem { message, help }
            | Self::NoConsole { message, help }
            | Self::Program { message, help }
            | Self::Store { message, help } => vec![message, help],
            Self::Redirected { path, to, .. } => vec![path, to],
            Self::TooLarge { path, .. } => vec![path],
            Self::Malformed { path, reason } => vec![path, reason],
            Self::Refused { path, message, .. } => vec![path, message],
            Self::OperationFailed {
                path,
                state,
                message,
                ..
            } => vec![path, state, message],
            Self::BootTargetRefused {
                refusal, supported, ..
            } => supported.iter_mut().chain([refusal]).collect(),
            Self::Deadline { activity, .. } => vec![activity],
            Self::NotApplied {
                property,
                expected,
                actual,
            } => vec![property, expected, actual],
            Self::PowerUnchanged { expected, actual } => vec![expected, actual],
            Self::LoginFailed { .. } | Self::PasswordChangeRequired { .. } | Self::Interrupted => {
                Vec::new()
            }
        };
        for text in texts {
            *text = change(std::mem::take(text));
        }
        self
    }

    /// Returns the kind of error in a word or two, for a table; the full message is printed beside
    /// it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "TLS failed",
            Self::LoginFailed { .. } => "login failed",
            Self::NotAllowed { .. } => "not allowed",
            Self::PasswordChangeRequired { .. } => "password expired",
            Self::LicenseRequired { .. } => "license required",
            Self::Secret { .. } => "no password",
            Self::Certificate { .. } => "certificate not trusted",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge { .. } | Self::Malformed { .. } => "invalid response",
            Self::Refused { .. } => "refused",
            Self::OperationFailed { .. } => "task failed",
            Self::BootTargetRefused { .. } => "boot target refused",
            Self::Deadline { .. } => "timed out",
            Self::NotApplied { .. } | Self::PowerUnchanged { .. } => "not applied",
            Self::NoSystem { .. } => "no such system",
            Self::OtherMachine { .. } => "another machine",
            Self::Unsupported { .. } => "not supported",
            Self::NoLog { .. } => "no such log",
            Self::NoConsole { .. } => "no console",
            Self::Program { .. } => "program failed",
            Self::Store { .. } => "store failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the next command or edit for the operator.
    pub fn help(&self) -> String {
        let help = match self {
            Self::Certificate { help, .. }
            | Self::NoSystem { help, .. }
            | Self::NoConsole { help, .. }
            | Self::Program { help, .. }
            | Self::Store { help, .. } => help,
            Self::OtherMachine { host, .. } => {
                return format!(
                    "compare with `pxectl bmc inventory {host}`; if the machine was replaced on \
                     purpose, correct the inventory and run `pxectl bmc pin {host} --yes`"
                );
            }
            Self::Unreachable { .. } => {
                "check the address in `bmc.url`, the cable, and the route to the BMC network"
            }
            Self::Tls { .. } => {
                "for an old BMC: an X.509 version 1 certificate or a 1024-bit RSA key needs `pin` \
                 and `tls: legacy`; CBC-only cipher suites and TLS below 1.2 are not supported: \
                 update the BMC firmware, or use `ipmi://`"
            }
            Self::LoginFailed { .. } => {
                "correct `bmc.username` or the secret source in `bmc.password`; the login was tried \
                 only once, to avoid an account lockout"
            }
            Self::NotAllowed { .. } => {
                "give the account the Operator or Administrator role on the BMC"
            }
            Self::PasswordChangeRequired { .. } => {
                "change the password on the web page of the BMC, then update the secret source in \
                 `bmc.password`"
            }
            Self::LicenseRequired { .. } => {
                "install the license on the BMC, or use a command that does not need it"
            }
            Self::Secret { .. } => "fix the secret source in `bmc.password`",
            Self::Redirected { .. } => {
                "set `bmc.url` to an address that responds without a redirect"
            }
            Self::TooLarge { .. } | Self::Malformed { .. } => {
                "check with `curl` that `bmc.url` is a BMC; if so, update its firmware or reset it"
            }
            Self::Refused { .. } | Self::OperationFailed { .. } => {
                "`pxectl bmc log` shows the BMC's log; `--dry-run` prints the requests"
            }
            Self::BootTargetRefused {
                target, supported, ..
            } => {
                let has = |name: &str| supported.iter().any(|it| it.eq_ignore_ascii_case(name));
                match *target {
                    "Pxe" if has("UefiHttp") => {
                        "use `pxectl bmc boot-http`, or enable PXE in the firmware settings"
                    }
                    "Pxe" => "enable PXE in the firmware settings, then run the same command again",
                    _ => "use the command for one of the supported targets",
                }
            }
            Self::Deadline { .. } => {
                "check `pxectl bmc console`, then run the same command again with a longer \
                 `--timeout`"
            }
            Self::NotApplied { .. } => {
                "update the BMC firmware, or change the setting by hand once; nothing was rebooted"
            }
            Self::PowerUnchanged { .. } => {
                "see `pxectl bmc log` and `pxectl bmc console`, then run the same command again"
            }
            Self::NoLog { .. } => "omit `--log`, or use the name of a log that the BMC has",
            Self::Unsupported { .. } => "use another boot method, or update the BMC firmware",
            Self::Interrupted => "run the same command again: finished steps are not repeated",
        };
        help.to_owned()
    }
}

/// Returns `: ` and a text, or nothing for an empty text.
pub fn after_colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}
