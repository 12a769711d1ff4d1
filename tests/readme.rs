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
    if std::env::var_os("UPDATE_FIXTURES").is_some_and(|value| value == "1") {
        return fs::write(&path, format!("{before}{BEGIN}{printed}{END}{after}")).unwrap();
    }
    assert_eq!(
        without_times(shown),
        without_times(&printed),
        "`UPDATE_FIXTURES=1 cargo test --test readme` rewrites it"
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
