//! Scans a template before the engine compiles it: limits on its size, its nesting and its partials.

use std::collections::BTreeMap;

use super::error::{TemplateError, TemplatePosition};

/// The maximum nesting of blocks. Without it, the engine would overflow its stack.
pub const DEPTH_LIMIT: usize = 40;
/// The maximum size of a template, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// The maximum nesting of partials.
const PARTIAL_DEPTH_LIMIT: usize = 16;
/// The maximum number of partials that a template includes, directly or indirectly.
const PARTIAL_LIMIT: usize = 4096;

/// The structure of a template.
pub struct TemplateStructure<'t> {
    /// The partials it includes.
    pub partials: Vec<PartialTag<'t>>,
    /// The innermost block that is not closed, with its position.
    pub open_block: Option<(&'t str, TemplatePosition)>,
}

/// A tag that includes another template.
#[derive(Clone, Copy)]
pub struct PartialTag<'t> {
    /// The name of the other template.
    pub name: &'t str,
    /// The position of the tag.
    pub position: TemplatePosition,
}

/// Scans a template, and checks its size and nesting. An error has its position and reason.
pub fn scan(text: &str) -> Result<TemplateStructure<'_>, (TemplatePosition, String)> {
    if text.len() > SIZE_LIMIT {
        let position = TemplatePosition {
            line: 1,
            column: None,
        };
        return Err((position, "the template exceeds 1 MiB".to_owned()));
    }
    let mut partials = Vec::new();
    let mut open_blocks = Vec::new();
    let mut chained: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let tag =
            text[open..].trim_start_matches(|c: char| c == '{' || c == '~' || c.is_whitespace());
        let block = tag.strip_prefix('#').map(|block| block.trim_start());
        let position = || TemplatePosition::at(text, open);
        if block.unwrap_or(tag).starts_with('*') {
            return Err((
                position(),
                "decorators and inline partials are not allowed".to_owned(),
            ));
        }
        if let Some(block) = block {
            let name = block.split([' ', '}', '~', '\n']).next();
            open_blocks.push((name.unwrap_or_default(), open));
            chained.push(0);
        } else if tag.starts_with('/') {
            open_blocks.pop();
            chained.pop();
        } else if tag.starts_with("else")
            && let Some(links) = chained.last_mut()
        {
            // The engine nests each `else if` in the previous one.
            *links += 1;
        }
        let parentheses = tag
            .split("}}")
            .next()
            .unwrap_or_default()
            .matches('(')
            .count();
        if open_blocks.len() + chained.iter().sum::<usize>() + parentheses > DEPTH_LIMIT {
            return Err((
                position(),
                format!("more than {DEPTH_LIMIT} levels of nesting"),
            ));
        }
        if let Some(partial) = block.unwrap_or(tag).strip_prefix('>') {
            let name = partial
                .trim_start()
                .split([' ', '}', '~', '\n', '\t'])
                .next()
                .unwrap_or_default();
            if name.starts_with('(') {
                return Err((
                    position(),
                    "the name of a partial must be literal".to_owned(),
                ));
            }
            partials.push(PartialTag {
                name: name.trim_matches(['"', '\'']),
                position: position(),
            });
        }
        at = open + 2;
    }
    Ok(TemplateStructure {
        partials,
        open_block: open_blocks
            .pop()
            .map(|(block, at)| (block, TemplatePosition::at(text, at))),
    })
}

/// Lists the templates that a template includes. An invalid template includes nothing.
pub fn partials(text: &str) -> Vec<&str> {
    let found = scan(text).map_or_else(|_| Vec::new(), |found| found.partials);
    found.into_iter().map(|included| included.name).collect()
}

/// Finds partials that do not exist, or that include themselves.
pub fn partial_errors(partials: &BTreeMap<&str, Vec<PartialTag<'_>>>) -> Vec<TemplateError> {
    let mut errors = Vec::new();
    for (template, includes) in partials {
        let mut seen = Vec::new();
        for include in includes {
            let error = |reason| TemplateError::new(*template, Some(include.position), reason);
            if !partials.contains_key(include.name) {
                let name = include.name;
                errors.push(error(format!("unknown template `{name}`")));
                continue;
            }
            let mut open = vec![include.name];
            while let Some(next) = open.pop() {
                if next == *template {
                    errors.push(error(
                        "the template includes itself, directly or indirectly".to_owned(),
                    ));
                    break;
                }
                if !seen.contains(&next) {
                    seen.push(next);
                    let further = partials.get(next).into_iter().flatten();
                    open.extend(further.map(|include| include.name));
                }
            }
        }
    }
    errors
}

/// Finds partials that nest too deeply or include too many others. There must be no cycles.
pub fn partial_excess(partials: &BTreeMap<&str, Vec<PartialTag<'_>>>) -> Vec<TemplateError> {
    // The nesting and the number of partials of each template; its partials come first.
    let mut known: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    while known.len() < partials.len() {
        for (template, includes) in partials {
            let parts: Option<Vec<_>> = includes
                .iter()
                .map(|include| known.get(include.name))
                .collect();
            if let Some(parts) = parts {
                let depth = parts.iter().map(|part| part.0 + 1).max().unwrap_or(0);
                let count = parts
                    .iter()
                    .fold(0, |sum: usize, part| sum.saturating_add(part.1 + 1));
                let count = count.min(PARTIAL_LIMIT + 1);
                known.insert(template, (depth, count));
            }
        }
    }
    let excess = |(template, (depth, count)): (&str, (usize, usize))| {
        let reason = if depth > PARTIAL_DEPTH_LIMIT {
            format!("more than {PARTIAL_DEPTH_LIMIT} levels of nested partials")
        } else if count > PARTIAL_LIMIT {
            format!("more than {PARTIAL_LIMIT} partials, including nested ones")
        } else {
            return None;
        };
        Some(TemplateError::new(template, None, reason))
    };
    known.into_iter().filter_map(excess).collect()
}
