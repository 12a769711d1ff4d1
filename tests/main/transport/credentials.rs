//! Credentials for registries from the files and helpers of Docker and Podman.

use std::os::unix::fs::PermissionsExt;

use crate::support::rack::{BUNDLE, Rack};
use crate::support::requirements::missing;
use crate::support::run_output::RunOutput;
use crate::transport::server::DockerRegistry;

/// Runs a command with a script as the credential helper.
fn run_with_helper(rack: &Rack, script: Option<&str>, arguments: &[&str]) -> RunOutput {
    let directory = rack.file("helpers");
    std::fs::create_dir_all(&directory).expect("a directory");
    let helper = directory.join("docker-credential-test");
    let _ = std::fs::remove_file(&helper);
    if let Some(script) = script {
        std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&helper, mode).expect("it can be run");
    }
    let path = format!("{}:/usr/bin:/bin", directory.display());
    let mut command = rack.command(arguments);
    RunOutput::of(command.env("PATH", path))
}

fn config(rack: &Rack, text: &str) {
    std::fs::create_dir_all(rack.file("docker")).expect("a directory");
    rack.write("docker/config.json", text);
}

#[test]
fn helpers_for_one_registry_and_for_all_are_used() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), true);
    let host = &registry.host;
    let place = registry.place("boot");
    let publish = ["bundle", "publish", BUNDLE, &place, "--plain-http"];
    // The helper gets the name of the server, and nothing else.
    let good = format!(
        "[ \"$1\" = get ] && [ \"$(cat)\" = {host} ] && \
         echo '{{\"Username\": \"anna\", \"Secret\": \"s3cret\"}}'"
    );
    let wrong = "YW5uYTp3cm9uZw==";
    for text in [
        format!(
            r#"{{"credHelpers": {{"{host}": "test"}}, "auths": {{"{host}": {{"auth": "{wrong}"}}}}}}"#
        ),
        r#"{"credsStore": "test"}"#.to_owned(),
        format!(r#"{{"credsStore": "test", "auths": {{"{host}": {{}}}}}}"#),
    ] {
        config(&rack, &text);
        let published = run_with_helper(&rack, Some(&good), &publish);
        assert_eq!(published.status, Some(0), "{text}: {}", published.stderr);
    }
    for (script, expected) in [
        (None, "is not in `PATH`"),
        (
            Some("echo 'the keyring is locked'; exit 1"),
            "the keyring is locked",
        ),
        (
            Some("echo '{\"Secret\": \"s3cret\"'; exit 0"),
            "did not print JSON",
        ),
        (
            Some("echo '{\"Secret\": \"s3cret\"}'; exit 3"),
            "failed: exit status",
        ),
        (
            Some("echo 'credentials not found in native keychain'; exit 1"),
            "requires credentials, and none are configured",
        ),
    ] {
        let refused = run_with_helper(&rack, script, &publish);
        assert_eq!(refused.status, Some(3), "{script:?}");
        assert!(
            refused.stderr.contains(expected),
            "{script:?}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("help: "),
            "{script:?}: {}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_never_shown() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), true);
    let place = registry.place("boot");
    // `anna:wr0ng-one`, in base64.
    let auth = "YW5uYTp3cjBuZy1vbmU=";
    config(
        &rack,
        &format!(
            r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#,
            registry.host
        ),
    );
    for arguments in [
        vec!["bundle", "publish", BUNDLE, &place, "--plain-http", "-v"],
        vec![
            "bundle",
            "pull",
            &place,
            BUNDLE,
            "--plain-http",
            "-v",
            "--bundles",
            "new",
        ],
    ] {
        let before = registry.responses().len();
        let refused = rack.refused(3, &arguments);
        assert!(refused.contains("rejected the credentials"), "{refused}");
        assert!(
            !refused.contains("wr0ng") && !refused.contains(auth),
            "{refused}"
        );
        // One request without credentials, and one with them.
        let answered = registry.responses().split_off(before);
        assert_eq!(answered.len(), 2, "{answered:?}");
        assert!(
            answered.iter().all(|it| it.ends_with(" 401")),
            "{answered:?}"
        );
    }
}

#[test]
fn the_files_of_docker_and_podman_are_found() {
    if missing(&["docker-registry"]) {
        return;
    }
    let (rack, data) = (Rack::a(), Rack::empty());
    let registry = DockerRegistry::start(data.path(), true);
    let place = registry.place("boot");
    let publish = ["bundle", "publish", BUNDLE, &place, "--plain-http"];
    let good = format!(
        r#"{{"auths": {{"{}/boot": {{"auth": "YW5uYTpzM2NyZXQ="}}}}}}"#,
        registry.host
    );
    let rest = ["run/containers", "home/.docker", "conf"];
    for directory in rest {
        std::fs::create_dir_all(rack.file(directory)).expect("a directory");
    }
    for (variable, value, file) in [
        ("REGISTRY_AUTH_FILE", "own.json", "own.json"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json"),
        ("DOCKER_CONFIG", "conf", "conf/config.json"),
        ("HOME", "home", "home/.docker/config.json"),
    ] {
        let mut command = rack.command(&publish);
        if variable == "HOME" {
            command.env_remove("DOCKER_CONFIG");
        }
        command.env(variable, rack.file(value));
        let refused = RunOutput::of(&mut command);
        assert_eq!(refused.status, Some(3), "{variable}: {}", refused.stderr);
        rack.write(file, &good);
        let published = RunOutput::of(&mut command);
        assert_eq!(
            published.status,
            Some(0),
            "{variable}: {}",
            published.stderr
        );
    }
    // An unreadable file is not ignored.
    rack.write("own.json", "{");
    let mut command = rack.command(&publish);
    command.env("REGISTRY_AUTH_FILE", rack.file("own.json"));
    let refused = RunOutput::of(&mut command);
    assert!(refused.stderr.contains("own.json"), "{}", refused.stderr);
}
