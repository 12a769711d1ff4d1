use super::diagnostic::PLAIN_SECRET;
use super::reader::Reader;
use super::tree::{Node, Value};

/// The source of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretReference {
    /// An environment variable.
    Env(String),
    /// A file, relative to the inventory.
    File(String),
    /// The output of a command: program and arguments, without a shell.
    Exec(Vec<String>),
    /// A secret in HashiCorp Vault.
    Vault {
        /// The path, starting with its mount.
        path: String,
        /// The field.
        field: String,
    },
}

pub(super) fn read_secret(reader: &mut Reader, node: &Node) -> Option<SecretReference> {
    if let Value::Scalar { .. } = &node.value {
        // The text is not shown, because it may be the password.
        return reader.refuse(
            PLAIN_SECRET,
            node.span,
            "the inventory must not contain a password",
            "name its source: `{env: NAME}`, `{file: PATH}`, `{exec: [PROGRAM, …]}` or `{vault: PATH#FIELD}`",
        );
    }
    let mut fields = reader.fields(node, "this secret")?;
    let env = fields.optional(reader, "env", |reader, node| {
        let text = reader.text(node)?;
        if text.contains('=') {
            let message = "the name of a variable must not contain `=`";
            let help = "write only the name, and set the value in the environment";
            // The rest of the text may be the password.
            return reader.refuse(PLAIN_SECRET, node.span, message, help);
        }
        Some(SecretReference::Env(text))
    });
    let file = fields
        .optional(reader, "file", Reader::text)
        .map(SecretReference::File);
    let exec = fields.optional(reader, "exec", read_command);
    let vault = fields.optional(reader, "vault", |reader, node| {
        let text = reader.text(node)?;
        let (path, field) = text.split_once('#').unwrap_or((&text, "password"));
        let path = path.trim_matches('/');
        let good = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        let climbs = path.split('/').any(|part| part.is_empty() || part == "..");
        if !path.contains('/') || climbs || !path.chars().all(good) || field.is_empty() {
            let message = format!("`{text}` is not a Vault path");
            let help = "write `MOUNT/PATH#FIELD`, such as `secret/bmc/worker-01#password`";
            return reader.refuse("wrong-value", node.span, message, help);
        }
        Some(SecretReference::Vault {
            path: path.to_owned(),
            field: field.to_owned(),
        })
    });
    fields.finish(reader);
    let mut references = [env, file, exec, vault].into_iter().flatten();
    match (references.next(), references.next()) {
        (Some(reference), None) => Some(reference),
        _ => reader.refuse(
            "wrong-value",
            node.span,
            "a secret must have exactly one source",
            "use one of `env`, `file`, `exec` and `vault`",
        ),
    }
}

/// Reads a command: a list of words, or a text that is split at blanks. The command runs without a
/// shell, so shell syntax is refused.
fn read_command(reader: &mut Reader, node: &Node) -> Option<SecretReference> {
    let words = match &node.value {
        Value::Sequence(_) => reader.items(node, Reader::text)?,
        _ => {
            let text = reader.text(node)?;
            if text.contains(['\'', '"', '\\', '$', '`', '|', '&', ';', '<', '>', '*', '~']) {
                let message =
                    format!("`{text}` contains shell syntax, but commands run without a shell");
                let help = "write a list of words, `exec: [PROGRAM, ARGUMENT]`, or run a shell: `exec: [sh, -c, …]`";
                return reader.refuse("wrong-value", node.span, message, help);
            }
            text.split(' ')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        }
    };
    if words.first().is_none_or(String::is_empty) {
        let message = "the command has no program";
        return reader.refuse(
            "wrong-value",
            node.span,
            message,
            "write `exec: [PROGRAM, …]`",
        );
    }
    Some(SecretReference::Exec(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tree;

    #[test]
    fn secrets_are_references_and_no_message_shows_one() {
        let password = |text: &str| {
            let mut diagnostics = Vec::new();
            let node = tree::parse(0, text, &mut diagnostics).remove(0);
            let mut reader = Reader { diagnostics };
            let reference = read_secret(&mut reader, &node);
            let messages = reader.diagnostics.into_iter().map(|it| it.message);
            reference.ok_or(messages.collect::<Vec<String>>())
        };
        let exec =
            |words: &[&str]| SecretReference::Exec(words.iter().map(|it| (*it).into()).collect());
        let vault = |path: &str, field: &str| SecretReference::Vault {
            path: path.into(),
            field: field.into(),
        };
        for (text, expected) in [
            ("{env: A}", SecretReference::Env("A".into())),
            ("{file: a/b}", SecretReference::File("a/b".into())),
            ("{exec: pass show bmc/1}", exec(&["pass", "show", "bmc/1"])),
            ("{exec: [sh, -c, 'a | b']}", exec(&["sh", "-c", "a | b"])),
            ("{vault: kv/bmc/1}", vault("kv/bmc/1", "password")),
            ("{vault: 'kv/bmc/1#admin'}", vault("kv/bmc/1", "admin")),
        ] {
            assert_eq!(password(text), Ok(expected), "{text}");
        }
        for text in [
            "hunter2",
            "{env: A=hunter2}",
            "{exec: 'a | b'}",
            "{exec: []}",
            "{vault: kv}",
            "{vault: kv/../sys}",
            "{env: A, file: b}",
            "{}",
        ] {
            let messages = password(text).expect_err(text);
            assert!(
                !messages.is_empty() && !messages[0].contains("hunter2"),
                "{messages:?}"
            );
        }
    }
}
