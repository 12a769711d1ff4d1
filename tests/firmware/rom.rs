//! A network ROM for a BIOS that is no iPXE.
//!
//! The only ones in reach are iPXE's. So iPXE is run where a ROM would be, and what names it is
//! taken out of its DHCP messages on their way: a server meets a ROM that boots the file it is given,
//! by TFTP, and gives it the PXE programming interface. An iPXE that such a ROM loads names itself.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// iPXE in the form of a Linux kernel.
pub const IPXE: &str = "/boot/ipxe.lkrn";

/// What the ROM does: it names itself otherwise than iPXE would, and boots as a ROM does.
const SCRIPT: &str = "\
#!ipxe
set user-class ROM
autoboot net0 || echo the ROM goes on with the next device
exit
";
/// The user class of the ROM; an iPXE names itself here.
const USER_CLASS: &[u8] = b"ROM";

/// Where DHCP's options begin in a frame: after Ethernet, IPv4, UDP, the fields and the magic.
const OPTIONS: usize = 14 + 20 + 8 + 236 + 4;

/// Returns QEMU's arguments that run the ROM.
pub fn kernel_arguments(directory: &Path) -> Vec<String> {
    let script = directory.join("rom.ipxe");
    fs::write(&script, SCRIPT).unwrap();
    vec![
        "-kernel".to_owned(),
        IPXE.to_owned(),
        "-initrd".to_owned(),
        script.display().to_string(),
    ]
}

/// Returns QEMU's arguments that lead what the network card sends past this process, and begins to
/// wait for it; they go after the argument for `cable`.
pub fn begin_to_rewrite(directory: &Path, cable: &str) -> Vec<String> {
    let [sent, rewritten] = ["sent", "rewritten"].map(|name| directory.join(name));
    let listeners = [&sent, &rewritten].map(|path| {
        // The socket of the last power-on, where there was one.
        let _ = fs::remove_file(path);
        UnixListener::bind(path).unwrap()
    });
    std::thread::spawn(move || {
        let [sent, rewritten] = listeners.map(|listener| listener.accept().unwrap().0);
        // It ends when the machine is switched off.
        let _ = rewrite(sent, rewritten);
    });
    let socket = |name: &str, path: PathBuf| format!("socket,id={name},path={}", path.display());
    vec![
        "-chardev".to_owned(),
        socket("sent", sent),
        "-chardev".to_owned(),
        socket("rewritten", rewritten),
        "-object".to_owned(),
        format!("filter-redirector,id=rom,netdev={cable},queue=rx,outdev=sent,indev=rewritten"),
    ]
}

/// Passes frames on, each after its length in four octets, until the end.
fn rewrite(mut sent: UnixStream, mut rewritten: UnixStream) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        sent.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        sent.read_exact(&mut frame)?;
        hide_ipxe(&mut frame);
        rewritten.write_all(&length)?;
        rewritten.write_all(&frame)?;
    }
}

/// Blots out iPXE's own options (77 and 175) where the ROM sends a DHCP message.
fn hide_ipxe(frame: &mut [u8]) {
    const ETHERTYPE: (usize, [u8; 2]) = (12, [0x08, 0x00]);
    const PROTOCOL: (usize, [u8; 1]) = (23, [17]);
    const DESTINATION_PORT: (usize, [u8; 2]) = (36, [0, 67]);
    let has = |at: usize, octets: &[u8]| frame.get(at..at + octets.len()) == Some(octets);
    if !has(ETHERTYPE.0, &ETHERTYPE.1)
        || !has(PROTOCOL.0, &PROTOCOL.1)
        || !has(DESTINATION_PORT.0, &DESTINATION_PORT.1)
    {
        return;
    }
    let options = options(frame);
    let of_rom = options
        .iter()
        .any(|&(code, start, end)| code == 77 && &frame[start + 2..end] == USER_CLASS);
    if !of_rom {
        return;
    }
    for (code, start, end) in options {
        if matches!(code, 77 | 175) {
            frame[start..end].fill(0);
        }
    }
    // Zero stands for a checksum that was not made.
    frame[40..42].fill(0);
}

/// Returns each option's code and where it lies, its code and length included.
fn options(frame: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut found = Vec::new();
    let mut at = OPTIONS;
    while let Some(&code) = frame.get(at) {
        match (code, frame.get(at + 1)) {
            (0, _) => at += 1,
            (255, _) | (_, None) => break,
            (code, Some(&length)) => {
                let end = at + 2 + usize::from(length);
                if end > frame.len() {
                    break;
                }
                found.push((code, at, end));
                at = end;
            }
        }
    }
    found
}

#[test]
fn the_rom_loses_what_names_ipxe_and_an_ipxe_that_it_loads_keeps_it() {
    let message = |user_class: &[u8]| {
        let mut frame = vec![1; OPTIONS];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[23] = 17;
        frame[36..38].copy_from_slice(&[0, 67]);
        frame.extend([53, 1, 1, 77, user_class.len() as u8]);
        frame.extend(user_class);
        frame.extend([175, 2, 19, 1, 93, 2, 0, 0, 255]);
        frame
    };
    let mut rom = message(USER_CLASS);
    hide_ipxe(&mut rom);
    let left: Vec<u8> = options(&rom).iter().map(|option| option.0).collect();
    assert_eq!(left, [53, 93]);
    assert_eq!(rom[40..42], [0, 0]);

    let mut ipxe = message(b"iPXE");
    hide_ipxe(&mut ipxe);
    assert_eq!(ipxe, message(b"iPXE"));
}
