/// Receives the progress of a build.
pub trait BuildProgress: Sync {
    /// A step begins; it ends when the returned value is dropped.
    fn begin(&self, what: &str) -> Box<dyn BuildStep + Send + '_>;
    /// Shows a line of text.
    fn note(&self, text: &str);
    /// Shows a warning, and what to do about it.
    fn warn(&self, text: &str, help: &str);
}

/// One step of a build.
pub trait BuildStep {
    /// The step has so many bytes in total.
    fn set_length(&self, bytes: u64);
    /// So many bytes are done.
    fn set_position(&self, bytes: u64);
}
