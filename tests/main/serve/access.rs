//! Who is served what, by source address: a proxy that the site trusts says where requests come from,
//! so that one machine can play all sources.

use pxectl::machine::Phase;
use pxectl::token::Purpose;

use crate::serve::server::Server;
use crate::serve::web::{Answer, Web};
use crate::support::rack::Rack;

const BMC: &str = "10.21.0.51";
const OUTSIDE: &str = "192.0.2.8";
const OUTSIDE_WHY: &str = "the source address 192.0.2.8 is outside the site's networks";

/// A rack whose first host has a BMC, and whose server has these keys besides.
fn rack(server: &str) -> Rack {
    let rack = Rack::beside_store();
    rack.rewrite("site.yaml", |text| {
        text.replace("http_port: 8080", &format!("http_port: 8080\n  {server}"))
    });
    rack.rewrite("hosts.yaml", |text| {
        let disk = "disk: {wwn: \"0x5000c500a1b2c301\"}";
        let bmc =
            format!("bmc: {{url: 'https://{BMC}', username: admin, password: {{env: BMC_0001}}}}");
        text.replace(disk, &format!("{disk}\n{bmc}"))
    });
    rack
}

fn from(web: &mut Web, source: &str, method: &str, target: &str) -> Answer {
    let header = format!("X-Forwarded-For: {source}");
    web.ask(method, target, &[&header], "")
}

#[test]
fn each_source_gets_what_is_meant_for_it_and_the_others_hear_why_not() {
    let rack = rack("trusted_proxies: [127.0.0.1]\n  allow: [198.51.100.0/24]");
    rack.done(&["host", "provision", "worker-01"]);
    let mut server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let inventory = pxectl::workspace::Snapshot::read(rack.path()).unwrap();
    let (inventory, _) = inventory.check().good.unwrap();
    let manifest = inventory.bundles["ubuntu-24.04-stand-in"].manifest_digest();
    let (boot, token) = rack.boot_url();
    let machine = [
        boot,
        format!("/m/52-54-00-85-00-01/{token}/snponly.efi"),
        format!("/s/{seed}/user-data"),
        format!("/s/{seed}/files/kernel"),
    ];
    let media = [
        "/files/snponly.efi".to_owned(),
        format!("/b/{manifest}/kernel"),
    ];
    let status = ["/healthz".to_owned(), "/readyz".to_owned()];
    let mut web = server.web();
    // A machine of the site, one behind a NAT, a BMC, and somebody.
    for (source, is_machine, is_media) in [
        ("10.20.0.51", true, true),
        ("198.51.100.7", true, true),
        (BMC, false, true),
        (OUTSIDE, false, false),
    ] {
        let rows = machine.iter().map(|target| (target, is_machine));
        let rows = rows.chain(media.iter().map(|target| (target, is_media)));
        let rows = rows.chain(status.iter().map(|target| (target, true)));
        for (target, is_served) in rows {
            let mark = server.mark();
            let expected = if is_served { 200 } else { 403 };
            // Not even the head of a file, and an attempt does not begin.
            let answer = from(&mut web, source, "HEAD", target);
            assert_eq!(answer.status(), expected, "{source} {target}");
            if is_served {
                continue;
            }
            let answer = from(&mut web, source, "GET", target);
            let why = format!("the source address {source} is outside the site's networks");
            assert!(answer.text().starts_with(&why), "{source} {target}");
            assert!(answer.text().contains("`server.allow`"), "{answer:?}");
            // The lines of earlier requests may arrive after the mark.
            server.wait_for(mark, |line| {
                let message = line["message"].as_str().unwrap_or_default();
                let is_about_it = message.contains(&why) && message.contains("sent 403");
                line["event"] == "http-refused" && is_about_it
            });
        }
    }
    assert_eq!(rack.session("worker-01").attempts, 0);
    server.stop();
}

#[test]
fn a_callback_comes_from_any_source() {
    let rack = rack("trusted_proxies: [127.0.0.1]");
    rack.done(&["host", "provision", "worker-01"]);
    let server = Server::start(&rack, "http");
    let seed = rack.capability("worker-01", Purpose::Seed);
    let callback = rack.capability("worker-01", Purpose::Callback);
    let mut web = server.web();
    let target = format!("/s/{seed}/files/kernel");
    assert_eq!(from(&mut web, "10.20.0.51", "GET", &target).status(), 200);
    let target = format!("/s/{callback}/installed");
    assert_eq!(from(&mut web, OUTSIDE, "POST", &target).status(), 200);
    assert_eq!(rack.record("worker-01").unwrap().phase, Phase::Installed);
    // Its capability is still needed.
    assert_eq!(
        from(&mut web, OUTSIDE, "POST", "/s/x/installed").status(),
        403
    );
    // An unreadable source does not matter either.
    assert_eq!(from(&mut web, "unknown", "POST", &target).status(), 200);
    server.stop();
}

#[test]
fn only_a_configured_proxy_is_believed() {
    let rack = rack("allow: [198.51.100.7]");
    let mut server = Server::start(&rack, "http");
    let mut web = server.web();
    // Whoever claims to be elsewhere is still where it is: here, on loopback.
    assert_eq!(from(&mut web, OUTSIDE, "GET", "/boot.ipxe").status(), 200);
    // The same header counts once the proxy is in the inventory, without a restart.
    let mark = server.mark();
    rack.rewrite("site.yaml", |text| {
        text.replace("allow:", "trusted_proxies: [127.0.0.1]\n  allow:")
    });
    server.event(mark, "reloaded");
    for (source, expected) in [
        (OUTSIDE, 403),
        ("10.20.0.51", 200),
        ("198.51.100.7", 200),
        // A client that writes the header itself: the proxy appends the address that it saw.
        ("10.20.0.51, 192.0.2.8", 403),
        ("127.0.0.1, 192.0.2.8", 403),
        ("unknown", 403),
    ] {
        let answer = from(&mut web, source, "GET", "/boot.ipxe");
        assert_eq!(answer.status(), expected, "{source}");
    }
    let forwarded = ["X-Forwarded-For: 10.20.0.51", "X-Forwarded-For: 192.0.2.8"];
    let answer = web.ask("GET", "/boot.ipxe", &forwarded, "");
    assert_eq!(answer.status(), 403);
    assert!(answer.text().starts_with(OUTSIDE_WHY), "{answer:?}");
    // The proxy's own health check, and a person on this machine, have no such header.
    assert_eq!(web.get("/readyz").status(), 200);
    assert_eq!(web.get("/boot.ipxe").status(), 200);
    server.stop();
}
