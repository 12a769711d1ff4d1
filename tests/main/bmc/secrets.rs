//! The sources of passwords, and that passwords appear nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::json;

use crate::bmc::emulator::profile::{CONTOSO, SUSHY};
use crate::bmc::emulator::{BodyKind, Emulator, Fault, PASSWORD};
use crate::bmc::rack::HostDocument;
use crate::bmc::vault::Vault;
use crate::support::rack::Rack;
use crate::support::run_output::RunOutput;

/// Makes a rack of one host with a secret source.
fn rack(emulator: &mut Emulator, password: &str) -> Rack {
    let bmc = emulator.add(CONTOSO);
    let mut host = HostDocument::of(&bmc, 0);
    host.bmc = host.bmc.replace("{env: BMC_PASSWORD}", password);
    Rack::with_hosts(&[host])
}

#[test]
fn password_is_read_from_environment_file_command_and_vault() {
    let mut emulator = Emulator::start();
    let vault = Vault::start();
    for source in [
        "{env: BMC_PASSWORD}",
        "{file: password}",
        "{exec: [/bin/cat, password]}",
        "{vault: secret/bmc}",
        "{vault: \"kv1/bmc#password\"}",
    ] {
        let rack = rack(&mut emulator, source);
        rack.write("password", format!("{PASSWORD}\n"));
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(rack.file("password"), private).expect("a mode");
        let mut command = rack.command(&["bmc", "status", "--all"]);
        command.env("VAULT_ADDR", format!("http://{}", vault.address));
        command.env("VAULT_TOKEN", "the-token");
        if source != "{env: BMC_PASSWORD}" {
            command.env_remove("BMC_PASSWORD");
        }
        let output = RunOutput::of(&mut command);
        assert_eq!(output.status, Some(0), "{source}: {}", output.all());
        output.assert_success();
        assert!(!output.all().contains("the-token"), "{}", output.all());
    }
    assert!(!vault.requests.lock().expect("the list").is_empty());
}

#[test]
fn unreadable_password_is_an_error_of_its_host() {
    let mut emulator = Emulator::start();
    let vault = Vault::start();
    for (source, expected) in [
        ("{env: NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE"),
        ("{file: nowhere}", "nowhere"),
        ("{exec: [/bin/false]}", "/bin/false"),
        ("{vault: secret/another}", "secret/another"),
    ] {
        let rack = rack(&mut emulator, source);
        let mut command = rack.command(&["bmc", "status", "--all"]);
        command.env("VAULT_ADDR", format!("http://{}", vault.address));
        command.env("VAULT_TOKEN", "the-token");
        let output = RunOutput::of(&mut command);
        output.assert_exit(3).assert_contains(&[expected, "help"]);
    }
    let rack = rack(&mut emulator, "{vault: secret/bmc}");
    let mut command = rack.command(&["bmc", "status", "--all"]);
    command.env("VAULT_ADDR", format!("http://{}", vault.address));
    command.env("VAULT_TOKEN", "a-wrong-token");
    let output = RunOutput::of(&mut command);
    output.assert_exit(3).assert_contains(&["secret/bmc"]);
    assert!(!output.all().contains("a-wrong-token"), "{}", output.all());
}

#[test]
fn validate_and_render_run_no_secret_command() {
    let mut emulator = Emulator::start();
    let rack = rack(&mut emulator, "{exec: [/usr/bin/touch, was-run]}");
    rack.run(&["validate"]).assert_success();
    rack.run(&["render", "--all"]);
    assert!(!rack.file("was-run").exists());
}

#[test]
fn password_in_the_inventory_is_refused_and_not_shown() {
    let mut emulator = Emulator::start();
    let rack = rack(&mut emulator, PASSWORD);
    let output = rack.run(&["validate"]);
    output
        .assert_exit(1)
        .assert_contains(&["the inventory must not contain a password"]);
}

#[test]
fn no_diagnostic_shows_a_password_in_the_inventory() {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let good = HostDocument::of(&bmc, 0);
    let port = bmc.port;
    for keys in [
        // In the address, even if it is not a valid one.
        format!(
            "{{url: \"https://admin:{PASSWORD}@10.0.0.1\", username: a, password: {{env: B}}}}"
        ),
        format!("{{url: \"admin:{PASSWORD}@10.0.0.1\", username: a, password: {{env: B}}}}"),
        // Beside another error whose line is shown.
        format!(
            "{{url: \"http://127.0.0.1:{port}\", username: a, password: {PASSWORD}, nonsense: 1}}"
        ),
        // In path of a reference, and over several lines.
        format!("{{url: \"https://a\", username: a, password: {{env: \"B={PASSWORD}\"}}}}"),
        format!("\n  url: https://a\n  username: a\n  password: |\n    {PASSWORD}\n    more"),
    ] {
        let rack = Rack::with_hosts(&[HostDocument {
            bmc: keys.clone(),
            ..good.clone()
        }]);
        for words in [
            &["validate"][..],
            &["validate", "--format", "json"],
            &["bmc", "status", "--all"],
        ] {
            // `assert_exit` searches the output for the password.
            rack.run(words)
                .assert_exit(1)
                .assert_contains(&["hosts.yaml", "help"]);
        }
    }
    assert_eq!(bmc.requests().len(), 0);
}

