use std::fmt;

use zeroize::Zeroizing;

/// The text that replaces a secret in all output.
pub const MASK: &str = "•••";

/// A password, a key, a boot token or a capability: text that no format string can print.
///
/// Its memory is wiped when it is dropped. It has no `Display` and no `Serialize`, so a secret that is
/// formatted by mistake does not compile:
///
/// ```compile_fail
/// let password = pxectl::machine::Secret::new("hunter2");
/// println!("{password}");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reports whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use super::*;

    /// Says of a type what it can be turned into: the method of its own is there only for those.
    struct Of<T>(PhantomData<T>);

    impl<T: fmt::Display> Of<T> {
        fn is_displayed(&self) -> bool {
            true
        }
    }

    impl<T: serde::Serialize> Of<T> {
        fn is_serialized(&self) -> bool {
            true
        }
    }

    trait Otherwise {
        fn is_displayed(&self) -> bool {
            false
        }

        fn is_serialized(&self) -> bool {
            false
        }
    }

    impl<T> Otherwise for Of<T> {}

    #[test]
    fn a_secret_cannot_be_formatted_or_serialized_by_mistake() {
        let text = Of::<String>(PhantomData);
        assert!(text.is_displayed() && text.is_serialized());
        let secret = Of::<Secret>(PhantomData);
        assert!(!secret.is_displayed() && !secret.is_serialized());
    }

    #[test]
    fn a_secret_is_sent_and_never_printed() {
        #[derive(Debug)]
        struct Account {
            _name: &'static str,
            _password: Secret,
        }
        let secret = Secret::new("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        let account = Account {
            _name: "admin",
            _password: secret,
        };
        assert!(!format!("{account:?} {account:#?}").contains("hunter2"));
    }
}
