//! A file system that hangs, as one of a network does whose server is gone: nobody answers what the
//! kernel asks of it.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use pxectl::machine::MacAddress;
use pxectl::wire::dhcp::{DhcpMessage, OptionCode};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::serve::PATIENCE;
use crate::serve::client::{Dhcp, firmware, first_block, request};
use crate::serve::server::Server;
use crate::support::rack::Rack;
use crate::support::requirements::missing;

const KNOWN: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 1]);
const OTHER: MacAddress = MacAddress::new([0x52, 0x54, 0, 0x85, 0, 2]);

/// A file system over a directory, until it is dropped; then whoever waits for it goes on.
struct Hung {
    directory: PathBuf,
    /// The kernel asks here, and hangs up when it is closed.
    _kernel: File,
}

impl Hung {
    fn over(directory: PathBuf) -> Self {
        let kernel = File::options().read(true).write(true).open("/dev/fuse");
        let kernel = kernel.unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            kernel.as_raw_fd()
        );
        let options = CString::new(options).unwrap();
        mount(
            "hung",
            &directory,
            "fuse",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
        Self {
            directory,
            _kernel: kernel,
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = unmount(&self.directory, UnmountFlags::DETACH);
    }
}

fn size(message: &DhcpMessage) -> Option<&[u8]> {
    message.options.raw(OptionCode::BootFileSize)
}

#[test]
fn a_file_system_that_hangs_holds_up_only_those_who_ask_for_its_files() {
    if missing(&["root", "/dev/fuse"]) {
        return;
    }
    let rack = Rack::beside_store();
    let mut server = Server::start(&rack, "all");
    let dhcp = Dhcp::connect(server.address("dhcp"));

    // A size is told as soon as it is known.
    let began = Instant::now();
    for transaction in 1.. {
        let ack = dhcp.lease(&firmware(KNOWN), transaction).unwrap();
        if let Some(told) = size(&ack) {
            let octets = std::fs::metadata(rack.file("boot/snponly.efi"))
                .unwrap()
                .len();
            let blocks = u16::try_from(octets.div_ceil(512)).unwrap();
            assert_eq!(told, blocks.to_be_bytes());
            break;
        }
        assert!(began.elapsed() < PATIENCE, "no size is told");
    }

    // Another loader, of which nothing is known yet.
    rack.rewrite("site.yaml", |text| {
        text.replace("uefi-x64: snponly.efi", "uefi-x64: new.efi")
    });
    server.event(0, "reloaded");
    let hung = Hung::over(rack.file("boot"));
    for transaction in 1000..1020 {
        let ack = dhcp.lease(&firmware(OTHER), transaction).unwrap();
        assert_eq!(ack.boot_file, b"new.efi");
        assert_eq!(size(&ack), None);
    }
    let tftp = server.address("tftp");
    let waiting: Vec<_> = (0..3)
        .map(|_| request("127.0.0.1", tftp, "snponly.efi", ""))
        .collect();
    for _ in 0..8 {
        let script = request("127.0.0.1", tftp, "m/52-54-00-85-00-01/-/autoexec.ipxe", "");
        let mut buffer = [0; 600];
        let length = script.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..4], [0, 3, 0, 1], "{:?}", &buffer[..length]);
        assert!(buffer[4..].starts_with(b"#!ipxe"));
    }

    drop(hung);
    for peer in waiting {
        // The kernel has told those that waited that there is nothing.
        let mut buffer = [0; 600];
        peer.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..2], [0, 5]);
    }
    assert_eq!(first_block(tftp)[..4], [0, 3, 0, 1]);
    server.stop();
}
