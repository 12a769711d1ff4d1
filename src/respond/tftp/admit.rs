use crate::respond::tftp::{NameError, sanitize};
use crate::wire::tftp::{Direction, ErrorCode, Mode, Request};

/// A request that may be served if the file exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedRequest {
    /// The relative name of the file, as [`sanitize`] leaves it.
    pub name: String,
    /// The file travels as netascii.
    pub netascii: bool,
}

/// The refusal of a request, sent as an ERROR packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TftpRefusal {
    /// The code.
    pub code: ErrorCode,
    /// The reason, for people.
    pub reason: String,
}

/// Checks a request before any file is opened.
///
/// # Errors
///
/// Refuses write requests, unknown modes, and names that [`sanitize`] refuses.
pub fn admit(request: &Request) -> Result<AdmittedRequest, TftpRefusal> {
    let refuse = |code, reason| Err(TftpRefusal { code, reason });
    if request.direction == Direction::Write {
        return refuse(
            ErrorCode::AccessViolation,
            "this server is read-only".to_owned(),
        );
    }
    let netascii = match &request.mode {
        Mode::Octet => false,
        Mode::Netascii => true,
        Mode::Unknown(mode) => {
            let reason = format!("unknown mode `{}`", mode.escape_default());
            return refuse(ErrorCode::IllegalOperation, reason);
        }
    };
    match sanitize(&request.name) {
        Ok(name) => Ok(AdmittedRequest { name, netascii }),
        Err(error @ NameError::Traversal { .. }) => {
            refuse(ErrorCode::AccessViolation, error.to_string())
        }
        Err(error) => refuse(ErrorCode::FileNotFound, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_of_valid_names_in_known_modes_are_admitted() {
        for (direction, name, mode, expected) in [
            (Direction::Read, "/a", Mode::Octet, Ok(("a", false))),
            (Direction::Read, "a", Mode::Netascii, Ok(("a", true))),
            (
                Direction::Read,
                "a",
                Mode::Unknown("mail".into()),
                Err(ErrorCode::IllegalOperation),
            ),
            (
                Direction::Write,
                "a",
                Mode::Octet,
                Err(ErrorCode::AccessViolation),
            ),
            (
                Direction::Read,
                "../a",
                Mode::Octet,
                Err(ErrorCode::AccessViolation),
            ),
            (
                Direction::Read,
                "",
                Mode::Octet,
                Err(ErrorCode::FileNotFound),
            ),
        ] {
            let request = Request {
                direction,
                name: name.into(),
                mode,
                options: Vec::new(),
            };
            let answer = admit(&request);
            let answer = answer
                .as_ref()
                .map(|admitted| (admitted.name.as_str(), admitted.netascii))
                .map_err(|refusal| refusal.code);
            assert_eq!(answer, expected, "{request:?}");
        }
    }
}
