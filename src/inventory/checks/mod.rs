//! Checks across documents, after all of them are read.

mod bundles;
mod facts;
mod hosts;
mod loader_names;
mod menu;
mod networks;
mod references;
mod unique;

use super::claims::Claims;
use super::diagnostic::Diagnostic;

pub use facts::Facts;

/// Compares all claims with each other.
pub fn check(claims: &Claims, facts: &Facts<'_>, diagnostics: &mut Vec<Diagnostic>) {
    unique::check(claims, diagnostics);
    references::check(claims, facts, diagnostics);
    networks::check(claims, diagnostics);
    bundles::check(claims, diagnostics);
    loader_names::check(claims, diagnostics);
    hosts::check(claims, facts, diagnostics);
    menu::check(claims, diagnostics);
}
