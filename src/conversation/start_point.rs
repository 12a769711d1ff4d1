use jiff::Timestamp;

/// The time and stage at which an event started.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartPoint {
    pub at: Timestamp,
    pub packet: u64,
    pub stage: usize,
}
