use std::io::{self, BufRead, IsTerminal};

use super::output::Output;

/// Asks the operator whether to continue. Without a terminal, prints the error and its help, and returns
/// `false`.
///
/// # Errors
/// If the answer cannot be read.
pub fn confirmed(output: &Output, what: &str, question: &str, help: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        output.error(what, help);
        return Ok(false);
    }
    output.stderr(&format!("{what}\n{question} [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Lists the first names, and the number of the others.
pub fn some_of(names: &[&str]) -> String {
    let shown = names[..names.len().min(8)].join(", ");
    match names.len().saturating_sub(8) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
