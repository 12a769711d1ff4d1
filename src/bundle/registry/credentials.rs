//! Credentials for a registry.

use data_encoding::BASE64;

use crate::machine::Secret;

/// Credentials for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that the token server exchanges for others.
    IdentityToken(Secret),
}

impl Credentials {
    /// Returns the value for `Authorization: Basic`; `None` for an identity token.
    pub fn basic(&self) -> Option<Secret> {
        match self {
            Self::Password { user, password } => {
                let pair = Secret::new(format!("{user}:{}", password.expose()));
                Some(Secret::new(BASE64.encode(pair.expose().as_bytes())))
            }
            Self::IdentityToken(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_credentials() {
        let credentials = Credentials::IdentityToken("secret".into());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
