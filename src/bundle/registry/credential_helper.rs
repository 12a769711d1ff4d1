//! Programs that keep credentials: `docker-credential-NAME`.
//!
//! Source: the README of docker-credential-helpers.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::credentials::Credentials;

/// How long one may take: it may ask somebody for a password.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const SAMPLE: Duration = Duration::from_millis(10);
/// The longest answer, in octets.
const ANSWER_LIMIT: u64 = 64 << 10;
/// What one says when it knows no credentials: `errCredentialsNotFound`.
const NONE: &str = "credentials not found";

/// Asks one for the credentials of a server.
pub fn ask(helper: &str, server: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        return Err(format!("`{program}` is not the name of a program"));
    }
    ask_program(&program, server, PATIENCE).map_err(|why| format!("`{program}`: {why}"))
}

fn ask_program(
    program: &str,
    server: &str,
    patience: Duration,
) -> Result<Option<Credentials>, String> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "it is not installed, or not in `PATH`".to_owned(),
            _ => error.to_string(),
        })?;
    let answered = answer(&mut child, server, patience);
    if answered.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (status, octets) = answered?;
    if !status.success() {
        // What it says on standard output is the reason, in one line; and never what was asked for.
        let text = String::from_utf8_lossy(&octets);
        let line = text.lines().next().unwrap_or_default().trim();
        return match line {
            line if line.contains(NONE) => Ok(None),
            line if line.is_empty() || line.contains('{') => Err(format!("it ends with {status}")),
            line => Err(line.chars().filter(|c| !c.is_control()).take(200).collect()),
        };
    }
    read(&octets)
}

/// Reads what one has answered.
fn read(octets: &[u8]) -> Result<Option<Credentials>, String> {
    let answer: Value = serde_json::from_slice(octets)
        .map_err(|_| "it answered with something else than JSON".to_owned())?;
    match (answer["Username"].as_str(), answer["Secret"].as_str()) {
        (Some("<token>"), Some(token)) => Ok(Some(Credentials::Identity(token.into()))),
        (Some(user), Some(password)) => Ok(Some(Credentials::Password {
            user: user.to_owned(),
            password: password.into(),
        })),
        _ => Err("it answered without `Username` and `Secret`".to_owned()),
    }
}

/// Gives it the name of the server, and waits for its answer and its end.
fn answer(
    child: &mut Child,
    server: &str,
    patience: Duration,
) -> Result<(ExitStatus, Vec<u8>), String> {
    let deadline = Instant::now() + patience;
    let late = || format!("it has not answered in {} s", patience.as_secs_f32());
    if let Some(mut stdin) = child.stdin.take() {
        // So little that it fits into the pipe, whether it is read or not.
        let _ = stdin.write_all(server.as_bytes());
    }
    let (say, hear) = mpsc::channel();
    let stdout = child.stdout.take();
    // Whoever else holds the other end may outlive it: nobody waits for this thread.
    thread::spawn(move || {
        let mut octets = Vec::new();
        let read = stdout.map(|stdout| stdout.take(ANSWER_LIMIT).read_to_end(&mut octets));
        let _ = say.send(read.transpose().map(|_| octets));
    });
    let octets = hear
        .recv_timeout(patience)
        .map_err(|_| late())?
        .map_err(|error| error.to_string())?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, octets)),
            Ok(None) if Instant::now() > deadline => return Err(late()),
            Ok(None) => thread::sleep(SAMPLE),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_never_repeated() {
        let password = Credentials::Password {
            user: "anna".into(),
            password: "s".into(),
        };
        for (text, expected) in [
            (r#"{"Username": "anna", "Secret": "s"}"#, Some(password)),
            (
                r#"{"ServerURL": "r", "Username": "<token>", "Secret": "s"}"#,
                Some(Credentials::Identity("s".into())),
            ),
            (r#"{"Username": "s3cret"}"#, None),
            ("s3cret", None),
            ("", None),
        ] {
            match (read(text.as_bytes()), expected) {
                (Ok(found), expected) => assert_eq!(found, expected, "{text}"),
                (Err(why), None) => assert!(!why.contains("s3cret"), "{why}"),
                (Err(why), Some(_)) => panic!("{text}: {why}"),
            }
        }
    }

    #[test]
    fn one_that_fails_or_never_ends_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for (number, (script, millis, said)) in [
            (
                "echo 'the keyring is locked'; exit 1",
                60_000,
                "the keyring is locked",
            ),
            (
                "echo '{\"Secret\": \"s3cret\"}'; exit 1",
                60_000,
                "it ends with",
            ),
            ("exec sleep 300", 200, "it has not answered in 0.2 s"),
            (
                "exec >&-; exec sleep 300",
                200,
                "it has not answered in 0.2 s",
            ),
            ("sleep 1 & exit 0", 200, "it has not answered in 0.2 s"),
        ]
        .into_iter()
        .enumerate()
        {
            let program = directory.path().join(format!("helper-{number}"));
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
            let patience = Duration::from_millis(millis);
            let asked = ask_program(&program.display().to_string(), "r", patience);
            let refused = asked.unwrap_err();
            assert!(refused.contains(said), "{script}: {refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
        let refused = ask("that-is-not-there", "r").unwrap_err();
        assert!(refused.contains("not installed"), "{refused}");
    }
}
