use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::render::{GrubOrigin, Templates, grub_stub};

const MAC: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 1]);
const BASE: &str = "m/52-54-00-85-00-01/TOKEN";

fn machine() -> GrubMachine {
    GrubMachine {
        uuid: "4c4c4544-0046-3410-8037-b8c04f4d5931".parse().ok(),
        serial: Some("C7X9K2".into()),
        asset: Some("two words".into()),
        disk_files: BTreeSet::from(["/EFI/debian/shimx64.efi".to_owned()]),
        has_http: false,
    }
}

fn variables() -> [(&'static str, String); 6] {
    [
        ("cmdpath", format!("(tftp,10.20.0.10){BASE}")),
        ("net_default_mac", MAC.to_string()),
        ("net_default_server", "10.20.0.10".into()),
        ("root", "tftp,10.20.0.10".into()),
        ("grub_cpu", "x86_64".into()),
        ("grub_platform", "efi".into()),
    ]
}

/// Runs a script whose files are given by name, and returns all that was shown and the end.
fn run(script: &str, files: &[(&str, &str)]) -> (Vec<String>, GrubStep) {
    let mut grub = match Interpreter::new("grub.cfg", script, machine(), variables()) {
        Ok(grub) => grub,
        Err(error) => {
            let command = String::new();
            let (line, reason) = (error.line, error.reason);
            let script = "grub.cfg".to_owned();
            return (
                Vec::new(),
                GrubStep::Failed {
                    script,
                    line,
                    command,
                    reason,
                },
            );
        }
    };
    let mut shown = Vec::new();
    for _ in 0..100_000 {
        match grub.next() {
            GrubStep::Print(text) => shown.push(text),
            GrubStep::Wait(time) => shown.push(format!("{}s", time.as_secs())),
            GrubStep::Choose { timeout, chosen } => {
                shown.push(format!("{chosen} after {}s", timeout.as_secs()));
            }
            GrubStep::Fetch { file, .. } => {
                shown.push(format!("? {}", file.name));
                let found = files.iter().find(|(name, _)| *name == file.name);
                let answer = found.map(|(_, text)| text.as_bytes());
                shown.extend(grub.supply(answer.ok_or_else(|| "file not found".into())));
            }
            GrubStep::Dhcp => {
                shown.push("dhcp".into());
                let lease = Lease {
                    address: Ipv4Addr::new(10, 20, 0, 51),
                    mac: MAC,
                    next_server: Ipv4Addr::new(10, 20, 0, 10),
                    boot_file: String::new(),
                };
                shown.extend(grub.supply_lease(Ok(lease)));
            }
            end => return (shown, end),
        }
    }
    panic!("it does not come to an end");
}

fn printed(script: &str) -> String {
    run(script, &[]).0.join("|")
}

fn failure(script: &str) -> String {
    match run(script, &[]).1 {
        GrubStep::Failed { line, reason, .. } => format!("{line}: {reason}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn words_are_quoted_and_expanded_like_in_grub() {
    for (script, expected) in [
        ("echo a   b", "a b"),
        ("echo 'a   b' \"c  d\" e\\ f", "a   b c  d e f"),
        (r"echo 'it'\''s'", "it's"),
        ("set a=x; echo $a ${a}y \"$a\" '$a' \\$a", "x xy x $a $a"),
        (
            "set a='b c'; for x in $a \"$a\" pre$a; do echo $x; done",
            "b|c|b c|preb|c",
        ),
        ("echo [$missing] [\"$missing\"] x", "[] [] x"),
        ("for x in $missing \"$missing\"; do echo [$x]; done", "[]"),
        ("echo one \\\n  two", "one two"),
        ("# a comment # of a line\necho a # b", "a # b"),
        ("echo a;echo b\n\n;echo c", "a|b|c"),
        ("echo \"a\\\"b\\$c\\d\"", "a\"b$c\\d"),
        ("echo", ""),
        ("set a=b=c; echo $a; unset a; echo [$a]", "b=c|[]"),
        ("false; echo $?; true; echo $?", "1|0"),
    ] {
        assert_eq!(printed(script), expected, "{script}");
    }
}

#[test]
fn blocks_run_like_in_grub() {
    for (script, expected) in [
        ("if true; then echo a; else echo b; fi", "a"),
        (
            "if false; then echo a; elif true; then echo b; else echo c; fi",
            "b",
        ),
        ("if false; then echo a; fi; echo $?", "0"),
        ("if [ a = b ]; then echo a\nelse\n echo c\nfi", "c"),
        (
            "for x in 1 2; do for y in a b; do echo $x$y; done; done",
            "1a|1b|2a|2b",
        ),
        (
            "set n=x; while [ $n != xxx ]; do set n=${n}x; echo $n; done",
            "xx|xxx",
        ),
        (
            "set n=x; until [ $n = xx ]; do set n=${n}x; done; echo $n",
            "xx",
        ),
        (
            "function f { echo $1 $#; return; echo never; }\nf a b; echo end",
            "a 2|end",
        ),
        ("return; echo on", "error: not in function body.|on"),
        (
            "boot; echo on",
            "error: you need to load the kernel first.|on",
        ),
        (
            "search --no-floppy --file --set=root /no; echo $?",
            "error: no such device: /no.|1",
        ),
        ("sleep 3; sleep --interruptible 2", "3s|2s"),
        ("smbios --type 1 --get-string 7 --set v; echo $v", "C7X9K2"),
        ("smbios --type 3 --get-string 8", "two words"),
        (
            "regexp --set=2:b '(a)(b)' xaby; echo $b; regexp c ab; echo $?",
            "b|1",
        ),
        ("test -s (tftp,10.20.0.10)/no; echo $?", "? /no|1"),
        ("test -e (tftp,10.20.0.10)/no; echo $?", "1"),
        (
            "linux (http,h)/k; echo $?",
            "error: disk `http,h' not found.|1",
        ),
    ] {
        assert_eq!(printed(script), expected, "{script}");
    }
}

#[test]
fn scripts_end_where_grub_leaves_them() {
    let operator = |command: &str| GrubStep::NeedsOperator {
        command: command.into(),
    };
    let entry = "menuentry 'A' --id a { echo a; halt; }\nmenuentry \"B\" { echo b; reboot; }\n";
    for (script, expected) in [
        ("", operator("grub>")),
        ("exit 1", GrubStep::Exit),
        ("reboot", GrubStep::Reboot),
        ("halt", GrubStep::PowerOff),
        (entry, operator("a menu without a timeout")),
        (&format!("set timeout=0\n{entry}"), GrubStep::PowerOff),
        (
            &format!("set timeout=5; set default=1\n{entry}"),
            GrubStep::Reboot,
        ),
        (
            &format!("set timeout=5; set default=B\n{entry}"),
            GrubStep::Reboot,
        ),
        (
            &format!("set timeout=5; set default=a\n{entry}"),
            GrubStep::PowerOff,
        ),
        (
            "set timeout=1\nmenuentry x { true\n}",
            operator("a menu whose entry loaded no kernel"),
        ),
        (
            &format!("set timeout=1\nsubmenu x {{\nset timeout=2\n{entry}}}"),
            GrubStep::PowerOff,
        ),
        (
            "search --file --set=root /efi/DEBIAN/shimx64.efi; chainloader /EFI/debian/shimx64.efi\nboot",
            GrubStep::LocalDisk {
                how: "chainloader /EFI/debian/shimx64.efi of (hd0,gpt1)".into(),
            },
        ),
        (
            "set root=(hd0)\nchainloader +1\nboot",
            GrubStep::LocalDisk {
                how: "chainloader +1 of (hd0)".into(),
            },
        ),
    ] {
        assert_eq!(run(script, &[]).1, expected, "{script}");
    }
}

#[test]
fn an_unsupported_line_is_named() {
    for (script, expected) in [
        (
            "echo a\nfrobnicate b",
            "2: command `frobnicate` is not supported",
        ),
        ("true\ntrue | true", "2: `|` is not supported"),
        ("\nif true; then\necho a", "3: `fi` is missing"),
        ("echo 'a\nb", "1: quote `'` is not closed"),
        (
            "regexp \"a$\" b",
            "1: `$` is not followed by a variable name",
        ),
        ("fi", "1: `fi` does not belong here"),
        ("}", "1: `}` closes nothing"),
        ("for x y z; do true; done", "1: `in` is missing"),
        ("set a=b c", "1: `set` has several words without quotes"),
        (
            "smbios --type 4 --get-byte 1",
            "1: `smbios --type 4 --get-byte 1` is not supported",
        ),
        (
            "regexp '[[:digit:]]' 1",
            "1: a class such as `[:alpha:]` is not supported",
        ),
        (
            "chainloader (hd0)/EFI/debian/shimx64.efi",
            "1: `$root` is `tftp,10.20.0.10`, where the loader would look for its own files",
        ),
        (
            "while true; do true; done",
            "1: the script did not end within 20000 steps",
        ),
        (
            "function f { f; }\nf",
            "1: blocks are nested more than 32 deep",
        ),
    ] {
        assert_eq!(failure(script), expected, "{script}");
    }
    let doubling = "set a=xxxxxxxxxxxxxxxx\nwhile true; do set a=$a$a; done";
    assert_eq!(failure(doubling), "2: expanded words exceed 65536 bytes");
}

#[test]
fn a_configuration_has_exported_variables_and_returns() {
    let files = [
        (
            "/a",
            "echo [$one] [$two] [$net_default_server]; set one=changed",
        ),
        ("/s", "set one=sourced"),
    ];
    let script = "set one=1; set two=2; export two\nconfigfile /a; echo $one; source /s; echo $one\n\
                  configfile /missing; echo $?; source /missing";
    let (shown, end) = run(script, &files);
    let expected = "? /a|[] [2] [10.20.0.10]|1|? /s|sourced|? /missing|0|? /missing|\
                    error: file not found.";
    assert_eq!(shown.join("|"), expected);
    assert_eq!(
        end,
        GrubStep::NeedsOperator {
            command: "grub>".into()
        }
    );
    let (_, end) = run("configfile /b", &[("/b", "echo\n'")]);
    assert!(matches!(end, GrubStep::Failed { line: 2, .. }), "{end:?}");
}

#[test]
fn kernels_start_with_their_initrds() {
    let files = [("/k", "MZ"), ("/i", "x"), ("/j", "y")];
    let script = "linux (tftp,10.20.0.10)/k 'a b' c\ninitrd /i (tftp)/j\nboot";
    let (shown, end) = run(script, &files);
    assert_eq!(shown.join(" "), "? /k ? /i ? /j");
    let file = |name: &str| BootFile {
        server: Ipv4Addr::new(10, 20, 0, 10),
        name: name.into(),
    };
    assert_eq!(
        end,
        GrubStep::Boot {
            kernel: file("/k"),
            arguments: "BOOT_IMAGE=(tftp,10.20.0.10)/k a b c".into(),
            initrds: vec![file("/i"), file("/j")],
        }
    );
    // A kernel that is not there leaves nothing to start, and the script goes on.
    let script = "if linux /no; then boot; else echo refused; fi\ninitrd /i\nboot\nreboot";
    let (shown, end) = run(script, &files);
    let load = "error: you need to load the kernel first.";
    assert_eq!(
        shown,
        ["? /no", "error: file not found.", "refused", load, load]
    );
    assert_eq!(end, GrubStep::Reboot);
}

#[test]
fn our_stub_requests_the_configuration_of_this_machine() {
    let templates = Templates::compile(&BTreeMap::new()).unwrap();
    let server = Ipv4Addr::new(10, 20, 0, 10);
    let image = GrubOrigin::Image { server, base: BASE };
    let identity = "x86_64-efi/4c4c4544-0046-3410-8037-b8c04f4d5931/C7X9K2/-/grub.cfg";
    let name = format!("/{BASE}/{identity}");
    for (origin, first) in [(GrubOrigin::Tftp, None), (image, Some("dhcp"))] {
        let stub = grub_stub(&templates, origin).unwrap().text;
        let (shown, end) = run(&stub, &[(&name, "echo $server $base\nreboot")]);
        let asked = format!("? {name}");
        let own = format!("10.20.0.10 {BASE}");
        let expected = first.into_iter().chain([asked.as_str(), &own]);
        assert_eq!(shown, expected.collect::<Vec<_>>());
        assert_eq!(end, GrubStep::Reboot);
    }
}

proptest! {
    #[test]
    fn arbitrary_scripts_never_panic_and_come_to_an_end(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "\n", "\n", ";", "if", "then", "else", "elif", "fi", "for", "x", "in", "do", "done",
                "while", "until", "function", "f", "{", "}", "menuentry", "submenu", "set", "x=$x$x",
                "timeout=1", "$x", "\"$x\"", "configfile", "source", "/x", "linux", "initrd", "boot",
                "test", "[", "]", "!", "(", "-s", "true", "false", "regexp", "--set=1:x", "(a*)*",
                "return", "export", "smbios", "--type", "1", "search", "chainloader", "+1", "'", "é",
                "net_bootp", "sleep", "#", "\\\n", "${x}", "$1", "$@",
            ]),
            0..60,
        ),
    ) {
        let script = words.join(" ");
        run(&script, &[("/x", &script)]);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        run(&text, &[("/x", &text)]);
    }
}
