//! One server a process, over one store, walked by `rehearse` and changed by one-shot commands.

use std::process::Output;

use pxectl::machine::Phase;

use crate::serve::server::Server;
use crate::support::rack::Rack;

fn rehearse(rack: &Rack, servers: [&Server; 3], more: &[&str]) -> Output {
    rehearse_host(rack, servers, "worker-01", more)
}

fn rehearse_host(rack: &Rack, servers: [&Server; 3], host: &str, more: &[&str]) -> Output {
    let port = |index: usize, service| servers[index].address(service).port().to_string();
    let (dhcp, tftp, http) = (port(0, "dhcp"), port(1, "tftp"), port(2, "http"));
    let words = ["rehearse", host, "--server", "127.0.0.1"];
    let ports = [
        "--dhcp-port",
        &dhcp,
        "--tftp-port",
        &tftp,
        "--http-port",
        &http,
    ];
    rack.command(&[&words[..], &ports, more].concat())
        .output()
        .unwrap()
}

/// The steps, without what they took and said.
fn steps(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.starts_with("  "));
    lines
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

fn arm(rack: &Rack) {
    let output = rack.run(&["host", "provision", "worker-01"]);
    output.assert_success();
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

#[test]
fn three_processes_share_one_store_and_a_rehearsal_walks_them() {
    let rack = Rack::beside_store();
    let (dhcp, tftp) = (Server::start(&rack, "dhcp"), Server::start(&rack, "tftp"));
    let mut http = Server::start(&rack, "http");
    let servers = [&dhcp, &tftp, &http];

    // Nobody armed it: its local disk.
    let output = rehearse(&rack, servers, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        steps(&output),
        ["dhcp", "tftp", "dhcp", "script", "script", "disk"]
    );
    assert_eq!(rack.record("worker-01"), None);

    // Armed while the servers run: it would install, and nothing begins.
    arm(&rack);
    let armed = rack.record("worker-01").unwrap();
    for _ in 0..2 {
        let output = rehearse(&rack, servers, &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(
            steps(&output),
            ["dhcp", "tftp", "dhcp", "script", "script", "stop"]
        );
        assert!(output.stderr.is_empty(), "{output:?}");
        assert_eq!(rack.record("worker-01").as_ref(), Some(&armed));
    }
    assert_eq!(
        (armed.phase, armed.session.unwrap().attempts),
        (Phase::Provisioning, 0)
    );

    let output = rehearse(&rack, servers, &["--commit"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let expected = [
        "dhcp", "tftp", "dhcp", "script", "script", "kernel", "initrd", "image", "seed", "seed",
        "seed", "seed", "callback", "callback", "dhcp", "script", "script", "disk",
    ];
    assert_eq!(steps(&output), expected);
    assert!(output.stderr.is_empty(), "{output:?}");
    let installed = rack.record("worker-01").unwrap();
    assert_eq!(
        (installed.phase, installed.session.unwrap().attempts),
        (Phase::Installed, 1)
    );
    http.event(0, "installed");
    for server in [dhcp, tftp, http] {
        server.stop();
    }
}

#[test]
fn a_rehearsal_against_servers_that_are_gone_says_which_step_stopped_and_exits_1() {
    let rack = Rack::beside_store();
    let (dhcp, tftp) = (Server::start(&rack, "dhcp"), Server::start(&rack, "tftp"));
    let http = Server::start(&rack, "http");
    arm(&rack);
    let address = http.address("http");
    let words = [
        "rehearse",
        "worker-01",
        "--server",
        "127.0.0.1",
        "--dhcp-port",
    ];
    let port = dhcp.address("dhcp").port().to_string();
    let tftp_port = tftp.address("tftp").port().to_string();
    let http_port = address.port().to_string();
    http.stop();
    let ports = [&*port, "--tftp-port", &tftp_port, "--http-port", &http_port];
    let output = rack
        .command(&[&words, &ports[..]].concat())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("script      stopped  {address}: ")),
        "{text}"
    );
    assert!(
        text.contains("= help: the log of `serve http` has the reason"),
        "{text}"
    );
    assert!(
        text.contains("\n0 of 1 hosts went as far as their script"),
        "{text}"
    );
    assert_eq!(rack.session("worker-01").attempts, 0);
}

#[test]
fn a_second_dhcp_server_on_the_same_store_is_refused() {
    let rack = Rack::beside_store();
    let first = Server::start(&rack, "dhcp");
    for service in ["dhcp", "all"] {
        let ports = ["--dhcp-port", "0", "--tftp-port", "0", "--http-port", "0"];
        let words = [&["serve", service, "--listen", "127.0.0.1"], &ports[..]].concat();
        let output = rack.command(&words).output().unwrap();
        let expected = format!(
            "error: process {} serves dhcp from the same store `{}`\n  \
             = help: stop it first, or give another `--state`\n",
            first.pid(),
            rack.state().display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert_eq!((output.stdout.len(), output.status.code()), (0, Some(3)));
    }
    // The sign of one that was killed counts for nothing.
    first.kill();
    Server::start(&rack, "dhcp").stop();
}

#[test]
fn a_rehearsal_of_grub_and_pxelinux_against_live_servers_begins_no_session() {
    let rack = Rack::whole_beside_store();
    let (dhcp, tftp) = (Server::start(&rack, "dhcp"), Server::start(&rack, "tftp"));
    let http = Server::start(&rack, "http");
    let servers = [&dhcp, &tftp, &http];
    let grub = ["dhcp", "tftp", "shim", "grub", "script"];
    let volume = ["dhcp", "http", "volume", "dhcp", "script"];
    let pxelinux = ["dhcp", "tftp", "pxelinux"];
    for (host, firmware, until) in [
        ("grub-01", "uefi-x64", &grub[..]),
        ("grub-01", "http-x64", &volume),
        ("legacy-01", "bios", &pxelinux),
    ] {
        let disk = match host {
            "grub-01" => &["disk"][..],
            _ => &["module", "module", "module", "disk"],
        };
        let walk = || {
            let output = rehearse_host(&rack, servers, host, &["--firmware", firmware]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            steps(&output)
        };
        // Nobody armed it: its local disk.
        assert_eq!(walk(), [until, disk].concat(), "{host} as {firmware}");
        rack.done(&["host", "provision", host]);
        assert_eq!(walk(), [until, &["stop"]].concat(), "{host} as {firmware}");
        let phase = rack.record(host).unwrap().phase;
        let attempts = rack.session(host).attempts;
        assert_eq!((phase, attempts), (Phase::Provisioning, 0));
        rack.done(&["host", "cancel", host]);
    }
    for server in [dhcp, tftp, http] {
        server.stop();
    }
}
