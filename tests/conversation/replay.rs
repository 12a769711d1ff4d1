use std::fs;
use std::path::PathBuf;

use crate::fixture;

#[test]
fn ad_hoc() {
    for path in std::env::var("REPLAY").unwrap().split(' ') {
        println!("=== {path}");
        let ended = fixture::read(&PathBuf::from(path));
        println!("{}", ended.report);
        println!("{:?}", ended.report.totals);
        println!("{:?}", ended.counts);
        for row in ended.report.summary() {
            println!("{:?}", row.cells());
        }
    }
    let _ = fs::metadata("/");
}
