//! The Debian installer, fed by a preseed file.

use serde_json::{Value, json};

use super::callback::wget;
use super::disk::{describe, find_disk};
use super::shell::shell_word;
use super::{Downloads, Install, InstallerKind, SeedError};

pub(super) const KIND: InstallerKind = InstallerKind {
    name: "preseed",
    bundle_files: &["kernel", "initrd"],
    seeds: &["preseed.cfg"],
    templates: &[(
        "preseed.preseed.cfg.hbs",
        include_str!("templates/preseed.preseed.cfg.hbs"),
    )],
    disk_seed: "preseed.cfg",
    check_seed,
    vars,
    kernel_arguments,
    commands,
    downloads,
    callbacks: &["progress", "installed"],
    efi_vendor: "debian",
};

fn vars() -> Vec<(&'static str, Value)> {
    vec![
        ("mirror_host", Value::Null),
        ("mirror_directory", json!("/debian")),
    ]
}

fn kernel_arguments(install: &Install<'_>) -> Vec<String> {
    let mut arguments = vec![
        "auto=true".into(),
        "priority=critical".into(),
        format!("url={}preseed.cfg", install.seeds_url),
        "interface=auto".into(),
        format!("hostname={}", install.hostname),
    ];
    if let Some(domain) = install.domain {
        arguments.push(format!("domain={domain}"));
    }
    // The installer configures the network before it reads the preseed file. It stops with a question
    // if DHCP names no router or no DNS server.
    if !install.has_router {
        arguments.push("netcfg/no_default_route=true".into());
    }
    if !install.has_dns {
        arguments.push("netcfg/get_nameservers=".into());
    }
    arguments
}

fn commands(install: &Install<'_>) -> Value {
    let find = install.disk.map(|disk| {
        let message = format!("there is not exactly one disk with {}", describe(disk));
        // The Debian installer continues after a failed command and would take the only disk. So this
        // never returns; the next boot goes to the local disk, which is untouched.
        let stop = "reboot; while :; do sleep 60; done";
        let otherwise = format!("{}; {stop}", wget(install, "failed", &message));
        let find = find_disk(disk, &otherwise);
        format!(
            "{find}; debconf-set partman-auto/disk \"$disk\"; debconf-set grub-installer/bootdev \"$disk\""
        )
    });
    json!({
        "progress": wget(install, "progress", "installer started"),
        "installed": wget(install, "installed", ""),
        "find_disk": find,
        "late": authorize_keys(install),
    })
}

/// Returns the command that installs the SSH keys into the installed system.
fn authorize_keys(install: &Install<'_>) -> String {
    let keys = install.ssh_authorized_keys;
    let user = install.username;
    if keys.is_empty() {
        return ":".to_owned();
    }
    let home = shell_word(&format!("/target/home/{user}/.ssh"));
    let owner = shell_word(&format!("{user}:"));
    let installed = shell_word(&format!("/home/{user}/.ssh"));
    let words: Vec<String> = keys.iter().map(|key| shell_word(key)).collect();
    format!(
        "mkdir -p {home} && printf '%s\\n' {} > {home}/authorized_keys && chmod 700 {home} && in-target chown -R {owner} {installed}",
        words.join(" ")
    )
}

fn downloads(command_line: &str) -> Downloads {
    let urls = command_line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("url="));
    Downloads {
        image: None,
        seeds: urls.map(str::to_owned).collect(),
    }
}

/// The types of debconf's questions; `seen` sets a flag instead of an answer.
///
/// Source: debconf-devel(7), "Type"; debconf-set-selections(1).
const TYPES: [&str; 10] = [
    "string",
    "boolean",
    "select",
    "multiselect",
    "note",
    "text",
    "password",
    "title",
    "error",
    "seen",
];

