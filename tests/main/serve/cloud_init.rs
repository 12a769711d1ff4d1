//! The real cloud-init takes the seeds of an install, as it does in an installer that booted with our
//! kernel command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

/// Runs cloud-init's network stage over directories of its own, in which none of its modules is on:
/// it finds its data source and keeps what that says, and changes nothing else. It reads the kernel's
/// command line from an environment variable that it has for that.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mkdir -p "$1/lib" "$1/run" "$1/etc/cloud.cfg.d" "$1/log" "$1/net"
mount --bind "$1/lib" /var/lib/cloud 2>/dev/null || { mkdir -p /var/lib/cloud; mount --bind "$1/lib" /var/lib/cloud; }
mkdir -p /run/cloud-init
mount --bind "$1/run" /run/cloud-init
cat > "$1/etc/cloud.cfg" <<'END'
datasource_list: [NoCloud]
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: []
network: {config: disabled}
preserve_hostname: true
manage_etc_hosts: false
system_info: {distro: debian}
END
mount --bind "$1/etc" /etc/cloud
exec cloud-init --debug init
"#;

#[test]
fn cloud_init_finds_its_nocloud_seed_by_our_kernel_command_line() {
    if missing(&["root", "unshare", "mount", "cloud-init"]) {
        return;
    }
    let rack = Rack::beside_store();
    rack.done(&["host", "provision", "worker-01"]);
    let mut server = Server::start(&rack, "http");
    let url = format!("http://{}", server.address("http"));
    let seed = rack.capability("worker-01", Purpose::Seed);
    let script = server.web().get(&rack.boot_url().0).text().to_owned();
    // The fixture's server has another address; this one's port is free.
    let arguments = script
        .lines()
        .find_map(|line| line.strip_prefix("kernel "))
        .unwrap()
        .replace("http://10.20.0.10:8080", &url);
    assert!(arguments.contains(&format!("ds=nocloud-net;s={url}/s/{seed}/")));

    let directory = rack.base().join("cloud");
    fs::create_dir(&directory).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--uts", "sh", "-c", SCRIPT, "sh"])
        .arg(&directory)
        .env("DEBUG_PROC_CMDLINE", &arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    // It names the instance after the session.
    let session = rack.session("worker-01").id.to_string();
    let instance = directory.join("lib/instances").join(session);
    let kept = |name: &str| read(&instance.join(name));
    let source = kept("datasource");
    assert!(source.contains("DataSourceNoCloudNet"), "{source}");
    let served = |name: &str| {
        server
            .web()
            .get(&format!("/s/{seed}/{name}"))
            .text()
            .to_owned()
    };
    assert_eq!(kept("user-data.txt"), served("user-data"));
    assert_eq!(kept("vendor-data.txt"), served("vendor-data"));
    server.event(0, "attempt");
    server.stop();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
