use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use pxectl::machine::{MacAddress, SystemUuid};

use crate::console::Console;
use crate::network::{CABLE, Network};

/// What a UEFI machine prints once it runs the loader on its local disk.
pub const LOCAL_DISK_BOOTED: &str = "Welcome to GRUB!";
/// The loader on the local disk: a GRUB that needs nothing else to say that it runs.
pub const GRUB: &str =
    "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/grubx64.efi";

/// What runs when the power comes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// OVMF, PXE over IPv4.
    UefiX64,
    /// OVMF, HTTP boot over IPv4.
    HttpX64,
    /// SeaBIOS with QEMU's own network ROM, which is iPXE: it wants a script, never a loader.
    BiosIpxeRom,
}

impl Firmware {
    /// Lists every firmware that the tests know.
    pub const ALL: [Self; 3] = [Self::UefiX64, Self::HttpX64, Self::BiosIpxeRom];

    /// Returns QEMU's arguments up to the network card.
    fn arguments(self, variables: &str) -> Vec<String> {
        let machine = match self {
            // Without graphics SeaBIOS copies its screen to the serial console.
            Self::BiosIpxeRom => "pc,graphics=off",
            Self::UefiX64 | Self::HttpX64 => "q35",
        };
        let mut arguments = vec!["-machine".to_owned(), machine.to_owned()];
        if self != Self::BiosIpxeRom {
            let code = "/usr/share/OVMF/OVMF_CODE_4M.fd";
            arguments.extend([
                "-drive".to_owned(),
                format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"),
                "-drive".to_owned(),
                format!("if=pflash,format=raw,unit=1,file={variables}"),
            ]);
        }
        let without: &[&str] = match self {
            Self::UefiX64 => &["IPv6PXESupport"],
            Self::HttpX64 => &["IPv4PXESupport", "IPv6PXESupport"],
            Self::BiosIpxeRom => &[],
        };
        for switch in without {
            arguments.extend([
                "-fw_cfg".to_owned(),
                format!("name=opt/org.tianocore/{switch},string=no"),
            ]);
        }
        arguments
    }

    /// Returns the part of the network card's options that decides who boots from it: without an
    /// option ROM the firmware itself does.
    fn option_rom(self) -> &'static str {
        match self {
            Self::UefiX64 | Self::HttpX64 => ",romfile=",
            Self::BiosIpxeRom => "",
        }
    }
}

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
    local_disk: bool,
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
        fs::copy(
            "/usr/share/OVMF/OVMF_VARS_4M.fd",
            directory.join("variables"),
        )
        .unwrap();
        Self {
            firmware,
            identity,
            directory,
            local_disk: false,
        }
    }

    /// Adds a read-only disk with an EFI loader on it, second in the boot order.
    pub fn with_local_disk(mut self) -> Self {
        let boot = self.directory.join("disk/EFI/BOOT");
        fs::create_dir_all(&boot).unwrap();
        fs::copy(GRUB, boot.join("BOOTX64.EFI")).unwrap();
        self.local_disk = true;
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
        let mut qemu = network.command("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024"])
            .args(["-display", "none", "-no-reboot"])
            .args(self.firmware.arguments(&file("variables")))
            .arg("-netdev")
            .arg(format!(
                "tap,id=cable,ifname={CABLE},script=no,downscript=no"
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
        if self.local_disk {
            qemu.arg("-drive")
                .arg(format!(
                    "file=fat:{},format=raw,if=none,readonly=on,id=disk",
                    file("disk")
                ))
                .args([
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
