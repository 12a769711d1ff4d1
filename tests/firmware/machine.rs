use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use pxectl::machine::{MacAddress, SystemUuid};

use crate::console::Console;
use crate::disk;
use crate::firmware::{Firmware, VARIABLES};
use crate::network::{CABLE, Network};
use crate::rom;

/// What a machine tells of itself.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The Ethernet address of its one network card.
    pub mac: MacAddress,
    /// The SMBIOS system UUID.
    pub uuid: SystemUuid,
    /// The SMBIOS system serial number.
    pub serial: &'static str,
    /// The SMBIOS asset tag of the chassis.
    pub asset: &'static str,
}

/// A machine that is off: its settings survive from one power-on to the next.
pub struct Machine {
    firmware: Firmware,
    identity: Identity,
    directory: PathBuf,
    disk: Option<String>,
}

impl Machine {
    /// Makes a machine whose files lie below `target/tmp/firmware/<name>/`.
    pub fn new(name: &str, firmware: Firmware, identity: Identity) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("firmware")
            .join(name);
        // The files of the last run, where there are any.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        if let Some(flash) = firmware.flash() {
            fs::copy(flash.variables, directory.join(VARIABLES)).unwrap();
        }
        Self {
            firmware,
            identity,
            directory,
            disk: None,
        }
    }

    /// Adds a read-only disk that says when it was booted, second in the boot order.
    pub fn with_local_disk(mut self) -> Self {
        self.disk = Some(disk::create(&self.directory, self.firmware));
        self
    }

    /// Switches the machine on, with its cable in the network.
    pub fn power_on(&self, network: &Network) -> Running {
        let Identity {
            mac,
            uuid,
            serial,
            asset,
        } = self.identity;
        let file = |name: &str| self.directory.join(name).display().to_string();
        let monitor = self.directory.join("monitor");
        let mut qemu = network.command(self.firmware.qemu());
        qemu.args(["-accel", "tcg", "-smp", "2", "-m", "1024"])
            .args(["-display", "none", "-no-reboot"])
            .args(self.firmware.arguments(&self.directory))
            .arg("-netdev")
            .arg(format!(
                "tap,id=cable,ifname={CABLE},script=no,downscript=no,vnet_hdr=off"
            ))
            .arg("-device")
            .arg(format!(
                "virtio-net-pci,netdev=cable,mac={mac},bootindex=1{}",
                self.firmware.option_rom()
            ))
            .arg("-smbios")
            .arg(format!("type=1,serial={serial},uuid={uuid}"))
            .arg("-smbios")
            .arg(format!("type=3,asset={asset}"))
            .arg("-chardev")
            .arg(format!(
                "stdio,id=console,signal=off,logappend=on,logfile={}",
                file("console.log")
            ))
            .args(["-serial", "chardev:console", "-monitor"])
            .arg(format!("unix:{},server=on,wait=off", monitor.display()));
        if self.firmware == Firmware::Bios {
            qemu.args(rom::begin_to_rewrite(&self.directory, "cable"));
        }
        if let Some(disk) = &self.disk {
            qemu.args(["-drive", disk]).args([
                "-device",
                "virtio-blk-pci,drive=disk,serial=DISK0001,bootindex=2",
            ]);
        }
        let errors = fs::File::create(self.directory.join("qemu.log")).unwrap();
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let console = Console::new(child.stdout.take().unwrap());
        Running {
            console,
            monitor,
            child,
        }
    }
}

/// A machine that is on; dropping it cuts the power.
pub struct Running {
    /// What it prints.
    pub console: Console,
    monitor: PathBuf,
    child: Child,
}

impl Running {
    /// Pulls the network cable.
    pub fn unplug(&self) {
        const PROMPT: &str = "(qemu) ";
        let mut monitor = UnixStream::connect(&self.monitor).unwrap();
        monitor.set_read_timeout(Some(crate::STEP)).unwrap();
        monitor.write_all(b"set_link cable off\n").unwrap();
        // The first prompt greets; the second says that the command was carried out.
        let mut answer = String::new();
        while answer.matches(PROMPT).count() < 2 {
            let mut piece = [0; 512];
            let length = monitor.read(&mut piece).unwrap();
            assert_ne!(length, 0, "QEMU's monitor ended after `{answer}`");
            answer.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
