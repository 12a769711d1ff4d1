//! What a controller answers by Redfish, in each place where its JSON is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::bmc::boot::Wanted;
use pxectl::bmc::fields::members;
use pxectl::bmc::media::Drive;
use pxectl::bmc::quirks::quirks;
use pxectl::bmc::refusal::{error_text, says_not_now};
use pxectl::bmc::resource::{ServiceRoot, System};
use pxectl::bmc::{BootTarget, SeenDisk, SeenNic};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    let (root, system) = (ServiceRoot::read(&value), System::read("/", &value));
    let quirks = quirks(&root, &system);
    let wanted = Wanted {
        target: BootTarget::Pxe,
        uefi: true,
        uri_may_be_left_out: true,
    };
    let _ = wanted.verify(&system.machine.boot, &system);
    let _ = wanted.ladder(&system, &quirks);
    let drive = Drive::read("/", &value);
    let _ = (drive.inserting("http://a/b.iso", &quirks), drive.ejecting());
    let _ = (SeenNic::read(&value), SeenDisk::read(&value));
    let _ = (members(&value), error_text(&value), says_not_now(&value));
});
