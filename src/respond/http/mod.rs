//! The HTTP side of a boot: which URL means what, and what a machine is answered.

pub mod admission;
mod query;
mod range;
mod route;

pub use query::BootQuery;
pub use range::{Conditions, Selection, select};
pub use route::{Route, RouteError, SessionPath, content_type, route};
