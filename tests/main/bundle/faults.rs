//! Invalid input and disk errors: a clear error, and everything before it is intact.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use crate::bundle::workshop::{Workshop, content, listed};
use crate::support::requirements::missing;
use crate::support::tool::run_tool_in;

#[test]
fn errors_in_a_spec_are_shown_with_carets() {
    let workshop = Workshop::new();
    workshop.spec(
        "a",
        "fils: {}\nfiles:\n  kernel: {from: 'https://a.example/linux'}\n  initrd: {image: live}\n",
    );
    let ran = workshop.pxectl("bundle build spec.yaml");
    ran.ended(
        1,
        &[
            "error: unknown key `fils` in this BundleSpec",
            "spec.yaml:4:1",
            "help: did you mean `files`?",
            "error: `https://a.example/linux` is not verified",
            "spec.yaml:6:11",
            "error: unknown image `live`",
        ],
    );
    assert!(!workshop.path("store").exists() && ran.stdout.is_empty());
    workshop
        .pxectl("bundle build none.yaml")
        .ended(3, &["`none.yaml`"]);
}

#[test]
fn a_preset_error_names_the_missing_value() {
    let workshop = Workshop::new();
    for (preset, expected) in [
        ("ubuntu-24.4", "did you mean `ubuntu-24.04`?"),
        (
            "windows",
            "`pxectl bundle build --help` to list the presets",
        ),
        ("talos", "for example `release: v1.10.0`"),
        ("flatcar-stable", "needs `keyring`"),
        ("rhel-9", "needs `mirror`, the directory of its image"),
        (
            "{name: fedora-43, mirror: m, keyring: none.gpg}",
            "`pxectl-bundles(7)` says where to get them",
        ),
    ] {
        workshop.write(
            "m/releases/43/Everything/x86_64/iso/Fedora-Everything-43-1.6-x86_64-CHECKSUM",
            "",
        );
        workshop.spec("a", &format!("preset: {preset}\n"));
        workshop
            .pxectl("bundle build spec.yaml")
            .ended(1, &[expected]);
    }
    let ran = workshop.pxectl("bundle build --preset debian-21");
    ran.ended(2, &["invalid value 'debian-21'", "debian-12"]);
}

#[test]
fn a_file_that_does_not_match_its_list_is_not_stored() {
    let workshop = Workshop::new();
    let image = content(1, 50_000);
    workshop.write("image", &image[..49_999]);
    workshop.write("SUMS", listed("image", &image));
    let build = |file: &str| {
        workshop.spec("a", &format!("files: {{image: {file}}}\n"));
        workshop.pxectl("bundle build spec.yaml")
    };
    let list = "{from: image, checksums: {from: SUMS}}";
    build(list).ended(
        1,
        &["image` hashes to", "`SUMS` states", "`SUMS` is not signed"],
    );
    build(
        "{from: image, sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03}",
    )
    .ended(1, &["the spec states 5891"]);
    workshop.write("image", &image);
    // The list and the spec contradict each other.
    build("{from: image, sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03, checksums: {from: SUMS}}")
        .ended(1, &["`SUMS` hashes to"]);
    workshop.write("SUMS", listed("other", &image));
    build(list).ended(1, &["`SUMS` lists no SHA-256 digest of `image`"]);
    build("{from: none}").ended(3, &["cannot read `none`: No such file"]);
    assert_eq!(workshop.blobs(), (0, 0));
    assert!(workshop.store().names().unwrap().is_empty());
    workshop.write("SUMS", listed("image", &image));
    build(list).ended(0, &[]);
}

#[test]
fn a_name_never_changes_its_content() {
    let workshop = Workshop::new();
    workshop.write("one", "one");
    workshop.spec("a", "files: {image: {from: one}}\n");
    workshop
        .pxectl("bundle build spec.yaml --out a.yaml")
        .ended(0, &["wrote `a.yaml`"]);
    let document = fs::read_to_string(workshop.path("a.yaml")).unwrap();
    let manifest = workshop.store().names().unwrap()["a"].digest.clone();
    workshop.write("one", "two");
    let ran = workshop.pxectl("bundle build spec.yaml --out a.yaml");
    ran.ended(
        1,
        &[
            "the store already has `a` with other content",
            &manifest,
            "a new name",
        ],
    );
    assert_eq!(workshop.store().names().unwrap()["a"].digest, manifest);
    assert_eq!(
        fs::read_to_string(workshop.path("a.yaml")).unwrap(),
        document
    );
}