#[test]
fn no_secret_is_printed_or_kept() {
    // With and without sessions, with a right and a wrong password, as text and as JSON, with all
    // details.
    for profile in [CONTOSO, SUSHY] {
        for is_good in [true, false] {
            let mut emulator = Emulator::start();
            let bmc = emulator.add(profile);
            if !is_good {
                // The error message repeats the password.
                bmc.controller(|controller| controller.password = "another".to_owned());
            }
            let rack = Rack::of_bmcs(&[&bmc]);
            for words in [
                &["status", "--all", "-v"][..],
                &["status", "--all", "--format", "json"],
                &["boot-pxe", "--all", "--yes", "--dry-run", "-v"],
                &["inventory", "--all", "-v"],
            ] {
                // `assert_exit` searches the output for secrets.
                rack.bmc(words).assert_exit(if is_good { 0 } else { 3 });
                bmc.controller(|controller| controller.failures = 0);
            }
            for entry in fs::read_dir(rack.file("state")).expect("the store") {
                let path = entry.expect("an entry").path();
                let content = fs::read(&path).unwrap_or_default();
                for secret in [PASSWORD, "token-1"] {
                    let found = content
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes());
                    assert!(!found, "`{secret}` is in {}", path.display());
                }
            }
        }
    }
}

#[test]
fn boot_token_reaches_only_the_bmc() {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let rack = Rack::of_bmcs(&[&bmc]);
    let mut printed = String::new();
    for words in [
        &["boot-http", "--all", "--dry-run"][..],
        &["boot-http", "--all", "--dry-run", "--format", "json"],
        &["boot-http", "--all", "--yes", "-v"],
        &["status", "--all", "-v"],
        &["status", "--all", "--format", "json"],
    ] {
        let output = rack.bmc(words);
        printed += &output.assert_exit(0).all();
    }
    let uri = bmc.machine(|machine| machine.boot.uri.clone());
    let uri = uri.expect("a URI");
    let token = uri.split('/').max_by_key(|part| part.len());
    let token = token.expect("a part");
    assert!(token.len() > 20, "no token in {uri}");
    assert!(!printed.contains(token), "{token} is in {printed}");
}

#[test]
fn secret_repeated_by_a_bmc_is_masked() {
    for (path, status, words) in [
        (
            "/redfish/v1/Systems/",
            400,
            &["boot-http", "--all", "--yes"][..],
        ),
        (
            "/redfish/v1/Systems/",
            403,
            &["boot-http", "--all", "--yes"],
        ),
        ("/redfish/v1/SessionService", 403, &["status", "--all"]),
    ] {
        for format in ["text", "json"] {
            let mut emulator = Emulator::start();
            let bmc = emulator.add(CONTOSO);
            let rack = Rack::of_bmcs(&[&bmc]);
            bmc.set_fault(path, Fault::QuotesSecret(status));
            let output = rack.bmc(&[words, &["--format", format]].concat());
            // `assert_exit` searches the output for the password.
            output
                .assert_exit(3)
                .assert_contains(&["acceptable values"]);
            let sent = bmc.patches();
            let uris = sent
                .iter()
                .filter_map(|it| it["Boot"]["HttpBootUri"].as_str());
            for token in uris.flat_map(|it| it.split('/')).filter(|it| it.len() > 20) {
                assert!(!output.all().contains(token), "{}", output.all());
            }
            assert_eq!(sent.is_empty(), words[0] == "status");
        }
    }
}

fn percent_encoded(text: &str, format: fn(u8) -> String) -> String {
    let bytes = text.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format(byte)
        }
    });
    bytes.collect()
}

/// The forms in which a BMC may repeat what it was sent.
const ENCODINGS: [fn(&str, &str) -> String; 11] = [
    |_, password| password.to_owned(),
    |_, password| json!(password).to_string(),
    |_, password| json!({"Password": password}).to_string(),
    |_, password| json!(json!({"Password": password}).to_string()).to_string(),
    |_, password| percent_encoded(password, |byte| format!("%{byte:02X}")),
    |_, password| percent_encoded(password, |byte| format!("%{byte:02x}")),
    |_, password| {
        let named = password.replace('&', "&amp;").replace('<', "&lt;");
        named.replace('"', "&quot;")
    },
    |user, password| BASE64.encode(format!("{user}:{password}").as_bytes()),
    |_, password| BASE64.encode(password.as_bytes()),
    |_, password| BASE64URL_NOPAD.encode(format!("x{password}").as_bytes()),
    |_, password| BASE64URL_NOPAD.encode(format!("xy{password}z").as_bytes()),
];

