use super::output::Output;
use super::{Exit, Global};
use clap::Args;
/// x
#[derive(Debug, Args)]
pub struct Rehearse {}
impl Rehearse {
    pub fn run(&self, _global: &Global, _output: &Output) -> anyhow::Result<Exit> {
        Ok(Exit::Done)
    }
}
