use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::render::scan::DEPTH_LIMIT;

fn compiled(text: &str) -> Result<Templates, Vec<TemplateError>> {
    Templates::compile(&BTreeMap::from([("t.hbs".to_owned(), text.to_owned())]))
}

fn rendered(text: &str) -> Result<String, TemplateError> {
    let context =
        Context::wraps(json!({"host": {"name": "a'b", "ip": null}, "keys": ["x\"y"]})).unwrap();
    compiled(text)
        .map_err(|mut faults| faults.remove(0))?
        .render("t.hbs", &context)
}

#[test]
fn values_are_quoted_for_their_language() {
    assert_eq!(
        rendered("{{yaml keys}} {{yaml host.name}}").unwrap(),
        r#"["x\"y"] "a'b""#
    );
    assert_eq!(rendered("{{shell host.name}}").unwrap(), r"'a'\''b'");
    assert_eq!(rendered("${net0/mac}").unwrap(), "${net0/mac}");
}

#[test]
fn an_unknown_variable_is_named_with_its_line() {
    let error = rendered("a\nb {{host.nmae}}\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "template `t.hbs`, line 2: unknown variable `host.nmae`"
    );
}

#[test]
fn every_unknown_variable_is_found_with_the_position_of_its_tag() {
    let text = "a {{one}}\n{{#if host.name}}{{two.three}}{{#each keys}}{{four}}{{/each}}\n\
                {{else if five}}{{six}}{{/if}}\n  ä {{#if seven}}{{eight}}{{else}}{{yaml one}}{{/if}}\n\
                {{> part.hbs}}{{#if host.ip}}{{else if nine}}{{/if}}\n";
    let texts = [("t.hbs", text), ("part.hbs", "\n {{part}}")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let templates = Templates::compile(&texts.into()).unwrap();
    let values = json!({"host": {"name": "a", "ip": null}, "keys": ["x", "y"]});
    let context = Context::wraps(values).unwrap();
    let lenient = templates.lenient();
    let found = unknown_variables(|| drop(lenient.render("t.hbs", &context)));
    let found: Vec<_> = found
        .iter()
        .map(|fault| {
            let place = fault.position.unwrap();
            let (_, path) = fault.reason.split_once('`').unwrap();
            let path = path.trim_end_matches('`');
            (
                fault.template.as_str(),
                place.line,
                place.column.unwrap(),
                path,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("part.hbs", 2, 2, "part"),
            ("t.hbs", 1, 3, "one"),
            ("t.hbs", 2, 18, "two.three"),
            ("t.hbs", 2, 45, "four"),
            // The branch that is taken without the variable.
            ("t.hbs", 4, 5, "seven"),
            ("t.hbs", 4, 35, "one"),
            // The engine knows no place for an `else if`: that of its `if` stands for it.
            ("t.hbs", 5, 15, "nine"),
        ]
    );
    // What ends a rendering is the first of them.
    let first = templates.render("t.hbs", &context).unwrap_err();
    assert_eq!(
        (first.position.unwrap().line, first.position.unwrap().column),
        (1, Some(3))
    );
    assert!(unknown_variables(|| drop(templates.render("t.hbs", &context))).contains(&first));
}

#[test]
fn an_unknown_variable_is_named_in_every_kind_of_tag() {
    for text in [
        "{{host.typo}}",
        "{{yaml host.typo}}",
        "{{shell host.typo}}",
        "{{#if host.typo}}{{/if}}",
        "{{#if host.ip}}{{else if host.typo}}{{/if}}",
        "{{#if (not host.typo)}}{{/if}}",
        "{{#if (eq (len keys) (len host.typo))}}{{/if}}",
        "{{#unless host.typo}}{{/unless}}",
        "{{#each host.typo}}{{else}}none{{/each}}",
        "{{#with host.typo}}{{else}}none{{/with}}",
        "{{#each keys}}{{#if @root.host.typo}}{{/if}}{{/each}}",
        "{{#each keys as |host|}}{{#if host.typo}}{{/if}}{{/each}}",
        "{{lookup host.typo \"x\"}}",
        "{{> part.hbs given=host.typo}}",
        "{{> part.hbs}}",
        "{{> part.hbs other=1}}",
    ] {
        let texts = [
            ("t.hbs", text),
            ("part.hbs", "{{given}}{{#if given}}{{/if}}"),
        ]
        .map(|(name, text)| (name.to_owned(), format!("\n{text}")));
        let templates = Templates::compile(&texts.into()).unwrap();
        let context = Context::wraps(json!({"host": {"ip": null}, "keys": ["x"]})).unwrap();
        let error = templates.render("t.hbs", &context).expect_err(text);
        assert!(
            error.reason.starts_with("unknown variable `"),
            "{text}: {error}"
        );
        assert_eq!(
            error.position.map(|position| position.line),
            Some(2),
            "{text}"
        );
    }
}

#[test]
fn a_null_variable_exists_and_an_untaken_branch_may_have_unknown_variables() {
    for (text, expected) in [
        ("{{#if host.ip}}{{host.typo}}{{else}}none{{/if}}", "none"),
        ("{{yaml host.ip}}{{host.ip}}", "null"),
        (
            "{{#each keys}}{{@index}}{{this}}{{#if @last}}.{{/if}}{{/each}}",
            "0x\"y.",
        ),
        ("{{#each keys as |key|}}{{key}}{{/each}}", "x\"y"),
        ("{{#each host}}{{@key}} {{/each}}", "ip name "),
        (
            "{{#with host}}{{#if ../keys}}{{name}}{{/if}}{{/with}}",
            "a'b",
        ),
        ("{{{{raw}}}}{{typo}}{{{{/raw}}}}", "{{typo}}"),
        ("a\n{{#if keys}}\nb\n{{/if}}\nc", "a\nb\nc"),
        (
            "a\n  {{host.name}}\n  {{#if keys}}\n  b\n  {{/if}}\nc",
            "a\n  a'b\n  b\nc",
        ),
    ] {
        assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn templates_that_would_overflow_the_stack_are_refused() {
    let deep = "{{#if keys}}".repeat(20_000) + &"{{/if}}".repeat(20_000);
    assert!(
        rendered(&deep)
            .unwrap_err()
            .reason
            .contains("levels of nesting"),
        "blocks"
    );
    let parentheses = format!(
        "{{{{yaml {}x{}}}}}",
        "(yaml ".repeat(20_000),
        ")".repeat(20_000)
    );
    assert!(
        rendered(&parentheses)
            .unwrap_err()
            .reason
            .contains("levels of nesting"),
        "parentheses"
    );
    assert!(
        rendered("{{> t.hbs}}")
            .unwrap_err()
            .reason
            .contains("includes itself")
    );
    assert!(rendered("{{#*inline \"x\"}}{{/inline}}").is_err());
    assert!(
        rendered("{{> absent.hbs}}")
            .unwrap_err()
            .reason
            .contains("absent.hbs")
    );
}

/// Compiles `count` templates, of which each includes the next with `text`, and renders the first.
fn chain(count: usize, text: impl Fn(&str) -> String) -> Result<String, TemplateError> {
    let name = |n: usize| match n {
        0 => "t.hbs".to_owned(),
        n => format!("p{n:04}.hbs"),
    };
    let texts = (0..=count).map(|n| match n == count {
        true => (name(n), "x".to_owned()),
        false => (name(n), text(&name(n + 1))),
    });
    let context = Context::wraps(json!({"keys": vec!["k"; 50]})).unwrap();
    Templates::compile(&texts.collect())
        .map_err(|mut faults| faults.remove(0))?
        .render("t.hbs", &context)
}

#[test]
fn the_cost_of_a_template_is_bounded() {
    let levels = DEPTH_LIMIT - 1;
    let deep = |inner: &str| {
        let (open, close) = ("{{#if keys}}".repeat(levels), "{{/if}}".repeat(levels));
        format!("{open}{{{{> {inner}}}}}{close}")
    };
    let one = |name: &str| format!("{{{{> {name}}}}}");
    let each = |body: &str, times: usize| {
        let (open, close) = ("{{#each @root.keys}}", "{{/each}}");
        format!("{}{body}{}", open.repeat(times), close.repeat(times))
    };
    assert_eq!(chain(16, deep).as_deref(), Ok("x"));
    for (case, result, expected) in [
        (
            "1,200 levels",
            chain(1200, one),
            "more than 16 levels of nested partials",
        ),
        (
            "doubling partials",
            chain(16, |name| one(name).repeat(2)),
            "more than 4096 partials, including nested ones",
        ),
        (
            "nested loops that write",
            chain(1, |_| each(&"x".repeat(100_000), 2)),
            "the rendered text exceeds 8 MiB",
        ),
        (
            "nested loops that write nothing",
            chain(1, |_| each("", 8)),
            "more than 100000 variable lookups",
        ),
        (
            "a chain of `else if`",
            rendered(&format!(
                "{{{{#if host.ip}}}}{}{{{{/if}}}}",
                "{{else if host.ip}}".repeat(5000)
            )),
            "more than 40 levels of nesting",
        ),
    ] {
        assert_eq!(result.expect_err(case).reason, expected, "{case}");
    }
}

proptest! {
    #[test]
    fn arbitrary_templates_never_panic(text in "[{}#/>~a-z\" ().\n]{0,80}") {
        let _ = rendered(&text);
    }
}
