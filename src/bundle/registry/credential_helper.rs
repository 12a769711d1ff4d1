//! Programs that store credentials: `docker-credential-NAME`.
//!
//! Source: the README of docker-credential-helpers.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::credentials::Credentials;

/// Time limit for a helper: it may prompt for a password.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How often to check whether the helper has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The longest output that is read, in bytes.
const OUTPUT_LIMIT: u64 = 64 << 10;
/// The message of a helper that has no credentials for a server: `errCredentialsNotFound`.
const NOT_FOUND: &str = "credentials not found";

/// Gets the credentials for a server from a helper.
pub fn ask(helper: &str, server: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{helper}");
    if helper.contains('/') {
        return Err(format!("`{program}` is not the name of a program"));
    }
    ask_program(&program, server, TIME_LIMIT).map_err(|reason| format!("`{program}` {reason}"))
}

fn ask_program(
    program: &str,
    server: &str,
    limit: Duration,
) -> Result<Option<Credentials>, String> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "is not in `PATH`".to_owned(),
            _ => format!("cannot be run: {error}"),
        })?;
    let output = exchange(&mut child, server, limit);
    if output.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (status, bytes) = output?;
    if !status.success() {
        // The first line of standard output is the reason. JSON there may hold a secret.
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or_default().trim();
        return match line {
            line if line.contains(NOT_FOUND) => Ok(None),
            line if line.is_empty() || line.contains('{') => Err(format!("failed: {status}")),
            line => {
                let reason: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
                Err(format!("failed: {reason}"))
            }
        };
    }
    parse(&bytes)
}

/// Parses the output of a helper.
fn parse(output: &[u8]) -> Result<Option<Credentials>, String> {
    let output: Value =
        serde_json::from_slice(output).map_err(|_| "did not print JSON".to_owned())?;
    match (output["Username"].as_str(), output["Secret"].as_str()) {
        (Some("<token>"), Some(token)) => Ok(Some(Credentials::IdentityToken(token.into()))),
        (Some(user), Some(password)) => Ok(Some(Credentials::Password {
            user: user.to_owned(),
            password: password.into(),
        })),
        _ => Err("did not print `Username` and `Secret`".to_owned()),
    }
}

/// Sends the name of the server to a helper, and waits for its output and its end.
fn exchange(
    child: &mut Child,
    server: &str,
    limit: Duration,
) -> Result<(ExitStatus, Vec<u8>), String> {
    let deadline = Instant::now() + limit;
    let timed_out = || format!("did not answer within {} s", limit.as_secs_f32());
    if let Some(mut stdin) = child.stdin.take() {
        // It fits into the pipe, whether the helper reads it or not.
        let _ = stdin.write_all(server.as_bytes());
    }
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    // Another process may keep the pipe open after the helper ends: do not wait for this thread.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map(|stdout| stdout.take(OUTPUT_LIMIT).read_to_end(&mut bytes));
        let _ = sender.send(read.transpose().map(|_| bytes));
    });
    let bytes = receiver
        .recv_timeout(limit)
        .map_err(|_| timed_out())?
        .map_err(|error| format!("cannot be read: {error}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, bytes)),
            Ok(None) if Instant::now() > deadline => return Err(timed_out()),
            Ok(None) => thread::sleep(POLL_INTERVAL),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_parsed_and_never_quoted() {
        let password = Credentials::Password {
            user: "anna".into(),
            password: "s".into(),
        };
        for (text, expected) in [
            (r#"{"Username": "anna", "Secret": "s"}"#, Some(password)),
            (
                r#"{"ServerURL": "r", "Username": "<token>", "Secret": "s"}"#,
                Some(Credentials::IdentityToken("s".into())),
            ),
            (r#"{"Username": "s3cret"}"#, None),
            ("s3cret", None),
            ("", None),
        ] {
            match (parse(text.as_bytes()), expected) {
                (Ok(found), expected) => assert_eq!(found, expected, "{text}"),
                (Err(error), None) => assert!(!error.contains("s3cret"), "{error}"),
                (Err(error), Some(_)) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn a_helper_that_fails_or_never_ends_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for (number, (script, millis, expected)) in [
            (
                "echo 'the keyring is locked'; exit 1",
                60_000,
                "the keyring is locked",
            ),
            (
                "echo '{\"Secret\": \"s3cret\"}'; exit 1",
                60_000,
                "failed: exit status: 1",
            ),
            ("exec sleep 300", 200, "did not answer within 0.2 s"),
            (
                "exec >&-; exec sleep 300",
                200,
                "did not answer within 0.2 s",
            ),
            ("sleep 1 & exit 0", 200, "did not answer within 0.2 s"),
        ]
        .into_iter()
        .enumerate()
        {
            let program = directory.path().join(format!("helper-{number}"));
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
            let limit = Duration::from_millis(millis);
            let error = ask_program(&program.display().to_string(), "r", limit).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let error = ask("not-installed", "r").unwrap_err();
        assert!(error.contains("is not in `PATH`"), "{error}");
    }
}
