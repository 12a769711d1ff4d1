//! A script that a server sends to a rehearsal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::clients::ipxe::{Interpreter, IpxeStep, Settings};

fuzz_target!(|script: &[u8]| {
    let Ok(mut interpreter) = Interpreter::new("http://192.0.2.1/a", script, Settings::default())
    else {
        return;
    };
    for _ in 0..1000 {
        match interpreter.next() {
            IpxeStep::Fetch { .. } => interpreter.supply(Ok(b"#!ipxe\n")),
            IpxeStep::Print(_) | IpxeStep::Wait(_) => {}
            _ => return,
        }
    }
});
