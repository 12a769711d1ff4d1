//! Whole scripts, as timelines of steps.

use proptest::prelude::*;

use super::*;
use crate::machine::MacAddress;

const URL: &str = "http://10.20.0.10:8080/m/52-54-00-12-34-56/boot.ipxe?token=t";

fn start(script: &str) -> Interpreter {
    let mut settings = Settings::default();
    settings.set(
        "net0/mac",
        MacAddress::new([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
    );
    settings.set("platform", "efi");
    Interpreter::new(URL, format!("#!ipxe\n{script}").as_bytes(), settings).unwrap()
}

/// Runs a script to its end: files that exist, by URL, and everything that was printed, waited for
/// and fetched on the way.
fn run(script: &str, files: &[(&str, &str)]) -> (Vec<String>, IpxeStep) {
    let mut machine = start(script);
    let mut log = Vec::new();
    loop {
        match machine.next() {
            IpxeStep::Print(text) => log.push(text),
            IpxeStep::Wait(time) => log.push(format!("{time:?}")),
            IpxeStep::Prompt { text, timeout } => log.push(format!("{text} {timeout:?}")),
            IpxeStep::Choose { timeout, chosen } => log.push(format!("{chosen} after {timeout:?}")),
            IpxeStep::Fetch { url, .. } => {
                let file = files.iter().find(|(known, _)| *known == url);
                log.push(url);
                machine.supply(
                    file.map(|(_, text)| text.as_bytes())
                        .ok_or("not found".into()),
                );
            }
            end => {
                assert_eq!(machine.next(), end, "the end repeats");
                return (log, end);
            }
        }
    }
}

fn printed(script: &str) -> String {
    run(script, &[]).0.join(",")
}

fn failure(script: &str, files: &[(&str, &str)]) -> (usize, String) {
    match run(script, files).1 {
        IpxeStep::Failed { line, reason, .. } => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_installation_boots_a_kernel_with_its_files_and_arguments() {
    let (log, end) = run(
        "set base http://10.20.0.10:8080/b/sha256-1\n\
         kernel ${base}/kernel initrd=initrd BOOTIF=01-${netX/mac:hexhyp} quiet || goto failed\n\
         initrd --name initrd ${base}/initrd.img || goto failed\n\
         initrd ../seed /etc/seed mode=600\n\
         boot\n\
         :failed\n\
         sleep 10\n",
        &[
            ("http://10.20.0.10:8080/b/sha256-1/kernel", "MZ"),
            ("http://10.20.0.10:8080/b/sha256-1/initrd.img", ""),
            ("http://10.20.0.10:8080/m/seed", "x"),
        ],
    );
    assert_eq!(log.len(), 3);
    let initrd = |name: &str, url: &str, arguments: &str| Initrd {
        name: name.into(),
        url: url.into(),
        arguments: arguments.into(),
    };
    assert_eq!(
        end,
        IpxeStep::Boot {
            kernel_url: "http://10.20.0.10:8080/b/sha256-1/kernel".into(),
            arguments: "initrd=initrd BOOTIF=01-52-54-00-12-34-56 quiet".into(),
            initrds: vec![
                initrd("initrd", "http://10.20.0.10:8080/b/sha256-1/initrd.img", ""),
                initrd(
                    "seed",
                    "http://10.20.0.10:8080/m/seed",
                    "/etc/seed mode=600"
                ),
            ],
        }
    );
}

#[test]
fn a_fetch_repeats_until_it_is_answered_with_its_purpose() {
    let mut machine = start("initrd --name disk x.img\n");
    let expected = IpxeStep::Fetch {
        url: "http://10.20.0.10:8080/m/52-54-00-12-34-56/x.img".into(),
        purpose: Purpose::Initrd {
            name: "disk".into(),
        },
    };
    assert_eq!(machine.next(), expected);
    assert_eq!(machine.next(), expected);
    machine.supply(Ok(b"x"));
    assert_eq!(machine.next(), IpxeStep::Exit(0));
    machine.supply(Err("too late".into()));
    assert_eq!(machine.next(), IpxeStep::Exit(0));
}

#[test]
fn a_failed_line_stops_the_script_unless_it_is_handled() {
    for (script, expected) in [
        ("isset ${x} || echo or", "or"),
        ("isset ${x} && echo and || echo or", "or"),
        ("isset ${platform} && echo and || echo or", "and"),
        ("isset ${platform} || echo or && echo and", "and"),
        ("isset ${x} ; echo always", "always"),
        ("isset ${x} ||\necho next", "next"),
        ("frob || echo unknown", "unknown"),
        (
            "iseq ${platform} efi && goto efi ||\necho bios\nexit\n:efi\necho efi",
            "efi",
        ),
        (
            "iseq ${platform} pcbios && goto bios ||\necho efi\nexit\n:bios\necho bios",
            "efi",
        ),
        ("echo a # b || c", "a"),
        ("echo -n a   b", "a b"),
        ("goto nowhere || echo lost", "lost"),
        ("goto over && echo not\n:over echo label", "label"),
    ] {
        assert_eq!(printed(script), expected, "{script}");
    }
}

#[test]
fn a_failure_names_the_line_and_the_reason() {
    for (script, line, reason) in [
        ("\nfrob x", 3, "frob: command not found"),
        ("isset ${x} && goto y", 2, "isset: the value is empty"),
        ("goto nowhere", 2, "no label `:nowhere`"),
        ("iseq a", 2, "iseq: two arguments are required, found 1"),
        ("boot", 2, "boot: no image is selected"),
        ("item a A", 2, "item: there is no menu"),
        ("item --menu m a A", 2, "item: no menu is named `m`"),
        ("choose x", 2, "choose: there is no menu"),
        (
            "menu T\nitem --gap G\nchoose x",
            4,
            "choose: the menu has no item to choose",
        ),
        (
            "menu T\nchoose --timeout soon x",
            3,
            "choose: `soon` is not a number",
        ),
        ("imgfree x", 2, "imgfree: no image is named `x`"),
        ("chain --frob x", 2, "chain: unknown option `--frob`"),
        ("sleep soon", 2, "sleep: `soon` is not a number"),
        ("chain tftp://h/x", 2, "`tftp://h/x`: not found"),
        (
            "prompt --timeout 5 Press",
            2,
            "prompt: no key was pressed in time",
        ),
        (
            ":a goto a",
            2,
            "the script did not end within 10000 commands",
        ),
        (
            "set a ${b} ; clear x ; nothing",
            2,
            "nothing: command not found",
        ),
    ] {
        assert_eq!(failure(script, &[]), (line, reason.to_owned()), "{script}");
    }
    let empty = failure("kernel /k", &[("http://10.20.0.10:8080/k", "")]);
    assert_eq!(empty.1, "`http://10.20.0.10:8080/k` is empty");
}

#[test]
fn a_chained_script_returns_to_the_line_that_chained_it() {
    let files = [
        ("http://h/ok", "#!ipxe\necho ok\n"),
        ("http://h/a/exit", "#!ipxe\nexit 3\n"),
        ("http://h/a/bad", "#!ipxe\n\nfrob\n"),
        (
            "http://h/a/relative",
            "#!ipxe\nchain --autofree exit ||\nchain ../ok\n",
        ),
    ];
    for (script, expected) in [
        ("chain http://h/ok && echo back", "http://h/ok,ok,back"),
        ("chain --replace http://h/ok && echo back", "http://h/ok,ok"),
        ("chain http://h/a/exit || echo back", "http://h/a/exit,back"),
        (
            "chain http://h/a/relative\necho back",
            "http://h/a/relative,http://h/a/exit,http://h/ok,ok,back",
        ),
        (
            "imgfetch --name x http://h/ok\nchain x\nimgexec x",
            "http://h/ok,ok,ok",
        ),
    ] {
        assert_eq!(run(script, &files).0.join(","), expected, "{script}");
    }
    assert_eq!(
        failure("chain http://h/a/bad", &files),
        (
            2,
            "`http://h/a/bad`, line 3: frob: command not found".to_owned()
        )
    );
    assert_eq!(
        failure("chain http://h/a/exit", &files),
        (2, "`http://h/a/exit` exited with `3`".to_owned())
    );
    assert_eq!(
        run("chain --replace http://h/a/exit", &files).1,
        IpxeStep::Exit(3)
    );
}

#[test]
fn a_script_that_chains_itself_ends() {
    let files = [("http://h/x", "#!ipxe\nchain http://h/x\n")];
    assert!(
        failure("chain http://h/x", &files)
            .1
            .ends_with("scripts are nested more than 16 deep")
    );
    let files = [("http://h/x", "#!ipxe\nchain --replace http://h/x\n")];
    let (_, reason) = failure("chain --replace http://h/x", &files);
    assert_eq!(reason, "the script did not end within 10000 commands");
}

#[test]
fn every_end_is_distinguished() {
    let files = [("http://h/grub.efi", "MZ")];
    for (script, expected) in [
        ("", IpxeStep::Exit(0)),
        ("exit", IpxeStep::Exit(0)),
        ("exit 0x10 || echo no", IpxeStep::Exit(16)),
        ("reboot", IpxeStep::Reboot),
        ("poweroff", IpxeStep::PowerOff),
        (
            "sanboot --no-describe --drive 0x80",
            IpxeStep::LocalDisk {
                how: "sanboot --no-describe --drive 0x80".into(),
            },
        ),
        (
            "shell",
            IpxeStep::NeedsOperator {
                command: "shell".into(),
            },
        ),
        (
            "prompt Press a key",
            IpxeStep::NeedsOperator {
                command: "prompt Press a key".into(),
            },
        ),
        (
            "chain http://h/grub.efi a b",
            IpxeStep::Chain {
                url: "http://h/grub.efi".into(),
                arguments: "a b".into(),
            },
        ),
    ] {
        assert_eq!(run(script, &files).1, expected, "{script}");
    }
}

#[test]
fn scripts_change_settings_and_wait() {
    let script = "sleep 2\nprompt --key 0x03 --timeout 1500 Wait ||\n\
                  inc try && inc try 2\necho ${try}\n\
                  set name a  b\necho [${name}]\nclear name\nisset ${name} || echo gone";
    assert_eq!(printed(script), "2s,Wait 1.5s,3,[a b],gone");
}

#[test]
fn a_menu_is_printed_and_takes_its_default_without_an_operator() {
    let menu = "menu A title\nitem a First\nitem --gap -- -- Gap --\nitem b Second\n";
    let shown = "A title,First,-- Gap --,Second";
    for (choose, expected) in [
        (
            "choose --default b --timeout 1500 x && echo ${x}",
            "b after 1.5s,b",
        ),
        ("choose --timeout 1500 x && echo ${x}", "a after 1.5s,a"),
        // What is not there cannot be marked.
        (
            "choose --default c --timeout 1500 x && echo ${x}",
            "a after 1.5s,a",
        ),
        ("choose -d b -t 1000 -r 2000 x && echo ${x}", "b after 1s,b"),
        (
            "item --default c Third\nchoose --timeout 1000 x",
            "Third,c after 1s",
        ),
        (
            "choose --timeout 1000 x\nchoose x || echo gone",
            "a after 1s,gone",
        ),
        (
            "choose --keep --timeout 1000 x\nchoose --timeout 1000 --default b x",
            "a after 1s,b after 1s",
        ),
        ("menu --delete\nitem c Third || echo gone", "gone"),
        (
            "menu --name n\nitem --menu n c C\nchoose --menu n -t 1000 x",
            ",C,c after 1s",
        ),
    ] {
        let log = printed(&format!("{menu}{choose}"));
        assert_eq!(log, format!("{shown},{expected}"), "{choose}");
    }
    let waits = IpxeStep::NeedsOperator {
        command: "choose x".into(),
    };
    assert_eq!(run(&format!("{menu}choose x"), &[]).1, waits);
}

#[test]
fn images_can_be_freed_renamed_and_given_arguments() {
    let files = [("http://h/k", "MZ"), ("http://h/i", "x")];
    let (_, end) = run(
        "kernel http://h/i\nimgfree\nkernel --name linux http://h/k a\nimgargs linux b c\n\
         initrd http://h/i\nimgfree i\nboot linux",
        &files,
    );
    assert_eq!(
        end,
        IpxeStep::Boot {
            kernel_url: "http://h/k".into(),
            arguments: "b c".into(),
            initrds: Vec::new(),
        }
    );
}

proptest! {
    #[test]
    fn arbitrary_scripts_never_panic_and_come_to_an_end(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "\n", "\n", "\n:a ", "\n:b ", "goto", "a", "b", "chain", "--replace", "http://h/x",
                "kernel", "initrd", "boot", "imgfree", "set", "${a}", "${", "}", "||", "&&", ";",
                "\\\n", "#", "exit", "1", "--name", "é", "isset", "inc", ":",
            ]),
            0..60,
        ),
    ) {
        let script = words.join(" ");
        let files = [("http://h/x", format!("#!ipxe\n{script}"))];
        let files: Vec<_> = files.iter().map(|(url, text)| (*url, text.as_str())).collect();
        run(&script, &files);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let script = [&b"#!ipxe\n"[..], &bytes].concat();
        let mut machine = Interpreter::new(URL, &script, Settings::default()).unwrap();
        for _ in 0..100 {
            machine.next();
            machine.supply(Ok(&bytes));
        }
    }
}
