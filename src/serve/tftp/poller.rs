//! Waits for many sockets at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollSource {
    /// The request port.
    Requests,
    /// A file was opened.
    Opened,
    /// A transfer has lost its slot.
    Displaced,
    /// The server ends.
    Shutdown,
    /// The port of a peer's transfer.
    Transfer(SocketAddrV4),
}

/// First value beyond the 48 bits of a peer's address and port.
const OTHER: u64 = 1 << 48;

impl PollSource {
    fn to_data(self) -> epoll::EventData {
        epoll::EventData::new_u64(match self {
            Self::Requests => OTHER,
            Self::Opened => OTHER + 1,
            Self::Displaced => OTHER + 2,
            Self::Shutdown => OTHER + 3,
            Self::Transfer(peer) => u64::from(peer.ip().to_bits()) << 16 | u64::from(peer.port()),
        })
    }

    fn of_data(data: epoll::EventData) -> Self {
        match data.u64() {
            OTHER => Self::Requests,
            number if number == OTHER + 1 => Self::Opened,
            number if number == OTHER + 2 => Self::Displaced,
            number if number > OTHER => Self::Shutdown,
            number => {
                let address = Ipv4Addr::from_bits((number >> 16) as u32);
                Self::Transfer(SocketAddrV4::new(address, number as u16))
            }
        }
    }
}

/// The descriptors that one worker waits for. Closing a descriptor removes it.
pub(super) struct Poller(OwnedFd);

/// Limit of events in one call.
const MOST_EVENTS: usize = 256;

impl Poller {
    pub(super) fn new() -> anyhow::Result<Self> {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC);
        Ok(Self(poller.context("cannot create an epoll instance")?))
    }

    pub(super) fn add(&self, descriptor: impl AsFd, source: PollSource) -> io::Result<()> {
        Ok(epoll::add(
            &self.0,
            descriptor,
            source.to_data(),
            epoll::EventFlags::IN,
        )?)
    }

    /// Waits for events for at most `timeout`, and stores them in `events`.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<epoll::Event>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        events.clear();
        events.reserve(MOST_EVENTS);
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.0, room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Returns the source of an event.
pub(super) fn source(event: &epoll::Event) -> PollSource {
    PollSource::of_data(event.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_its_own_data() {
        let peers = ["0.0.0.0:0", "10.20.0.51:2070", "255.255.255.255:65535"];
        let peers = peers.map(|peer| PollSource::Transfer(peer.parse().expect("an address")));
        let others = [
            PollSource::Requests,
            PollSource::Opened,
            PollSource::Displaced,
            PollSource::Shutdown,
        ];
        for source in peers.into_iter().chain(others) {
            assert_eq!(PollSource::of_data(source.to_data()), source);
        }
    }
}
