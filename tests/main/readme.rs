//! The transcript in README.md is what the program prints.

use std::fs;
use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- rehearse worker-01: begin -->\n";
const END: &str = "<!-- rehearse worker-01: end -->\n";
const ARGUMENTS: [&str; 4] = ["rehearse", "-i", "fixtures/rack-a", "worker-01"];

#[test]
fn the_transcript_of_the_readme_is_what_rehearse_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new(env!("CARGO_BIN_EXE_pxectl"))
        .args(ARGUMENTS)
        .current_dir(root)
        .env_remove("PXECTL_INVENTORY")
        .env_remove("PXECTL_BUNDLES")
        .output()
        .unwrap();
    let stdout = String::from_utf8(run.stdout).unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(
        (run.status.code(), stderr.as_str()),
        (Some(0), ""),
        "{stdout}"
    );

    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let printed = format!(
        "```console\n$ pxectl {}\n{stdout}```\n",
        ARGUMENTS.join(" ")
    );
    if without_times(shown) == without_times(&printed) {
        return;
    }
    if crate::support::fixture_updates::updates_fixtures() {
        return fs::write(&path, format!("{before}{BEGIN}{printed}{END}{after}")).unwrap();
    }
    assert_eq!(
        without_times(shown),
        without_times(&printed),
        "`UPDATE_FIXTURES=1 cargo nextest run --test main readme` rewrites it"
    );
}

/// Replaces each number before `ms` or `s`, with the blanks that align it, by `_`.
fn without_times(text: &str) -> String {
    let is_time =
        |word: &str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            for at in 1..words.len() {
                if matches!(words[at], "ms" | "s") && is_time(words[at - 1]) {
                    words[at - 1] = "_";
                }
            }
            words.join(" ") + "\n"
        })
        .collect()
}

#[test]
fn only_times_are_masked() {
    let masked = without_times("  tftp   4.4 ms  snponly.efi: 7500 octets\nin 0.18 s\n");
    assert_eq!(masked, "tftp _ ms snponly.efi: 7500 octets\nin _ s\n");
}

/// Returns the block of the README that begins with a line.
fn block<'r>(readme: &'r str, first: &str) -> &'r str {
    let at = readme.find(&format!("```yaml\n{first}")).unwrap();
    let (_, block) = readme[at..].split_once('\n').unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_first_rack_of_the_readme_works_to_the_letter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let rack = place.path().join("rack-a");
    let write = |name: &str, text: &str| fs::write(rack.join(name), text).unwrap();
    let run = |directory: &Path, line: &str| {
        let words = line.split('#').next().unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_pxectl"))
            .args(words.split_whitespace().skip(1))
            .current_dir(directory)
            .env("PXECTL_STATE", place.path().join("state"))
            .env("PXECTL_WITNESS", place.path().join("witness"))
            .env_remove("PXECTL_INVENTORY")
            .env_remove("PXECTL_BUNDLES")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let other = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(0), "{line}: {said}{other}");
        said
    };
    let line = |start: &str| {
        let mut lines = readme.lines();
        lines.find(|line| line.starts_with(start)).unwrap()
    };
    let init = line("pxectl init rack-a");
    run(place.path(), init.split(" && ").next().unwrap());
    // The packages may not be here: files of ours stand in for theirs.
    let site = fs::read_to_string(rack.join("site.yaml")).unwrap();
    let (served, _) = line("  files: [").split_once("  #").unwrap();
    let site = site.replace("  files: [/usr/lib/ipxe]  ", served);
    assert!(site.contains("/boot/ipxe.efi]"), "{site}");
    let loaders = root.join("fixtures/rack-a/boot").display().to_string();
    write(
        "site.yaml",
        &site.replace("/usr/lib/ipxe, /boot/ipxe.efi", &loaders),
    );
    let spec = block(&readme, "# debian-12.spec.yaml");
    let spec = spec.replace(
        "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/",
        "",
    );
    write("debian-12.spec.yaml", &spec);
    write("linux", "a kernel");
    write("initrd.gz", "an initrd");
    let build = line("pxectl bundle build debian-12.spec.yaml");
    run(&rack, build);
    run(&rack, build);
    let gone = line("rm ").strip_prefix("rm ").unwrap();
    fs::remove_file(rack.join(gone)).unwrap();
    let documents = block(&readme, "# profiles.yaml");
    let (profiles, hosts) = documents.split_once("---\n").unwrap();
    write("profiles.yaml", profiles);
    write("hosts.yaml", hosts);
    let clean = line("rack-a: 1 host");
    let said = run(&rack, "pxectl validate");
    assert!(said.ends_with(&format!("{clean}\n")), "{said}");
    let said = run(&rack, "pxectl rehearse --all");
    assert!(said.contains("1 of 1 hosts went to the end"), "{said}");
    // The README starts `pxectl serve all` here, which needs root and creates the store.
    let serve = readme.find("\npxectl serve all\n").unwrap();
    let provision = line("# pxectl host provision ");
    assert!(serve < readme.find(provision).unwrap());
    run(&rack, "pxectl store create");
    let said = run(&rack, provision.strip_prefix("# ").unwrap());
    let (armed, _) = line("node-01: armed until ").split_once("until").unwrap();
    assert!(said.starts_with(armed), "{said}");
    // The backup goes beside the rack, and its store takes the place of the one that is lost.
    let here = |line: &str| line.replace("/srv/backup/", "");
    run(&rack, &here(line("pxectl store backup ")));
    fs::remove_dir_all(place.path().join("state")).unwrap();
    let said = run(&rack, &here(line("pxectl store restore ")));
    assert!(said.contains("suspended the sessions of node-01"), "{said}");
}
