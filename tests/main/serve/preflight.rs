//! Checks before the start of the servers, and the help text of each failure.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use crate::support::rack::Rack;
use crate::support::requirements::missing;

const NO_PRIVILEGES: &str = "  = help: run as root, or first run \
     `setcap cap_net_bind_service,cap_net_raw,cap_net_admin=+ep $(command -v pxectl)`";

/// A network namespace that contains only the devices that `set_up` creates.
fn in_namespace(set_up: &str) -> Vec<String> {
    let script = format!("set -e; ip link set lo up; {set_up}; exec \"$@\"");
    ["unshare", "--net", "sh", "-c", &script, "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// Asserts that a server does not start, and asserts its output.
#[track_caller]
pub fn refused(rack: &Rack, wrapper: &[String], words: &[&str], expected: &str) {
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let output = rack.command_under(&wrapper, words).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(3)));
}

#[test]
fn process_that_uses_the_port_is_reported() {
    let rack = Rack::without_store();
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = udp.local_addr().unwrap().port().to_string();
    let taken_tcp = tcp.local_addr().unwrap().port().to_string();
    let own = fs::read_to_string("/proc/self/comm").unwrap();
    let owner = format!("`{}` (process {})", own.trim(), std::process::id());
    for (service, option, port, what, address) in [
        ("dhcp", "--dhcp-port", &taken, "DHCP", "0.0.0.0"),
        ("tftp", "--tftp-port", &taken, "TFTP", "127.0.0.1"),
        ("http", "--http-port", &taken_tcp, "HTTP", "127.0.0.1"),
    ] {
        let words = ["serve", service, option, port, "--listen", "127.0.0.1"];
        let expected = format!(
            "error: cannot serve {what} on {address}:{port}: Address already in use (os error 98)\n  \
             = help: stop {owner}, which uses the port, or use another port with `{option} PORT`\n"
        );
        refused(&rack, &[], &words, &expected);
    }
    assert!(!rack.state().exists());
}

#[test]
fn missing_privileges_are_named_all_at_once() {
    if missing(&["root", "unshare", "ip"]) {
        return;
    }
    let rack = Rack::beside_store();
    // A directory in which the user `nobody` may read and run it.
    fs::set_permissions(rack.base(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = rack.base().join("pxectl");
    fs::copy(env!("CARGO_BIN_EXE_pxectl"), &binary).unwrap();
    let mut wrapper = in_namespace("ip link add eth1 type veth peer name peer");
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    wrapper.extend(nobody.split(' ').map(str::to_owned));
    wrapper.push(binary.display().to_string());
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let inventory = rack.path().display().to_string();
    let state = rack.state().display().to_string();
    let words = [
        "serve",
        "all",
        "--listen",
        "127.0.0.1",
        "-i",
        &inventory,
        "--state",
        &state,
    ];
    let output = std::process::Command::new(wrapper[0])
        .args(&wrapper[1..])
        .args(words)
        .output()
        .unwrap();
    let help =
        |option: &str| format!("{NO_PRIVILEGES}, or try another port with `{option} PORT`\n");
    let denied = "Permission denied (os error 13)";
    let expected = format!(
        "error: cannot serve DHCP on 0.0.0.0:67: {denied}\n{}\
         error: cannot send DHCP replies to machines without an address: Operation not permitted (os error 1)\n\
         {NO_PRIVILEGES}\n\
         error: interface `eth1` is down\n  = help: run `ip link set eth1 up`\n\
         warning: interface `eth1` has no address in `10.20.0.0/24`\n  \
         = help: run `ip address add ADDRESS/24 dev eth1`, unless a router connects it\n\
         error: cannot serve TFTP on 127.0.0.1:69: {denied}\n{}",
        help("--dhcp-port"),
        help("--tftp-port"),
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(3)));
}

#[test]
fn the_privilege_to_send_frames_is_missed_before_a_machine_misses_its_offer() {
    if missing(&["root", "unshare", "ip", "setpriv"]) {
        return;
    }
    let set_up = "ip link add eth1 type veth peer name peer; ip link set eth1 up; \
                  ip address add 10.20.0.10/24 dev eth1";
    let mut wrapper = in_namespace(set_up);
    wrapper.extend(["setpriv", "--bounding-set", "-net_raw"].map(str::to_owned));
    let expected = format!(
        "error: cannot send DHCP replies to machines without an address: Operation not permitted (os error 1)\n\
         {NO_PRIVILEGES}\n"
    );
    refused(
        &Rack::beside_store(),
        &wrapper,
        &["serve", "dhcp"],
        &expected,
    );
}

#[test]
fn missing_interface_loader_directory_and_address_have_help_texts() {
    if missing(&["root", "unshare", "ip"]) {
        return;
    }
    let rack = Rack::beside_store();
    fs::remove_file(rack.file("boot/undionly.kpxe")).unwrap();
    rack.rewrite("site.yaml", |text| {
        text.replace("files: [boot]", "files: [boot, gone]")
    });
    let gone = rack.file("gone").display().to_string();
    let rest = format!(
        "warning: `{gone}` of `server.files` does not exist\n  \
         = help: create it, or correct `server.files` of the site\n\
         warning: cannot serve loader `undionly.kpxe`: no served directory has `undionly.kpxe`\n  \
         = help: put the loader into a directory of `server.files`; on Debian, the package `ipxe` installs loaders in \
         /usr/lib/ipxe; if a link there leads to /boot, add its target: `files: [/usr/lib/ipxe, /boot/ipxe.efi]`\n\
         warning: no interface has the address `10.20.0.10` of `server.address`, from which machines fetch\n  \
         = help: run `ip address add 10.20.0.10/24 dev INTERFACE`, or correct `server.address` of the site\n"
    );
    for (set_up, help) in [
        (
            "true",
            "this machine has only `lo`; run `ip link` to list its interfaces",
        ),
        (
            "ip link add prov type veth peer name peer",
            "correct `interface:` of the network; this machine has peer, prov",
        ),
    ] {
        let expected = format!(
            "error: interface `eth1` of network `prov0` does not exist\n  = help: {help}\n{rest}"
        );
        refused(&rack, &in_namespace(set_up), &["serve", "all"], &expected);
    }
}
