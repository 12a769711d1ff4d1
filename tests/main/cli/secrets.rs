//! What a screen shows of secrets that an inventory or a command line holds where none belong.

use crate::cli::pxectl::Pxectl;
use crate::support::rack::Rack;

/// The values of `bmc.password`, and lines beside it, that are at fault and hold a password.
const WRONG: [&str; 16] = [
    "password: {value: Hunter2}",
    "password: [Hunter2]",
    "password: [a, {b: Hunter2}]",
    "password: Hunter2, nonsense: 1",
    "pasword: Hunter2",
    "passwd: {value: Hunter2}",
    "password: \"Hunter2",
    "password: 'Hunter2",
    "password: \"Hunter2\" x",
    "password: {env: A=Hunter2}",
    "password: {vault: Hunter2}",
    "password: {exec: \"a | Hunter2\"}",
    "password: {env: Hunter2}, nonsense: 1",
    "password: {Hunter2: x}",
    "token: Hunter2",
    "nonsense: {x: \"https://root:Hunter2@10.0.0.1/?a=1&token=Hunter2\"}",
];

/// The same as blocks, over several lines.
const BLOCKS: [&str; 6] = [
    "password: |\n    Hunter2\n    more",
    "password:\n    value: Hunter2",
    "password:\n  - Hunter2",
    "password: \"a\n    Hunter2\"",
    "password:Hunter2",
    "nonsense: &p Hunter2\n  password: *p",
];

#[test]
fn validate_shows_a_password_in_no_shape() {
    let flow =
        WRONG.map(|wrong| format!("bmc: {{url: \"https://10.0.0.1\", username: a, {wrong}}}\n"));
    let block =
        BLOCKS.map(|wrong| format!("bmc:\n  url: https://10.0.0.1\n  username: a\n  {wrong}\n"));
    for wrong in flow.into_iter().chain(block) {
        let rack = Rack::a();
        rack.edit("hosts.yaml", "arch:", &format!("{wrong}arch:"));
        for words in [
            "validate",
            "validate --color always",
            "validate --format json",
        ] {
            let text = rack.pxectl(words).stdout_returned().status(1).run();
            assert!(!text.contains("Hunter2"), "{wrong}{text}");
            assert!(text.contains("hosts.yaml"), "{wrong}{text}");
        }
        // Other commands print the faults, too, and check that nothing is said of the password.
        let run = rack.pxectl("render --all").stderr_anything().status(1);
        run.run();
    }
}

#[test]
fn a_caret_under_a_covered_line_stands_where_it_stood() {
    let rack = Rack::a();
    let bmc =
        "bmc: {url: \"https://10.0.0.1\", username: a, password: {value: Hunter2}, nonsense: 1}\n";
    rack.edit("hosts.yaml", "arch:", &format!("{bmc}arch:"));
    let text = rack.pxectl("validate").stdout_returned().status(1).run();
    let shown = bmc
        .trim_end()
        .replace("{value: Hunter2}", "****************");
    let place = bmc.find("nonsense").expect("the key");
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("unknown key `nonsense`"));
    let source = lines.find(|line| line.ends_with(&shown)).expect(&text);
    let indent = source.len() - shown.len();
    let carets = lines.next().expect("a line of carets");
    assert_eq!(carets.find('^'), Some(indent + place), "{text}");
}

#[test]
fn an_error_of_the_command_line_repeats_no_password_and_nothing_invisible() {
    let rack = Rack::empty();
    let words = ["https://root:Hunter2@10.0.0.1/x", "a\u{202e}b"];
    for (word, shown) in words
        .into_iter()
        .zip(["https://•••@10.0.0.1/x", "a\\u{202e}b"])
    {
        let expected = format!(
            "error: unrecognized subcommand '{shown}'\n\nUsage: pxectl [OPTIONS] <COMMAND>\n\nFor more \
             information, try '--help'.\n"
        );
        Pxectl::at(rack.path())
            .arg(word)
            .stderr(expected)
            .status(2)
            .run();
    }
}