#[test]
fn no_encoding_of_a_password_is_printed() {
    const ODD: &str = "hun\"ter\\2/&<?>~";
    for (number, encode) in ENCODINGS.into_iter().enumerate() {
        for kind in [BodyKind::Json, BodyKind::Text] {
            let mut emulator = Emulator::start();
            let bmc = emulator.add(CONTOSO);
            let rack = Rack::of_bmcs(&[&bmc]);
            bmc.set_fault(
                "/redfish/v1/SessionService",
                Fault::QuotesEncoded(403, kind, encode),
            );
            for format in ["text", "json"] {
                let words = ["bmc", "status", "--all", "--format", format];
                let mut command = rack.command(&words);
                let output = RunOutput::of(command.env("BMC_PASSWORD", ODD));
                output
                    .assert_exit(3)
                    .assert_contains(&["No such account", "***", "is it?"]);
                // The output has no quotes and no backslashes, so a part of the password could
                // still be recognized.
                let all = output.all();
                for secret in [
                    &encode("admin", ODD)[..],
                    "hunter2",
                    "hun",
                    "ter",
                    "aHVuInRlcl",
                ] {
                    assert!(!all.contains(secret), "{number}: `{secret}` is in {all}");
                }
            }
        }
    }
}

#[test]
fn text_that_may_repeat_a_very_short_password_is_not_printed() {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let rack = Rack::of_bmcs(&[&bmc]);
    bmc.set_fault(
        "/redfish/v1/SessionService",
        Fault::QuotesEncoded(403, BodyKind::Json, ENCODINGS[0]),
    );
    let mut command = rack.command(&["bmc", "status", "--all"]);
    let output = RunOutput::of(command.env("BMC_PASSWORD", "zq"));
    output
        .assert_exit(3)
        .assert_contains(&["too short to be masked"]);
    assert!(
        !output.all().contains("No such account"),
        "{}",
        output.all()
    );
}

#[test]
fn password_in_an_image_url_is_refused_and_not_shown() {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let rack = Rack::of_bmcs(&[&bmc]);
    let url = "http://anna:hunter2@10.20.0.10/live.iso";
    for words in [
        &["media", "insert", url, "--all", "--yes"][..],
        &["boot-http", "--url", url, "--all", "--yes"],
    ] {
        let output = rack.bmc(words);
        output.assert_exit(1).assert_contains(&["password"]);
        assert!(!output.all().contains("hunter2"), "{}", output.all());
    }
    assert_eq!(bmc.requests().len(), 0);
}

#[test]
fn error_explains_the_order_of_hosts_and_url() {
    let mut emulator = Emulator::start();
    let bmc = emulator.add(CONTOSO);
    let rack = Rack::of_bmcs(&[&bmc]);
    let url = "http://10.20.0.10/live.iso";
    let output = rack.bmc(&["media", "insert", url, "host-001-0", "--yes"]);
    output.assert_exit(1).assert_contains(&[
        "`host-001-0` is not the URL of an image",
        "put the hosts first and `http://10.20.0.10/live.iso` last",
    ]);
    // A password in the URL is not repeated.
    let early = "http://anna:hunter2@10.20.0.10/live.iso";
    let output = rack.bmc(&["media", "insert", early, "host-001-0", "--yes"]);
    output.assert_exit(1);
    assert!(!output.all().contains("hunter2"), "{}", output.all());
    let output = rack.bmc(&["media", "insert", "host-001-0", "live.iso", "--yes"]);
    output
        .assert_exit(1)
        .assert_contains(&["`live.iso` is not the URL of an image"]);
    assert_eq!(bmc.requests().len(), 0);
}

#[test]
fn no_secret_is_on_a_command_line() {
    let mut emulator = Emulator::start();
    let rack = rack(
        &mut emulator,
        "{exec: [/bin/sh, -c, 'cat /proc/*/cmdline >arguments; cat password']}",
    );
    rack.write("password", PASSWORD);
    rack.bmc(&["status", "--all"]).assert_success();
    let arguments = fs::read(rack.file("arguments")).expect("the arguments");
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    assert!(
        arguments.contains("bmc\0status"),
        "our own process is missing"
    );
    assert!(!arguments.contains(PASSWORD));
}
