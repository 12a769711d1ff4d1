//! Random sequences of steps against the store and the rules, held against an oracle.
//!
//! A sequence arms hosts and then draws from everything that can happen to them: commands, boots of
//! right and wrong machines, fetches, reports, crashes, clocks that are set, backups, copies, moves,
//! deletions, reloads and relays. After each step, an install is given exactly where an operator's
//! order is outstanding for that machine in that store, and a report counts exactly where it must.
//!
//! CI runs 100,000 sequences. This runs a million:
//!
//! ```text
//! PXECTL_MODEL_SEQUENCES=1000000 cargo nextest run --release --test main store::model
//! ```
//!
//! A failure prints the number of the sequence and its steps; this runs it again:
//!
//! ```text
//! PXECTL_MODEL_SEQUENCE=4711 cargo nextest run --test main store::model
//! ```

mod around;
mod machine;
mod run;
mod site;
mod step;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use step::Step;
use world::World;

/// How many sequences CI runs.
const SEQUENCES: u64 = 100_000;
/// How many sequences share a store, one after the other: making a store takes longer than a
/// sequence. A sequence is run again together with those before it in its batch.
const BATCH: u64 = 100;
/// How many tests share the batches. SQLite's allocator has one lock in each process, so these are
/// tests and not threads.
const SHARES: u64 = 2;

/// What each share must have seen, so that no rule is held by what never happens.
const MUST_HAPPEN: [&str; 16] = [
    "armed",
    "not armed",
    "installed from",
    "not installed",
    "attempt begun",
    "attempt went on",
    "fetch refused",
    "report counts",
    "report does not count",
    "other report",
    "suspended",
    "expired",
    "killed in a change",
    "copied in place",
    "copied as a new file",
    "restored from a backup",
];

#[test]
fn no_sequence_of_steps_installs_what_nobody_ordered_first_share() {
    match number("PXECTL_MODEL_SEQUENCE") {
        None => run_share(0),
        Some(sequence) => {
            let run = run_batch(sequence / BATCH, sequence);
            run.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
}

#[test]
fn no_sequence_of_steps_installs_what_nobody_ordered_second_share() {
    if number("PXECTL_MODEL_SEQUENCE").is_none() {
        run_share(1);
    }
}

fn run_share(share: u64) {
    let sequences = number("PXECTL_MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let batches = sequences.div_ceil(BATCH);
    let mut seen = BTreeMap::new();
    let mut run = 0;
    for batch in (0..batches).filter(|batch| batch % SHARES == share) {
        let last = (batch * BATCH + BATCH).min(sequences) - 1;
        run += last + 1 - batch * BATCH;
        match run_batch(batch, last) {
            Ok(more) => add(&mut seen, more),
            Err(failure) => panic!("{failure}"),
        }
    }
    // A few sequences need not show everything.
    for what in MUST_HAPPEN.iter().filter(|_| run >= 10_000) {
        assert!(
            seen.contains_key(what),
            "never happened: {what}, but {seen:?}"
        );
    }
}

/// Runs the sequences of a batch up to the last one.
fn run_batch(batch: u64, last: u64) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut world = World::new();
    for sequence in batch * BATCH..=last {
        world.begin(sequence);
        let steps = step::sequence(sequence);
        for (index, step) in steps.iter().enumerate() {
            let done = catch_unwind(AssertUnwindSafe(|| world.step(*step)));
            let why = match done {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                Err(panic) => text_of(panic.as_ref()),
            };
            return Err(failure(sequence, &steps[..=index], &why));
        }
    }
    Ok(std::mem::take(&mut world.seen))
}

fn failure(sequence: u64, steps: &[Step], why: &str) -> String {
    let listed = steps.iter().map(|step| format!("  {step:?}\n"));
    format!(
        "sequence {sequence}, step {}: {why}\n{}\
         PXECTL_MODEL_SEQUENCE={sequence} runs it again",
        steps.len(),
        listed.collect::<String>()
    )
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic".to_owned())
}

fn add(sum: &mut BTreeMap<&'static str, u64>, more: BTreeMap<&'static str, u64>) {
    for (what, count) in more {
        *sum.entry(what).or_default() += count;
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number of sequences"))
}
