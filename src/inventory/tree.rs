//! YAML text -> trees whose nodes have spans.
//!
//! We build the tree ourselves, from the parser's events, so that scalars keep their spelling
//! (`007` is a serial number), both uses of a duplicate key are reported, and an error in one document
//! hides no error in another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use super::diagnostic::Diagnostic;
use super::source::Span;

/// A YAML node and its span.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The span; for an alias, the span of the alias.
    pub span: Span,
}

/// A YAML value; scalars keep their spelling.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A scalar after unescaping; `plain` if it was not quoted.
    Scalar { text: String, plain: bool },
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping in the order of the file; each key is unique.
    Mapping(Vec<(MapKey, Node)>),
}

/// The key of a mapping and its span.
#[derive(Clone, Debug, PartialEq)]
pub struct MapKey {
    /// The key's text.
    pub text: String,
    /// The span.
    pub span: Span,
}

/// The maximum number of nodes in a file, including those that aliases repeat.
const NODE_BUDGET: usize = 2_000_000;
/// The maximum number of nodes that the aliases of a file repeat.
const ALIAS_BUDGET: usize = 20_000;
/// The maximum nesting of collections.
const DEPTH_LIMIT: usize = 32;
const NESTING_HELP: &str = "no inventory needs this nesting: look for an extra bracket";

/// Parses every document of a file, and reports every syntax error.
///
/// After a syntax error, parsing continues with the next document (`---`).
pub fn parse(file: u32, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Node> {
    let mut options = Options::default();
    // Twice our own limit: ours has a better message, and this one protects the parser.
    options.block_nesting_limit = 2 * DEPTH_LIMIT;
    options.flow_nesting_limit = 2 * DEPTH_LIMIT;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        file,
        text,
        diagnostics,
        anchors: HashMap::new(),
        nodes: 0,
        alias_nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        match builder.document() {
            Ok(Some(node)) => documents.push(node),
            Ok(None) => return documents,
            Err(SkipTo::NextFile) => return documents,
            Err(SkipTo::NextDocument) => match builder.parser.proceed_next_document() {
                Ok(true) => {}
                Ok(false) | Err(_) => return documents,
            },
        }
    }
}

/// Where parsing continues after an error, which is already reported.
enum SkipTo {
    NextDocument,
    NextFile,
}

