//! What several areas of the tests use.

pub mod fixture_updates;
pub mod oracle;
pub mod requirements;
