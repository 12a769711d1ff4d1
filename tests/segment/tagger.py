"""A VLAN sub-interface in user space, for kernels that are built without VLANs.

tagger.py PARENT NAME ID: makes the interface NAME. What is sent there leaves PARENT with the tag ID,
and what arrives at PARENT with that tag arrives there without it.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
ETH_P_ALL, ETH_P_8021Q, TP_STATUS_VLAN_VALID = 0x0003, 0x8100, 1 << 4

parent_name, name, tag = sys.argv[1], sys.argv[2], int(sys.argv[3])
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
parent = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
parent.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
parent.bind((parent_name, ETH_P_ALL))
print("ready", file=sys.stderr, flush=True)


def tag_of(ancillary):
    """Returns the tag that the kernel took off a frame."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return tci & 0xFFF
    return None


while True:
    readable, _, _ = select.select([tap, parent], [], [])
    if tap in readable:
        frame = os.read(tap, 65536)
        header = struct.pack("!HH", ETH_P_8021Q, tag)
        parent.send(frame[:12] + header + frame[12:])
    if parent in readable:
        frame, ancillary, _, sender = parent.recvmsg(65536, 256)
        seen = tag_of(ancillary)
        if seen is None and frame[12:14] == b"\x81\x00":
            seen, frame = struct.unpack("!H", frame[14:16])[0] & 0xFFF, frame[:12] + frame[16:]
        if sender[2] != PACKET_OUTGOING and seen == tag:
            try:
                os.write(tap, frame)
            except OSError:
                pass  # not up yet
