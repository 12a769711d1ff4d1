use std::time::Duration;

/// Why a controller could not do what it was asked for.
///
/// No variant holds a credential, and texts that a controller sent are cleaned before they get here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BmcError {
    /// Nothing answers, or the connection breaks again and again.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The controller.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// There is no TLS that both sides speak, or its certificate cannot be used.
    #[error("no TLS with {url}: {reason}")]
    Tls {
        /// The controller.
        url: String,
        /// What rustls said.
        reason: String,
    },
    /// The account or the password is wrong. It is tried once: controllers lock accounts.
    #[error("{url} refuses user `{username}` and its password")]
    WrongPassword {
        /// The controller.
        url: String,
        /// The account.
        username: String,
    },
    /// The account is good and may not do this.
    #[error("user `{username}` may not {what}")]
    NotAllowed {
        /// The account.
        username: String,
        /// What it may not do.
        what: String,
    },
    /// The password cannot be had.
    #[error("the password cannot be read: {reason}")]
    Secret {
        /// Why not; never what was read.
        reason: String,
    },
    /// Its certificate is not the one that is trusted.
    #[error("{what}")]
    Certificate {
        /// What was expected and what was seen.
        what: String,
        /// What to do about it.
        help: String,
    },
    /// It sends us elsewhere.
    #[error("{path} redirects to `{to}`: {why}")]
    Redirected {
        /// What was asked for.
        path: String,
        /// Where it sends us.
        to: String,
        /// Why we do not go there.
        why: &'static str,
    },
    /// An answer does not end.
    #[error("the answer to {path} is larger than {limit} octets")]
    TooLarge {
        /// What was asked for.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// An answer cannot be understood.
    #[error("the answer to {path} cannot be understood: {reason}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It refuses a request.
    #[error("{method} {path} is answered {status}{}", said_after(.said))]
    Refused {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// The status.
        status: u16,
        /// What its error message says; may be empty.
        said: String,
    },
    /// The time was over before it was done.
    #[error("not done after {} s: {doing}", .after.as_secs())]
    Deadline {
        /// What was waited for.
        doing: String,
        /// The whole time.
        after: Duration,
    },
    /// It said that it did something, and did not.
    #[error("it reports success, and {what} is `{seen}` and not `{wanted}`")]
    NotTaken {
        /// What was read back.
        what: String,
        /// What it should be.
        wanted: String,
        /// What it is.
        seen: String,
    },
    /// It manages several machines, or none, and none of them is known to be this host.
    #[error("{what}")]
    NoSystem {
        /// What was found.
        what: String,
        /// What to do about it.
        help: String,
    },
    /// Behind the address is another machine.
    #[error("{what}")]
    OtherMachine {
        /// What was expected and what was seen.
        what: String,
    },
    /// It cannot do this at all.
    #[error("it cannot do this: {what}")]
    Unsupported {
        /// What it cannot do.
        what: String,
    },
    /// A program that is needed is missing or fails.
    #[error("`{program}`: {said}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it said, or what the system said of it.
        said: String,
        /// What to do about it.
        help: String,
    },
    /// The store does not take what must be kept.
    #[error("{reason}")]
    Store {
        /// What the store said.
        reason: String,
    },
    /// Nobody confirmed what needs to be confirmed.
    #[error("{what}")]
    NotConfirmed {
        /// What was asked.
        what: String,
    },
    /// An operator stopped the command.
    #[error("stopped before it was done")]
    Stopped,
}

impl BmcError {
    /// Chooses between the refusals of several ways: the first, unless only a later one says why.
    pub fn or_better(first: Option<Self>, next: Self) -> Self {
        let is_mute = |error: &Self| matches!(error, Self::Refused { said, .. } if said.is_empty());
        match first {
            Some(first) if !is_mute(&first) || is_mute(&next) => first,
            _ => next,
        }
    }
}

