//! HTTP during a boot: the meaning of each URL, and the response to a machine.

pub mod admission;
mod query;
mod range;
mod route;

pub use query::BootQuery;
pub use range::{Conditions, RangeSelection, select};
pub use route::{Route, RouteError, SessionPath, content_type, route};
