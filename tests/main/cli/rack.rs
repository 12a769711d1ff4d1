use crate::cli::pxectl::Pxectl;
use crate::support::rack::Rack;

impl Rack {
    /// Prepares a run in this inventory, with arguments that are separated by blanks.
    pub fn pxectl(&self, line: &str) -> Pxectl {
        Pxectl::at(self.path()).args(line)
    }
}
