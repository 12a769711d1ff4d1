//! Sends the packets of a transfer.

use std::io::IoSlice;
use std::ops::Range;

use rustix::io::Errno;

use super::RunningTransfer;
use crate::serve::tftp::content::ContentError;
use crate::serve::tftp::socket::Socket;
use crate::wire::tftp::{BlockNumber, ErrorCode, Packet, data_header};

/// Limit of datagrams in one call (`UDP_MAX_SEGMENTS`).
const MOST_SEGMENTS: u64 = 64;

/// Limit of bytes in one call: that of a UDP datagram.
const MOST_BYTES: u64 = 65_507;

impl RunningTransfer {
    /// Returns its own socket, or else that of the request port.
    fn socket<'a>(&'a self, requests: &'a Socket) -> &'a Socket {
        self.socket.as_ref().unwrap_or(requests)
    }

    /// Sends the OACK. Here and below, a packet that cannot be sent counts as lost.
    pub(super) fn send_options(&self, requests: &Socket) {
        let options = self.transfer.agreement().acknowledged.clone();
        let packet = Packet::OptionAcknowledgement(options).to_bytes();
        let socket = self.socket(requests);
        let _ = socket.send(&self.route, &[IoSlice::new(&packet)], None);
    }

    pub(super) fn send_error(&self, requests: &Socket, code: ErrorCode, reason: &str) {
        let message = reason.to_owned();
        let packet = Packet::Error { code, message }.to_bytes();
        let socket = self.socket(requests);
        let _ = socket.send(&self.route, &[IoSlice::new(&packet)], None);
    }

    pub(super) fn send_blocks(
        &mut self,
        requests: &Socket,
        blocks: Range<u64>,
    ) -> Result<(), ContentError> {
        let segment = self.transfer.agreement().block_size + 4;
        let together = MOST_SEGMENTS.min(MOST_BYTES / u64::from(segment)).max(1);
        let mut first = blocks.start;
        while first < blocks.end {
            let next = blocks.end.min(first + together);
            self.send_together(requests, first..next, segment)?;
            first = next;
        }
        Ok(())
    }

    /// Sends blocks in one call if the kernel supports that, or else one by one.
    fn send_together(
        &mut self,
        requests: &Socket,
        blocks: Range<u64>,
        segment: u16,
    ) -> Result<(), ContentError> {
        let range = self.transfer.byte_range(blocks.start).start
            ..self.transfer.byte_range(blocks.end - 1).end;
        let bytes = self.source.read(range)?;
        let headers: Vec<_> = blocks
            .map(|index| data_header(BlockNumber::of_index(index)))
            .collect();
        // The last block may be empty.
        let payloads = bytes.chunks(usize::from(segment) - 4).chain([&[][..]]);
        let buffers: Vec<_> = headers
            .iter()
            .zip(payloads)
            .flat_map(|(header, payload)| [IoSlice::new(header), IoSlice::new(payload)])
            .collect();
        let socket = self.socket.as_ref().unwrap_or(requests);
        if headers.len() > 1 && self.batches {
            match socket.send(&self.route, &buffers, Some(segment)) {
                // EINVAL, EIO: the path's MTU is smaller, or its device does not support it.
                Err(error)
                    if matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::INVAL | Errno::IO | Errno::OPNOTSUPP | Errno::MSGSIZE)
                    ) =>
                {
                    self.batches = false;
                }
                _ => return Ok(()),
            }
        }
        for datagram in buffers.chunks(2) {
            let _ = socket.send(&self.route, datagram, None);
        }
        Ok(())
    }
}
