//! Which servers use a state directory.

use std::fs;

use pxectl::store::{RunningServer, StoreFault};

fn names(directory: &std::path::Path) -> Vec<String> {
    let servers = RunningServer::list(directory).unwrap();
    servers
        .into_iter()
        .map(|server| format!("{} {}", server.role, server.pid))
        .collect()
}

#[test]
fn a_server_is_listed_from_its_registration_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    assert_eq!(names(&state), [""; 0]);
    let store = super::open(&state);
    let tftp = store.register_server(&state, "tftp", 7).unwrap();
    let dhcp = store.register_server(&state, "dhcp", 8).unwrap();
    assert_eq!(names(&state), ["dhcp 8", "tftp 7"]);
    let error = store.register_server(&state, "dhcp", 8).unwrap_err();
    assert!(matches!(error.fault, StoreFault::Io(_)), "{error}");
    drop(dhcp);
    assert_eq!(names(&state), ["tftp 7"]);
    drop(tftp);
    assert_eq!(names(&state), [""; 0]);
}

#[test]
fn a_marker_without_its_server_does_not_count_and_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = super::open(directory.path());
    let live = store.register_server(directory.path(), "http", 7).unwrap();
    let run = directory.path().join("run");
    fs::write(run.join("dhcp-8"), "").unwrap();
    fs::write(run.join("README"), "").unwrap();
    assert_eq!(names(directory.path()), ["http 7"]);
    assert!(!run.join("dhcp-8").exists());
    assert!(run.join("README").exists(), "not a sign of ours");
    drop(live);
}
