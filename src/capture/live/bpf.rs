//! The filter that the kernel runs on every frame: it accepts packets of a boot, and little else.
//!
//! A TFTP transfer changes its port after the first packet, so the filter accepts all of UDP. The kernel
//! removes the outer tag of incoming frames, but not of all outgoing frames, so the filter checks each
//! level of tags.

use std::collections::BTreeSet;

use socket2::SockFilter;

/// One instruction of the packet filter. Source: `Documentation/networking/filter.rst` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

/// Load a half word or a byte at an offset, or at an offset after the IP header.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AFTER_IP: u16 = 0x48;
const LOAD_BYTE_AFTER_IP: u16 = 0x50;
/// Load four times the low half of a byte: the length of the IP header.
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Accepts the whole frame.
const WHOLE: u32 = 262_144;
const IPV4: u32 = 0x0800;
const VLAN: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// The most ports: a jump skips at most 255 instructions.
pub const MOST_PORTS: usize = 60;

/// Builds the filter; `None` for more than [`MOST_PORTS`] ports.
pub fn program(http_ports: &BTreeSet<u16>) -> Option<Vec<Instruction>> {
    if http_ports.len() > MOST_PORTS {
        return None;
    }
    let mut program = Vec::new();
    for level in 0..3 {
        let ether_type = 12 + 4 * level;
        program.push(load(LOAD_HALF, ether_type));
        let body = ipv4(ether_type + 2, http_ports);
        // A conditional jump cannot skip the whole body.
        program.push(jump(JUMP_IF_EQUAL, IPV4, 1, 0));
        program.push(load(JUMP, body.len() as u32));
        program.extend(body);
        if level < 2 {
            for (index, kind) in (0..).zip(VLAN) {
                program.push(jump(JUMP_IF_EQUAL, kind, 3 - index, 0));
            }
        }
        program.push(load(RETURN, 0));
    }
    Some(program)
}

/// Builds the instructions for an IPv4 header at an offset.
fn ipv4(at: u32, http_ports: &BTreeSet<u16>) -> Vec<Instruction> {
    let ports: Vec<u32> = http_ports.iter().map(|port| u32::from(*port)).collect();
    let count = ports.len() as u8;
    let mut body = vec![
        // Flags and offset of fragments.
        load(LOAD_HALF, at + 6),
        jump(JUMP_IF_ANY, 0x3fff, 0, 1),
        load(RETURN, WHOLE),
        load(LOAD_BYTE, at + 9),
        jump(JUMP_IF_EQUAL, 17, 0, 1),
        load(RETURN, WHOLE),
        load(LOAD_HEADER_LENGTH, at),
        jump(JUMP_IF_EQUAL, 1, 0, 4),
        load(LOAD_BYTE_AFTER_IP, at),
        jump(JUMP_IF_EQUAL, 3, 0, 1),
        load(RETURN, WHOLE),
        load(RETURN, 0),
        jump(JUMP_IF_EQUAL, 6, 1, 0),
        load(RETURN, 0),
    ];
    // The sender's port, then the receiver's port; the last instruction accepts the frame.
    for (place, after) in [(0, count + 2), (2, 1)] {
        body.push(load(LOAD_HALF_AFTER_IP, at + place));
        for (index, port) in (0..).zip(&ports) {
            body.push(jump(JUMP_IF_EQUAL, *port, count - index - 1 + after, 0));
        }
    }
    body.push(load(RETURN, 0));
    body.push(load(RETURN, WHOLE));
    body
}

/// Converts a filter to the form that sockets accept.
pub fn socket_filter(program: &[Instruction]) -> Vec<SockFilter> {
    let convert = |it: &Instruction| SockFilter::new(it.code, it.if_true, it.if_false, it.value);
    program.iter().map(convert).collect()
}

const fn load(code: u16, value: u32) -> Instruction {
    jump(code, value, 0, 0)
}

const fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORTS: [u16; 3] = [80, 443, 8080];

    /// Runs a filter like the kernel.
    fn run(program: &[Instruction], frame: &[u8]) -> Option<u32> {
        let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
        let half = |place: u32| {
            let place = place as usize;
            frame
                .get(place..place + 2)
                .map(|it| u32::from(it[0]) << 8 | u32::from(it[1]))
        };
        let byte = |place: u32| frame.get(place as usize).map(|it| u32::from(*it));
        loop {
            let it = program[at];
            at += 1;
            let mut branch = |is_true: bool| {
                at += usize::from(if is_true { it.if_true } else { it.if_false });
            };
            match it.code {
                LOAD_HALF => a = half(it.value)?,
                LOAD_BYTE => a = byte(it.value)?,
                LOAD_HALF_AFTER_IP => a = half(x + it.value)?,
                LOAD_BYTE_AFTER_IP => a = byte(x + it.value)?,
                LOAD_HEADER_LENGTH => x = (byte(it.value)? & 15) * 4,
                JUMP => at += it.value as usize,
                JUMP_IF_EQUAL => branch(a == it.value),
                JUMP_IF_ANY => branch(a & it.value != 0),
                RETURN => return Some(it.value),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    fn is_taken(frame: &[u8]) -> bool {
        let program = program(&BTreeSet::from(PORTS)).unwrap();
        run(&program, frame).is_some_and(|length| length == WHOLE)
    }

    fn frame(tags: &[u8], protocol: u8, fragment: u16, options: usize, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(tags);
        frame.extend([8, 0, 0x45 + options as u8, 0, 0, 60, 0, 1]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(vec![1; options * 4]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn what_belongs_to_a_boot_is_taken_under_every_tag_and_nothing_else_is() {
        let tags: [&[u8]; 4] = [
            &[],
            &[0x81, 0, 0, 20],
            &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 20],
            &[0x91, 0, 0, 9, 0x81, 0, 0, 20],
        ];
        let port = |source: u16, destination: u16| {
            [
                source.to_be_bytes(),
                destination.to_be_bytes(),
                [0; 2],
                [0; 2],
            ]
            .concat()
        };
        for tags in tags {
            for options in [0, 10] {
                for (protocol, fragment, payload, is_wanted) in [
                    (17, 0, port(67, 68), true),
                    (17, 0x4000, port(40_000, 50_000), true),
                    (17, 0x2000, port(1, 2), true),
                    (6, 0x0005, port(1, 2), true),
                    (6, 0, port(80, 40_000), true),
                    (6, 0, port(40_000, 80), true),
                    (6, 0, port(443, 1), true),
                    (6, 0, port(1, 8080), true),
                    (6, 0, port(22, 23), false),
                    (6, 0x4000, port(81, 8081), false),
                    (1, 0, vec![3, 3, 0, 0], true),
                    (1, 0, vec![8, 0, 0, 0], false),
                    (50, 0, port(80, 80), false),
                ] {
                    let frame = frame(tags, protocol, fragment, options, &payload);
                    assert_eq!(is_taken(&frame), is_wanted, "{frame:x?}");
                }
            }
        }
        let arp = [&[2; 12], &[8, 6][..], &[0; 46]].concat();
        assert!(!is_taken(&arp) && !is_taken(&[]));
        let three = frame(
            &[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3],
            17,
            0,
            0,
            &[0; 8],
        );
        assert!(!is_taken(&three));
    }

    #[test]
    fn as_many_ports_as_a_filter_reaches_are_taken_and_more_are_refused() {
        let ports: BTreeSet<u16> = (1000..).take(MOST_PORTS).collect();
        let filter = program(&ports).unwrap();
        let taken = |port: u16| {
            let payload = [[0, 1], port.to_be_bytes()].concat();
            run(&filter, &frame(&[], 6, 0, 0, &payload)) == Some(WHOLE)
        };
        assert!(ports.iter().all(|port| taken(*port)) && !taken(1060));
        // What the system takes at the most. Source: BPF_MAXINSNS.
        assert!(filter.len() <= 4096);
        assert_eq!(program(&(1000..1061).collect()), None);
    }

    proptest! {
        #[test]
        fn whatever_arrives_the_filter_ends(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            is_taken(&bytes);
        }
    }
}
