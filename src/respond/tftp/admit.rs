use crate::respond::tftp::{NameError, sanitise};
use crate::wire::tftp::{Direction, ErrorCode, Mode, Request};

/// A request that may be served, if the file is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedRequest {
    /// The relative name of the file, as [`sanitise`] leaves it.
    pub name: String,
    /// The file travels as netascii.
    pub netascii: bool,
}

/// The refusal of a request, sent as an ERROR packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// Why, for people.
    pub reason: String,
}

/// Checks a request before any file is opened.
///
/// # Errors
///
/// Refuses write requests, unknown modes, and names that [`sanitise`] refuses.
pub fn admit(request: &Request) -> Result<AdmittedRequest, Refusal> {
    let refuse = |code, reason| Err(Refusal { code, reason });
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
    match sanitise(&request.name) {
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
    fn only_reads_of_honest_names_in_known_modes_are_admitted() {
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
            let seen = admit(&request);
            let seen = seen
                .as_ref()
                .map(|admitted| (admitted.name.as_str(), admitted.netascii))
                .map_err(|refusal| refusal.code);
            assert_eq!(seen, expected, "{request:?}");
        }
    }
}
