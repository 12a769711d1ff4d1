//! A configuration that a server sends to a rehearsed GRUB; it is also every other file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::clients::grub_script::{GrubMachine, GrubStep, Interpreter};

fuzz_target!(|script: &str| {
    let variables = [("root", "tftp,192.0.2.1".to_owned())];
    let Ok(mut grub) = Interpreter::new("grub.cfg", script, GrubMachine::default(), variables)
    else {
        return;
    };
    // It ends by itself, so that there is no bound here.
    loop {
        match grub.next() {
            GrubStep::Fetch { .. } => {
                grub.supply(Ok(script.as_bytes()));
            }
            GrubStep::Dhcp => {
                grub.supply_lease(Err("nobody answers".to_owned()));
            }
            GrubStep::Print(_) | GrubStep::Wait(_) | GrubStep::Choose { .. } => {}
            _ => return,
        }
    }
});
