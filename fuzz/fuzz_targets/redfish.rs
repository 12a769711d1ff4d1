//! A BMC's Redfish responses, in each place that reads their JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::bmc::console::ConsoleOffer;
use pxectl::bmc::error_body::{DenialCause, error_text, is_temporary, named_settings};
use pxectl::bmc::fields::members;
use pxectl::bmc::firmware::boot_order;
use pxectl::bmc::log::LogService;
use pxectl::bmc::media::VirtualDrive;
use pxectl::bmc::operation::OperationState;
use pxectl::bmc::quirks::quirks;
use pxectl::bmc::resource::{ServiceRoot, System};
use pxectl::bmc::{BootRequest, BootTarget, HardwareDisk, HardwareNic, LogEntry, SecureBoot};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    let (root, system) = (ServiceRoot::read(&value), System::read("/", &value));
    let quirks = quirks(&root, &system);
    let request = BootRequest {
        target: BootTarget::Pxe,
        uefi: true,
        uri_optional: true,
    };
    let _ = request.check(&system.machine.boot, &system);
    let _ = request.override_requests(&system, system.settings.as_deref(), &quirks);
    let drive = VirtualDrive::read("/", &value);
    let _ = (
        drive.insert_requests("http://a/b.iso", &quirks),
        drive.eject_requests(),
    );
    let _ = (HardwareNic::read(&value), HardwareDisk::read(&value));
    let _ = (members(&value), error_text(&value), is_temporary(&value));
    let _ = (DenialCause::find(&value), named_settings(&value, "/"));
    let _ = (OperationState::read(200, &value), SecureBoot::read(&value));
    let _ = boot_order(&system.boot_order, std::slice::from_ref(&value));
    let _ = ConsoleOffer::read(&value, &value, &value);
    let _ = (LogService::read("/", &value), LogEntry::read("SEL", &value));
});
