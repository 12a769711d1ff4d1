//! Who we are to a registry.

use data_encoding::BASE64;

use crate::machine::Secret;

/// Who somebody is to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that is exchanged for others.
    Identity(Secret),
}

impl Credentials {
    /// Returns what stands after `Authorization: Basic`.
    pub fn basic(&self) -> Option<Secret> {
        match self {
            Self::Password { user, password } => {
                let pair = Secret::new(format!("{user}:{}", password.expose()));
                Some(Secret::new(BASE64.encode(pair.expose().as_bytes())))
            }
            Self::Identity(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_themselves() {
        let credentials = Credentials::Identity("secret".into());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
