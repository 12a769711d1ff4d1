//! The directories on disk that are served and read.

pub mod files;