fn said_after(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

impl BmcError {
    /// Changes every text that a controller, a program or the system may have had a part in.
    pub fn with_texts(mut self, change: impl Fn(String) -> String) -> Self {
        let texts: [Option<&mut String>; 3] = match &mut self {
            Self::Unreachable { reason, .. }
            | Self::Tls { reason, .. }
            | Self::Secret { reason }
            | Self::Store { reason } => [Some(reason), None, None],
            Self::NotAllowed { what, .. }
            | Self::OtherMachine { what }
            | Self::Unsupported { what }
            | Self::NotConfirmed { what } => [Some(what), None, None],
            Self::Certificate { what, help } | Self::NoSystem { what, help } => {
                [Some(what), Some(help), None]
            }
            Self::Redirected { path, to, .. } => [Some(path), Some(to), None],
            Self::TooLarge { path, .. } => [Some(path), None, None],
            Self::Malformed { path, reason } => [Some(path), Some(reason), None],
            Self::Refused { path, said, .. } => [Some(path), Some(said), None],
            Self::Deadline { doing, .. } => [Some(doing), None, None],
            Self::NotTaken { what, wanted, seen } => [Some(what), Some(wanted), Some(seen)],
            Self::Program { said, help, .. } => [Some(said), Some(help), None],
            Self::WrongPassword { .. } | Self::Stopped => [None, None, None],
        };
        for text in texts.into_iter().flatten() {
            *text = change(std::mem::take(text));
        }
        self
    }
}

impl BmcError {
    /// Says in a word or two what it is, for a table; the whole of it stands beside.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "no TLS",
            Self::WrongPassword { .. } => "password refused",
            Self::NotAllowed { .. } => "not allowed",
            Self::Secret { .. } => "no password",
            Self::Certificate { .. } => "certificate not trusted",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge { .. } | Self::Malformed { .. } => "bad answer",
            Self::Refused { .. } => "refused",
            Self::Deadline { .. } => "not done in time",
            Self::NotTaken { .. } => "not taken",
            Self::NoSystem { .. } => "no such system",
            Self::OtherMachine { .. } => "another machine",
            Self::Unsupported { .. } => "not supported",
            Self::Program { .. } => "program failed",
            Self::Store { .. } => "not kept",
            Self::NotConfirmed { .. } => "not confirmed",
            Self::Stopped => "stopped",
        }
    }

    /// Says what an operator can do about it.
    pub fn help(&self, host: &str) -> String {
        match self {
            Self::Unreachable { .. } => {
                "check the address in `bmc.url`, its cable, and the way to its network".to_owned()
            }
            Self::Tls { .. } => {
                "where the BMC is old: a certificate of X.509 version 1 or an RSA key of 1024 bits \
                 needs `pin` and `tls: legacy`; CBC-only cipher suites and TLS below 1.2 are not \
                 spoken at all: update its firmware, or use `ipmi://`"
                    .to_owned()
            }
            Self::WrongPassword { .. } => {
                "correct `bmc.username` or where `bmc.password` is found; it was tried once, so \
                 that no account is locked"
                    .to_owned()
            }
            Self::NotAllowed { .. } => {
                "give the account the role Operator or Administrator on the BMC".to_owned()
            }
            Self::Secret { .. } => "mend what `bmc.password` names".to_owned(),
            Self::Certificate { help, .. } | Self::NoSystem { help, .. } => help.clone(),
            Self::Program { help, .. } => help.clone(),
            Self::Redirected { .. } => {
                "name the address that answers by itself in `bmc.url`".to_owned()
            }
            Self::TooLarge { .. } | Self::Malformed { .. } => {
                "check with `curl` that `bmc.url` is a BMC; if it is, update its firmware or reset it"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "see the BMC's own log; `--dry-run` prints the requests".to_owned()
            }
            Self::Deadline { .. } => {
                "look at the console, then run the same command again, with a longer `--timeout`"
                    .to_owned()
            }
            Self::NotTaken { .. } => {
                "update the BMC's firmware, or set it by hand once; nothing was rebooted".to_owned()
            }
            Self::OtherMachine { .. } => format!(
                "compare with `pxectl bmc inventory {host}`; where the machine was exchanged on \
                 purpose, correct the inventory and run `pxectl bmc pin {host} --yes`"
            ),
            Self::Unsupported { .. } => {
                "use another way to boot, or update the BMC's firmware".to_owned()
            }
            Self::Store { .. } => "see `--state`".to_owned(),
            Self::NotConfirmed { .. } => "give `--yes` where nobody can be asked".to_owned(),
            Self::Stopped => "run the same command again: what is done is not done twice".to_owned(),
        }
    }
}
