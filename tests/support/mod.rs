//! What several areas of the tests share. The binaries `segment` and `firmware` include single files.

pub mod directory;
pub mod fixture_updates;
pub mod oracle;
pub mod program;
pub mod program_log;
pub mod rack;
pub mod requirements;
pub mod run_output;
pub mod tool;
