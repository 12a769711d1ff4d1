use std::fs;
use std::sync::{Arc, Mutex};

use super::*;
use crate::machine::MASK;

/// A directory of an inventory, and the warnings that were given.
struct Place {
    directory: tempfile::TempDir,
    warnings: Arc<Mutex<Vec<String>>>,
    secrets: Secrets,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&warnings);
        let warn = Box::new(move |what: &str, _: &str| noted.lock().unwrap().push(what.to_owned()));
        let secrets = Secrets::new(directory.path(), warn);
        Self {
            directory,
            warnings,
            secrets,
        }
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn fetch(&self, reference: &SecretReference) -> Result<String, SecretError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let secret = runtime.block_on(self.secrets.fetch(reference))?;
        Ok(secret.expose().to_owned())
    }
}

fn exec(words: &[&str]) -> SecretReference {
    SecretReference::Exec(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn a_file_that_others_can_read_causes_a_warning() {
    let place = Place::new();
    place.write("good", b"hunter2\r\n", 0o600);
    place.write("open", b"hunter3", 0o644);
    let file = |name: &str| SecretReference::File(name.to_owned());
    assert_eq!(place.fetch(&file("good")).as_deref(), Ok("hunter2"));
    assert!(place.warnings.lock().unwrap().is_empty());
    assert_eq!(place.fetch(&file("open")).as_deref(), Ok("hunter3"));
    let warnings = place.warnings.lock().unwrap().join("\n");
    assert!(
        warnings.contains("open") && !warnings.contains("hunter3"),
        "{warnings}"
    );
}

#[test]
fn an_invalid_secret_is_refused_and_never_shown() {
    let place = Place::new();
    place.write("empty", b"\n", 0o600);
    place.write("binary", b"hunter2\xff", 0o600);
    place.write("lines", b"hunter2\nuser: a\n", 0o600);
    place.write("large", &[b'a'; LONGEST + 1], 0o600);
    for (name, fault) in [
        ("empty", "is empty"),
        ("binary", "is not text"),
        ("lines", "more than one line"),
        ("large", "exceeds"),
        ("missing", "No such file"),
    ] {
        let said = place.fetch(&SecretReference::File(name.to_owned()));
        let said = said.unwrap_err().to_string();
        assert!(
            said.contains(fault) && !said.contains("hunter2"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_command_runs_in_the_inventory_without_a_shell_or_input() {
    let place = Place::new();
    place.write("password", b"hunter2\n", 0o600);
    assert_eq!(
        place.fetch(&exec(&["cat", "password"])).as_deref(),
        Ok("hunter2")
    );
    assert_eq!(
        place.fetch(&exec(&["echo", "$HOME"])).as_deref(),
        Ok("$HOME")
    );
    for (words, fault) in [
        (&["cat"][..], "is empty"),
        (&["sh", "-c", "echo hunter2; exit 3"], "failed"),
        (&["sh", "-c", "echo hunter2 >&2; exit 3"], "failed"),
        (&["no-such-program-at-all"], "cannot be started"),
        (&["cat", "/dev/zero"], "exceeds"),
    ] {
        let said = place.fetch(&exec(words)).unwrap_err().to_string();
        let shows = said.replace(&words.join(" "), "").contains("hunter2");
        assert!(said.contains(fault) && !shows, "{words:?}: {said}");
    }
}

#[test]
fn a_secret_is_fetched_once_and_does_not_show_itself() {
    let place = Place::new();
    let once = exec(&["sh", "-c", "test ! -e ran && touch ran && echo hunter2"]);
    assert_eq!(place.fetch(&once).as_deref(), Ok("hunter2"));
    assert_eq!(place.fetch(&once).as_deref(), Ok("hunter2"));
    assert_eq!(format!("{:?}", Secret::new("hunter2")), MASK);
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let place = Place::new();
    let name = "PXECTL_TEST_NO_SUCH_VARIABLE".to_owned();
    assert_eq!(
        place.fetch(&SecretReference::Env(name.clone())),
        Err(SecretError::NoVariable(name))
    );
}
