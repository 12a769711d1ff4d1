//! What is seen of a template before the engine compiles it: bounds on its size and its nesting, and
//! on what it includes.

use std::collections::BTreeMap;

use super::fault::{TemplateError, TemplatePlace};

/// How deeply blocks may be nested; the engine itself would overflow its stack.
pub const DEPTH_LIMIT: usize = 40;
/// The largest template, in octets.
const SIZE_LIMIT: usize = 1 << 20;
/// How many partials may be included within each other.
const PARTIAL_DEPTH_LIMIT: usize = 16;
/// How many partials a template may include in all, through others too.
const PARTIAL_LIMIT: usize = 4096;

/// What a template holds, as far as can be seen before the engine compiles it.
pub struct Scanned<'t> {
    /// The partials it includes.
    pub partials: Vec<Included<'t>>,
    /// The innermost block that is open at its end, and where it begins.
    pub open_block: Option<(&'t str, TemplatePlace)>,
}

/// A tag that includes another template.
#[derive(Clone, Copy)]
pub struct Included<'t> {
    /// The other's name.
    pub name: &'t str,
    /// Where the tag stands.
    pub place: TemplatePlace,
}

/// Looks over a template before the engine sees it: bounds its size and nesting. Fails with the
/// place and the reason.
pub fn scan(text: &str) -> Result<Scanned<'_>, (TemplatePlace, String)> {
    if text.len() > SIZE_LIMIT {
        let place = TemplatePlace {
            line: 1,
            column: None,
        };
        return Err((place, format!("it is larger than {SIZE_LIMIT} octets")));
    }
    let mut partials = Vec::new();
    let mut open_blocks = Vec::new();
    let mut chained: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        let tag =
            text[open..].trim_start_matches(|c: char| c == '{' || c == '~' || c.is_whitespace());
        let block = tag.strip_prefix('#').map(|block| block.trim_start());
        let place = || TemplatePlace::at(text, open);
        if block.unwrap_or(tag).starts_with('*') {
            return Err((
                place(),
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
            // The engine puts each `else if` into the one before it.
            *links += 1;
        }
        let parentheses = tag
            .split("}}")
            .next()
            .unwrap_or_default()
            .matches('(')
            .count();
        if open_blocks.len() + chained.iter().sum::<usize>() + parentheses > DEPTH_LIMIT {
            return Err((place(), format!("it nests more than {DEPTH_LIMIT} levels")));
        }
        if let Some(partial) = block.unwrap_or(tag).strip_prefix('>') {
            let name = partial
                .trim_start()
                .split([' ', '}', '~', '\n', '\t'])
                .next()
                .unwrap_or_default();
            if name.starts_with('(') {
                return Err((place(), "a partial's name must be written out".to_owned()));
            }
            partials.push(Included {
                name: name.trim_matches(['"', '\'']),
                place: place(),
            });
        }
        at = open + 2;
    }
    Ok(Scanned {
        partials,
        open_block: open_blocks
            .pop()
            .map(|(block, at)| (block, TemplatePlace::at(text, at))),
    })
}

/// Returns the templates that a template includes; none where it cannot be scanned.
pub fn partials(text: &str) -> Vec<&str> {
    let found = scan(text).map_or_else(|_| Vec::new(), |found| found.partials);
    found.into_iter().map(|included| included.name).collect()
}

/// Finds partials that do not exist or that include each other in a circle.
pub fn partial_faults(partials: &BTreeMap<&str, Vec<Included<'_>>>) -> Vec<TemplateError> {
    let mut faults = Vec::new();
    for (template, includes) in partials {
        let mut seen = Vec::new();
        for include in includes {
            let fault = |reason| TemplateError::new(*template, Some(include.place), reason);
            if !partials.contains_key(include.name) {
                let name = include.name;
                faults.push(fault(format!("there is no template `{name}` to include")));
                continue;
            }
            let mut open = vec![include.name];
            while let Some(next) = open.pop() {
                if next == *template {
                    faults.push(fault(
                        "it includes itself, directly or through others".to_owned(),
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
    faults
}

/// Finds partials, without circles, that include others too deeply or too often.
pub fn partial_excess(partials: &BTreeMap<&str, Vec<Included<'_>>>) -> Vec<TemplateError> {
    // For each template how deeply and how often it includes: what it includes comes first.
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
            format!("it includes partials more than {PARTIAL_DEPTH_LIMIT} levels deep")
        } else if count > PARTIAL_LIMIT {
            format!("it includes more than {PARTIAL_LIMIT} partials, through others too")
        } else {
            return None;
        };
        Some(TemplateError::new(template, None, reason))
    };
    known.into_iter().filter_map(excess).collect()
}
