use proptest::prelude::*;

use super::*;

fn outcome(text: &str) -> PxelinuxOutcome {
    PxelinuxConfig::parse(text).unwrap().outcome()
}

fn kernel(kernel: &str, arguments: &str, initrds: &[&str]) -> Start {
    Start::Kernel {
        kernel: kernel.into(),
        arguments: arguments.into(),
        initrds: initrds.iter().map(|it| (*it).to_owned()).collect(),
    }
}

#[test]
fn without_an_operator_the_default_starts() {
    let labels = "LABEL a\n LINUX ::k\n INITRD ::i,::j\n APPEND x  y\nlabel b\n localboot -1\n";
    for (head, expected) in [
        (
            "DEFAULT a\nPROMPT 0\n",
            kernel("::k", "x y initrd=::i,::j", &["::i", "::j"]),
        ),
        ("default b\n", Start::LocalDisk(-1)),
        (
            "DEFAULT a\nPROMPT 1\nTIMEOUT 50\nONTIMEOUT b\n",
            Start::LocalDisk(-1),
        ),
        (
            "DEFAULT a\nPROMPT 1\n",
            Start::NeedsOperator("its prompt: there is no `TIMEOUT`".into()),
        ),
        (
            "DEFAULT b\nPROMPT 1\nTOTALTIMEOUT 6000\n",
            Start::LocalDisk(-1),
        ),
        ("DEFAULT c quiet\n", kernel("c", "quiet", &[])),
        ("DEFAULT c\nIMPLICIT 0\n", Start::Nothing("c".into())),
        (
            "",
            Start::NeedsOperator("its prompt: there is no `DEFAULT`".into()),
        ),
    ] {
        assert_eq!(
            outcome(&format!("{head}{labels}")).start,
            expected,
            "{head}"
        );
    }
}

#[test]
fn labels_are_read_like_in_pxelinux() {
    for (text, expected) in [
        ("APPEND a\nLABEL x\nKERNEL k", kernel("k", "a", &[])),
        (
            "APPEND a\nLABEL x\nKERNEL k\nAPPEND -",
            kernel("k", "", &[]),
        ),
        (
            "LABEL x\nkernel k\nappend initrd=i,j a",
            kernel("k", "initrd=i,j a", &["i", "j"]),
        ),
        (
            "LABEL x\nCOM32 chain.c32\nAPPEND hd0",
            Start::Module {
                file: "chain.c32".into(),
                arguments: "hd0".into(),
            },
        ),
        (
            "LABEL x\nKERNEL reboot.c32",
            Start::Module {
                file: "reboot.c32".into(),
                arguments: String::new(),
            },
        ),
        (
            "LABEL x\nPXE ::undionly.kpxe",
            Start::Program {
                file: "::undionly.kpxe".into(),
            },
        ),
        (
            "LABEL x\nKERNEL other.0",
            Start::Program {
                file: "other.0".into(),
            },
        ),
        (
            "LABEL x\nTEXT HELP\nfrob\nENDTEXT\nLINUX k",
            kernel("k", "", &[]),
        ),
        ("LABEL x\nMENU LABEL ^X", kernel("x", "", &[])),
    ] {
        assert_eq!(
            outcome(&format!("DEFAULT x\n{text}")).start,
            expected,
            "{text}"
        );
    }
}

#[test]
fn the_screen_and_the_timeout_follow_the_configuration() {
    let seen = outcome(
        "# c\nSAY one\nSay   two\n say\nPROMPT 1\nTIMEOUT 300\nDEFAULT x\nLABEL x\nLOCALBOOT 0",
    );
    assert_eq!(seen.screen, ["one", "  two", ""]);
    assert_eq!(seen.wait, Duration::from_secs(30));
}

#[test]
fn an_unsupported_line_is_named() {
    for (text, expected) in [
        ("\nFROB a", "line 2, `FROB a`: `frob` is not supported"),
        (
            "TIMEOUT soon",
            "line 1, `TIMEOUT soon`: `soon` is not a number",
        ),
        (
            "LINUX k",
            "line 1, `LINUX k`: the line must follow a `LABEL`",
        ),
        (
            "INITRD k",
            "line 1, `INITRD k`: the line must follow a `LABEL`",
        ),
        ("LABEL a\nLINUX", "line 2, `LINUX`: a file is missing"),
        (
            "LABEL a\nLOCALBOOT x",
            "line 2, `LOCALBOOT x`: `x` is not a number",
        ),
    ] {
        let error = PxelinuxConfig::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn names_are_below_the_prefix_unless_they_start_with_colons() {
    let prefix = "m/52-54/T/";
    for (name, expected) in [
        ("chain.c32", "m/52-54/T/chain.c32"),
        ("/s/k", "m/52-54/T//s/k"),
        ("::s/C/files/kernel", "s/C/files/kernel"),
        ("http://10.20.0.10/k", "http://10.20.0.10/k"),
    ] {
        assert_eq!(file_name(prefix, name), expected);
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "\n", "\n", "default", "label", "x", "kernel", "linux", "append", "-", "initrd=,",
                "initrd", "prompt", "1", "timeout", "99999999999999999999", "say", "sayé", "text",
                "com32", "localboot", "-1", "implicit", "0", "\t", "é",
            ]),
            0..40,
        ),
        noise in "\\PC{0,60}",
    ) {
        for text in [words.join(" "), format!("{}\n{noise}", words.join(" ")), noise] {
            if let Ok(config) = PxelinuxConfig::parse(&text) {
                config.outcome();
            }
        }
    }
}
