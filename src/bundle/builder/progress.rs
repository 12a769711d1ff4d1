/// Whoever is told how a long work goes.
pub trait Progress: Sync {
    /// Says that a part begins.
    fn begin(&self, what: &str) -> Box<dyn Step + Send + '_>;
    /// Says something on the side.
    fn note(&self, text: &str);
    /// Says what the operator should know, and what to do about it.
    fn warn(&self, text: &str, help: &str);
}

/// One part of a long work; it has ended when it is dropped.
pub trait Step {
    /// Says how many octets there are in all.
    fn total(&self, octets: u64);
    /// Says how many octets are done.
    fn at(&self, octets: u64);
}
