//! A datagram for port 67, 68 or 4011.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pxectl::wire::dhcp::DhcpMessage;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = DhcpMessage::parse(bytes) else {
        return;
    };
    // What is written is read back as it was.
    if let Ok(written) = message.write(usize::MAX) {
        let again = DhcpMessage::parse(&written).expect("what we write can be read");
        assert_eq!(again.write(usize::MAX).ok().as_deref(), Some(&*written));
    }
});