/// Checks the form of each answer: owner, question, type and value.
///
/// Source: Debian GNU/Linux Installation Guide, §B.3.
fn check_seed(_: &str, text: &str) -> Vec<SeedError> {
    let mut errors = Vec::new();
    let mut lines = (1..).zip(text.split('\n'));
    while let Some((start, line)) = lines.next() {
        let mut error = |line, reason: &str| errors.push(SeedError::at(line, reason));
        let mut answer = line.to_owned();
        let mut number = start;
        if line.trim_start().starts_with('#') {
            continue;
        }
        while let Some(head) = answer.strip_suffix('\\') {
            let Some((next, more)) = lines.next() else {
                break;
            };
            number = next;
            answer = format!("{head}{more}");
        }
        if answer.ends_with('\\') {
            error(number, "the text ends after a `\\`");
        } else if answer.trim_end().ends_with('\\') {
            error(
                number,
                "a blank after `\\`: the next line does not continue this one",
            );
        }
        if answer.ends_with('\r') {
            // Every line of such a file has one.
            error(number, "the line ends with a carriage return");
            return errors;
        }
        if let Some(reason) = wrong_answer(&answer) {
            error(start, &reason);
        }
    }
    errors
}

/// Returns what is wrong with an answer; `None` also for an empty line.
fn wrong_answer(answer: &str) -> Option<String> {
    let (owner, rest) = next_word(answer);
    if owner.is_empty() {
        return None;
    }
    let (question, rest) = next_word(rest);
    let (kind, value) = next_word(rest);
    if kind.is_empty() {
        return Some("an answer needs an owner, a question, a type and a value".to_owned());
    }
    if !TYPES.contains(&kind) {
        let known = TYPES.join(", ");
        return Some(format!(
            "unknown type `{kind}` of question `{question}`; the types are {known}"
        ));
    }
    // One blank separates the value; more blanks belong to the value.
    let value = value.strip_prefix([' ', '\t']).unwrap_or(value);
    if value.starts_with([' ', '\t']) && !value.trim().is_empty() {
        return Some(format!(
            "the value of `{question}` starts with a blank: write one blank after `{kind}`"
        ));
    }
    let is_boolean = matches!(kind, "boolean" | "seen");
    if is_boolean && !matches!(value.trim_end(), "true" | "false") {
        return Some(format!(
            "the value of `{question}` is not `true` or `false`"
        ));
    }
    None
}

/// Splits the first word from a text.
fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_debconf_cannot_read_is_an_error_on_its_line() {
        for (text, expected) in [
            ("", &[][..]),
            ("# comment \\\n\n   \nd-i a/b string\n", &[]),
            ("d-i\ta/b   string c  d\n", &[]),
            ("d-i a/b string one \\\n  two\n", &[]),
            ("d-i a/b seen false\n", &[]),
            (
                "# a\nd-i a/b\n",
                &["2: an answer needs an owner, a question, a type and a value"],
            ),
            (
                "d-i a/b bool true\n",
                &[
                    "1: unknown type `bool` of question `a/b`; the types are string, boolean, select, \
                   multiselect, note, text, password, title, error, seen",
                ],
            ),
            (
                "d-i a/b string  c\n",
                &["1: the value of `a/b` starts with a blank: write one blank after `string`"],
            ),
            (
                "d-i a/b boolean yes\n",
                &["1: the value of `a/b` is not `true` or `false`"],
            ),
            (
                "d-i a/b string c \\ \nd\n",
                &[
                    "1: a blank after `\\`: the next line does not continue this one",
                    "2: an answer needs an owner, a question, a type and a value",
                ],
            ),
            ("d-i a/b string c \\", &["1: the text ends after a `\\`"]),
            (
                "d-i a/b string c\r\n",
                &["1: the line ends with a carriage return"],
            ),
            (
                "d-i a/b string a \\\n b\nd-i c/d text\nd-i e\n",
                &["4: an answer needs an owner, a question, a type and a value"],
            ),
        ] {
            let errors = check_seed("preseed.cfg", text).into_iter();
            let found: Vec<String> = errors
                .map(|error| format!("{}: {error}", error.line.unwrap()))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