#[test]
fn one_of_two_simultaneous_builds_of_a_name_wins() {
    let workshop = Workshop::new();
    for number in 0..6 {
        workshop.write(&format!("file-{number}"), content(number, 400_000));
        let spec = format!(
            "kind: BundleSpec\nname: a\narch: x86_64\nfiles: {{image: {{from: file-{number}, path: image}}}}\n"
        );
        workshop.write(&format!("spec-{number}.yaml"), spec);
    }
    let builds = (0..6).map(|number| {
        let mut command = workshop.command(&format!("bundle build spec-{number}.yaml --quiet"));
        let command = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    });
    let builds: Vec<_> = builds.collect();
    let ended: Vec<_> = builds
        .into_iter()
        .map(|build| build.wait_with_output().unwrap())
        .collect();
    let won: Vec<usize> = (0..6)
        .filter(|number| ended[*number].status.success())
        .collect();
    assert_eq!(won.len(), 1, "{ended:?}");
    for (number, output) in ended.iter().enumerate() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            number == won[0] || stderr.contains("with other content"),
            "{stderr}"
        );
    }
    let image = content(won[0] as u32, 400_000);
    assert_eq!(workshop.blob(&image), image);
    let document = String::from_utf8_lossy(&ended[won[0]].stdout);
    assert!(document.contains(listed("", &image).trim()), "{document}");
    assert_eq!(workshop.blobs().1, 0);
}

/// A separate small file system at `store/`; unmounted when dropped.
struct SmallDisk<'w>(&'w Workshop);

impl<'w> SmallDisk<'w> {
    fn new(workshop: &'w Workshop, size: &str) -> Self {
        fs::create_dir_all(workshop.path("store")).unwrap();
        let options = format!("size={size},mode=755");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(workshop.path("store"));
        assert!(mount.status().unwrap().success());
        Self(workshop)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path("store")).status();
    }
}

#[test]
fn a_full_disk_is_reported_and_leaves_old_bundles_intact() {
    if missing(&["root", "mount"]) {
        return;
    }
    let workshop = Workshop::new();
    let disk = SmallDisk::new(&workshop, "3m");
    let small = content(1, 1_000_000);
    workshop.write("small", &small);
    workshop.spec("small", "files: {image: {from: small}}\n");
    workshop.pxectl("bundle build spec.yaml").ended(0, &[]);
    let before = workshop.blobs();
    workshop.write("large", content(2, 4_000_000));
    workshop.spec("large", "files: {image: {from: large}}\n");
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(3, &["4000000 bytes needed", "free some space"]);
    // The size of the file is not known in advance.
    let at = workshop.path("");
    run_tool_in(&at, "mkfifo", &["pipe"]);
    workshop.spec("pipe", "files: {image: {from: pipe}}\n");
    let mut writer = Command::new("cp")
        .args(["large", "pipe"])
        .current_dir(&at)
        .spawn()
        .unwrap();
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(3, &["No space left on device", "free some space"]);
    let _ = writer.wait();
    assert_eq!(workshop.blobs(), before);
    // The server does not state the size and cannot resume, so the part is removed from the disk.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/large", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(&content(3, 4_000_000));
    });
    workshop.spec(
        "web",
        &format!("files: {{image: {{from: '{url}', unverified: true}}}}\n"),
    );
    workshop
        .pxectl("bundle build spec.yaml")
        .ended(3, &["No space left on device", "free some space"]);
    server.join().unwrap();
    assert_eq!(workshop.blobs(), before);
    assert_eq!(workshop.blob(&small), small);
    assert_eq!(workshop.store().names().unwrap().len(), 1);
    drop(disk);
}