struct Builder<'t, 'd> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    file: u32,
    text: &'t str,
    diagnostics: &'d mut Vec<Diagnostic>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    alias_nodes: usize,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Option<Node>, SkipTo> {
        loop {
            let Some((event, _)) = self.event()? else {
                return Ok(None);
            };
            match event {
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart(..) => {
                    self.anchors.clear();
                    let Some((event, span)) = self.event()? else {
                        return Ok(None);
                    };
                    if matches!(event, Event::DocumentEnd) {
                        continue;
                    }
                    let node = self.node(event, span, 0)?;
                    // The parser returns an empty scalar or `~` for an empty document.
                    let written = node.span.start < node.span.end
                        || !matches!(node.value, Value::Scalar { plain: true, .. });
                    if written {
                        return Ok(Some(node));
                    }
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Option<(Event<'t>, Span)>, SkipTo> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let start = span.start.byte_offset().unwrap_or(0);
                let end = span.end.byte_offset().unwrap_or(start).max(start);
                let span = self.span(start, end);
                Ok(Some((event, span)))
            }
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(self.text.len());
                // An error at the end of the file is shown on the last line with text.
                let at = if at >= self.text.len() {
                    self.text.trim_end().len()
                } else {
                    at
                };
                let tab = self.text[..at]
                    .rsplit('\n')
                    .next()
                    .is_some_and(|line| line.contains('\t'));
                let info = error.info();
                let (info, help) = match info.as_str() {
                    "recursion limit exceeded" => ("the nesting is too deep", NESTING_HELP),
                    info if tab => (info, "indent with spaces: YAML allows no tabs"),
                    info => (
                        info,
                        "check the indentation, quotes and brackets around this line",
                    ),
                };
                self.refuse(self.span(at, at), format!("invalid YAML: {info}"), help);
                Err(SkipTo::NextDocument)
            }
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let cut = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: cut(start),
            end: cut(end),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SkipTo> {
        self.nodes += 1;
        if depth > DEPTH_LIMIT {
            self.refuse(
                span,
                format!("more than {DEPTH_LIMIT} levels of nesting"),
                NESTING_HELP,
            );
            return Err(SkipTo::NextDocument);
        }
        if self.nodes > NODE_BUDGET {
            self.refuse(
                span,
                format!("the file has more than {NODE_BUDGET} values"),
                "split the file",
            );
            return Err(SkipTo::NextFile);
        }
        let (value, anchor, span) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (
                    Value::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                    anchor,
                    span,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                let (items, span) = self.sequence(span, depth)?;
                (Value::Sequence(items), anchor, span)
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, span) = self.mapping(span, depth)?;
                (Value::Mapping(entries), anchor, span)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            other => {
                self.refuse(
                    span,
                    format!("expected a value, found {other:?}"),
                    "write a value, a list or a mapping here",
                );
                return Err(SkipTo::NextDocument);
            }
        };
        let node = Node { value, span };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, mut span: Span, depth: usize) -> Result<(Vec<Node>, Span), SkipTo> {
        let mut items = Vec::new();
        while let Some((event, item_span)) = self.event()? {
            if matches!(event, Event::SequenceEnd) {
                span.end = span.end.max(item_span.end);
                break;
            }
            items.push(self.node(event, item_span, depth + 1)?);
        }
        Ok((items, self.trimmed(span)))
    }

    fn mapping(
        &mut self,
        mut span: Span,
        depth: usize,
    ) -> Result<(Vec<(MapKey, Node)>, Span), SkipTo> {
        let mut entries: Vec<(MapKey, Node)> = Vec::new();
        while let Some((event, key_span)) = self.event()? {
            if matches!(event, Event::MappingEnd) {
                span.end = span.end.max(key_span.end);
                break;
            }
            let key = match self.node(event, key_span, depth + 1)? {
                Node {
                    value: Value::Scalar { text, .. },
                    span,
                } => Some(MapKey { text, span }),
                Node { span, .. } => {
                    self.refuse(
                        span,
                        "a key must be text".to_owned(),
                        "write `key: value`; only a value can begin with `{` or `[`",
                    );
                    None
                }
            };
            let Some((event, value_span)) = self.event()? else {
                break;
            };
            let value = self.node(event, value_span, depth + 1)?;
            let Some(key) = key else { continue };
            if key.text == "<<" {
                self.refuse(
                    key.span,
                    "merge keys (`<<`) are not supported".to_owned(),
                    "repeat the keys, or move the values that hosts share into their profile",
                );
                continue;
            }
            entries.push((key, value));
        }
        self.drop_repeats(&mut entries);
        Ok((entries, self.trimmed(span)))
    }

    /// Keeps the first entry of each key, and reports the others.
    fn drop_repeats(&mut self, entries: &mut Vec<(MapKey, Node)>) {
        let mut first: HashMap<String, Span> = HashMap::with_capacity(entries.len());
        entries.retain(|(key, _)| match first.entry(key.text.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(key.span);
                true
            }
            Entry::Occupied(earlier) => {
                self.diagnostics.push(
                    Diagnostic::error(
                        "duplicate-key",
                        key.span,
                        format!("duplicate key `{}`", key.text),
                    )
                    .label("used again here")
                    .also(*earlier.get(), "first used here")
                    .help("keep one of the two"),
                );
                false
            }
        });
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, SkipTo> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.refuse(
                span,
                "the alias is inside its own anchor".to_owned(),
                "repeat the value instead of the alias",
            );
            return Err(SkipTo::NextDocument);
        };
        self.alias_nodes += node.count(ALIAS_BUDGET);
        if self.alias_nodes > ALIAS_BUDGET {
            self.refuse(
                span,
                format!("the aliases of the file repeat more than {ALIAS_BUDGET} values"),
                "repeat the values instead of the aliases, or split the file",
            );
            return Err(SkipTo::NextFile);
        }
        Ok(Node {
            span,
            ..node.clone()
        })
    }

    /// Removes trailing blanks and comment lines from the span of a block collection, which the parser
    /// ends at the next node.
    fn trimmed(&self, span: Span) -> Span {
        let text = self
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default();
        let mut text = text.trim_end();
        while let Some((before, last)) = text.rsplit_once('\n')
            && last.trim_start().starts_with('#')
        {
            text = before.trim_end();
        }
        Span {
            end: span.start + text.len() as u32,
            ..span
        }
    }

    fn refuse(&mut self, span: Span, message: String, help: &str) {
        self.diagnostics
            .push(Diagnostic::error("syntax", span, message).help(help));
    }
}

impl Node {
    /// Counts the node and the nodes inside it, and stops soon after `limit`.
    fn count(&self, limit: usize) -> usize {
        let mut total = 1;
        let children: Box<dyn Iterator<Item = &Node>> = match &self.value {
            Value::Scalar { .. } => return total,
            Value::Sequence(items) => Box::new(items.iter()),
            Value::Mapping(entries) => Box::new(entries.iter().map(|(_, node)| node)),
        };
        for child in children {
            if total > limit {
                break;
            }
            total += child.count(limit);
        }
        total
    }
}

#[cfg(test)]
mod tests;
