//! The command line itself: help, version, and invalid arguments.

use crate::support::rack::Rack;

#[test]
fn a_wrong_command_line_ends_in_status_2_and_does_nothing() {
    let rack = Rack::a();
    for (line, first) in [
        (
            "valdate",
            "error: unrecognized subcommand 'valdate'\n\n  tip: a similar subcommand exists: 'validate'",
        ),
        (
            "validate --loud",
            "error: unexpected argument '--loud' found",
        ),
        (
            "validate -q -v",
            "error: the argument '--quiet' cannot be used with '--verbose'",
        ),
        (
            "render --all worker-01",
            "error: the argument '--all' cannot be used with '[HOST]...'",
        ),
        (
            "render worker-01 --context --out x",
            "error: the argument '--context' cannot be used with '--out <DIR>'",
        ),
        (
            "validate --format yaml",
            "error: invalid value 'yaml' for '--format <FORMAT>'\n  [possible values: text, json]",
        ),
        (
            "completions ksh",
            "error: invalid value 'ksh' for '<SHELL>'\n  [possible values: bash, elvish, fish, powershell, zsh]",
        ),
        (
            "host provision worker-01 --deadline soon",
            "error: invalid value 'soon' for '--deadline <TIME>': write a time such as `45m` or `2h`",
        ),
        (
            "host provision worker-01 --deadline 0s",
            "error: invalid value '0s' for '--deadline <TIME>': write a time such as `45m` or `2h`",
        ),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pxectl"))
            .args(line.split(' '))
            .current_dir(rack.path())
            .env("PXECTL_STATE", "state")
            .env("PXECTL_WITNESS", "witness")
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(stderr.starts_with(first), "{line}: {stderr}");
        assert!(
            stderr.ends_with("For more information, try '--help'.\n"),
            "{line}: {stderr}"
        );
    }
    assert!(!rack.file("state").exists());
}

#[test]
fn the_version_is_that_of_the_package() {
    Rack::empty()
        .pxectl("--version")
        .stdout(concat!("pxectl ", env!("CARGO_PKG_VERSION"), "\n"))
        .run();
}

#[test]
fn every_command_shows_an_example_in_its_help() {
    let rack = Rack::empty();
    for command in [
        "",
        "init",
        "validate",
        "render",
        "serve",
        "rehearse",
        "completions",
        "man",
        "host list",
        "host show",
        "host provision",
        "host cancel",
        "host quarantine",
        "host retire",
        "host release",
    ] {
        let help = rack
            .pxectl(&format!("{command} --help"))
            .stdout_returned()
            .run();
        assert!(help.contains("Examples:\n  pxectl "), "{command}: {help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{command}: {help}"
        );
        // What is broken by hand must not be broken again by a terminal of 80 columns.
        let (_, after) = help.split_once("\nExamples:\n").unwrap();
        let long = after.lines().find(|line| line.chars().count() > 79);
        assert_eq!(long, None, "{command}: {help}");
    }
}

#[test]
fn colors_are_for_terminals_unless_they_are_asked_for() {
    let rack = Rack::a();
    rack.edit("hosts.yaml", "ubuntu-worker", "ubuntu-wroker");
    let plain = rack.pxectl("validate").stdout_returned().status(1).run();
    assert!(!plain.contains('\x1b'), "{plain}");
    let colored = rack
        .pxectl("validate --color always")
        .stdout_returned()
        .status(1)
        .run();
    assert!(colored.contains('\x1b'), "{colored}");
    rack.pxectl("validate -i nowhere --color always")
        .stderr(
            "\x1b[1;31merror\x1b[0m: no inventory at `nowhere`\n  \
             = help: use `-i DIR` to name it, or create an example with `pxectl init DIR`\n",
        )
        .status(3)
        .run();
}

#[test]
fn a_usage_names_what_is_missing_and_not_what_the_environment_gives() {
    Rack::empty()
        .pxectl("bundle build --jobs 2")
        .stderr(
            "error: the following required arguments were not provided:\n  \
             <SPEC|--preset <NAME>>\n\nUsage: pxectl bundle build --jobs <NUMBER> \
             <SPEC|--preset <NAME>>\n\nFor more information, try '--help'.\n",
        )
        .status(2)
        .run();
}
