mod bpf;
mod ring;
mod system;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use pnet::datalink::{self, Channel, ChannelType, DataLinkReceiver, DataLinkSender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::{CaptureError, FrameSink, FrameSource, SourceStatus};
use crate::shutdown::Shutdown;
use crate::wire::capture_file::CapturedFrame;
use crate::wire::packet::LinkType;
use crate::wire::pcapng::Comments;
use ring::{AGE, Ring, RingFrame};

/// The HTTP ports, in addition to the site's port.
pub const STANDARD_HTTP_PORTS: [u16; 3] = [80, 443, 8080];
/// The longest wait for a frame.
const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// The types of interfaces that carry Ethernet. Source: `linux/if_arp.h`.
const ETHERNET: &str = "1";
const LOOPBACK: &str = "772";

/// The options of a live capture.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// Whether to capture frames for other machines, too.
    pub promiscuous: bool,
    /// The TCP ports of HTTP.
    pub http_ports: BTreeSet<u16>,
}

/// A capture on an interface.
pub struct LiveCapture {
    name: String,
    ring: Ring,
    socket: OwnedFd,
    shutdown: Shutdown,
    is_stopped: bool,
    /// Whether it is the loopback interface, which shows every frame twice.
    is_loopback: bool,
    scratch: Vec<u8>,
    dropped: u64,
    /// The number of blocks that are still read after a stop, so that no earlier frame is lost.
    left: usize,
    has_waited: bool,
    /// These hold the socket's other descriptor.
    _channel: (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>),
}

impl LiveCapture {
    /// Starts a capture on an interface.
    ///
    /// # Errors
    /// When the interface does not exist or is not an Ethernet interface, the filter cannot hold all
    /// ports, or the kernel refuses.
    pub fn open(
        name: &str,
        options: &LiveOptions,
        shutdown: Shutdown,
    ) -> Result<Self, CaptureError> {
        let interfaces = datalink::interfaces();
        let Some(interface) = interfaces.iter().find(|it| it.name == name) else {
            let present = interfaces.into_iter().map(|it| it.name).collect();
            let name = name.to_owned();
            return Err(CaptureError::NoInterface { name, present });
        };
        let type_file = fs::read_to_string(format!("/sys/class/net/{name}/type"));
        let kind = type_file.as_deref().map_or("", str::trim);
        // If the type is not known, the frames show it.
        if !["", ETHERNET, LOOPBACK].contains(&kind) {
            return Err(CaptureError::NoEthernet {
                name: name.to_owned(),
                kind: kind.to_owned(),
            });
        }
        let filter = bpf::program(&options.http_ports).ok_or(CaptureError::TooManyPorts {
            most: bpf::MOST_PORTS,
            requested: options.http_ports.len(),
        })?;
        let refused = |what| {
            let name = name.to_owned();
            move |source| CaptureError::Live { name, what, source }
        };
        // No frames arrive before pnet binds the socket, so the filter is attached in time.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).map_err(|source| {
            if source.kind() == ErrorKind::PermissionDenied {
                let name = name.to_owned();
                CaptureError::NotPermitted { name, source }
            } else {
                refused("cannot open a packet socket")(source)
            }
        })?;
        socket
            .attach_filter(&bpf::socket_filter(&filter))
            .map_err(refused("the kernel refuses the capture filter"))?;
        let ring = Ring::new(&socket).map_err(refused("cannot create the frame ring"))?;
        let own = OwnedFd::from(
            socket
                .try_clone()
                .map_err(refused("cannot duplicate the socket"))?,
        );
        let config = datalink::Config {
            socket_fd: Some(std::os::fd::IntoRawFd::into_raw_fd(socket)),
            channel_type: ChannelType::Layer2,
            promiscuous: options.promiscuous,
            ..datalink::Config::default()
        };
        let channel = datalink::channel(interface, config)
            .map_err(refused("cannot bind the socket to the interface"))?;
        let Channel::Ethernet(sender, receiver) = channel else {
            return Err(CaptureError::NoEthernet {
                name: name.to_owned(),
                kind: "unknown".to_owned(),
            });
        };
        Ok(Self {
            name: name.to_owned(),
            socket: own,
            shutdown,
            is_stopped: false,
            is_loopback: interface.is_loopback(),
            scratch: Vec::new(),
            dropped: 0,
            left: ring.blocks(),
            has_waited: false,
            ring,
            _channel: (sender, receiver),
        })
    }

    /// Describes the captured frames in words.
    pub fn filter(options: &LiveOptions) -> String {
        let ports: Vec<String> = options.http_ports.iter().map(u16::to_string).collect();
        format!(
            "udp, icmp unreachable, ip fragments, tcp port {}, with up to two VLAN tags",
            ports.join(" or ")
        )
    }

    /// Waits for a frame or a shutdown, at most for a moment.
    fn wait(&self, sink: &mut dyn FrameSink) -> Result<SourceStatus, CaptureError> {
        let mut waits = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.shutdown, PollFlags::IN),
        ];
        let pumped = match poll(&mut waits, Some(&MOMENT)) {
            Ok(0) => SourceStatus::Silence,
            Ok(_) | Err(rustix::io::Errno::INTR) => SourceStatus::More,
            Err(error) => return Err(self.failed("cannot wait for frames", error)),
        };
        if waits[0].revents().contains(PollFlags::ERR) {
            match rustix::net::sockopt::socket_error(self.socket.as_fd()) {
                Ok(Err(rustix::io::Errno::NETDOWN)) => {
                    let name = self.name.clone();
                    if datalink::interfaces().iter().all(|it| it.name != name) {
                        return Err(CaptureError::InterfaceGone { name });
                    }
                    sink.fault(format!("interface `{name}` went down"));
                }
                Ok(Err(error)) => return Err(self.failed("cannot receive frames", error)),
                _ => {}
            }
        }
        Ok(pumped)
    }

    fn failed(&self, what: &'static str, error: rustix::io::Errno) -> CaptureError {
        CaptureError::Live {
            name: self.name.clone(),
            what,
            source: io::Error::from(error),
        }
    }
}

impl FrameSource for LiveCapture {
    fn pump(&mut self, sink: &mut dyn FrameSink) -> Result<SourceStatus, CaptureError> {
        let (name, scratch) = (self.name.as_str(), &mut self.scratch);
        let is_loopback = self.is_loopback;
        let mut flow = ControlFlow::Continue(());
        let is_taken = self.ring.take_block(|frame| {
            if is_loopback && frame.is_outgoing || flow.is_break() {
                return;
            }
            flow = sink.frame(&with_outer_tag(&frame, scratch), Some(name));
        });
        if flow.is_break() {
            return Ok(SourceStatus::End);
        }
        if !self.is_stopped && !self.shutdown.is_requested() {
            return if is_taken {
                Ok(SourceStatus::More)
            } else {
                self.wait(sink)
            };
        }
        if is_taken && self.left > 0 {
            self.left -= 1;
        } else if !is_taken && !self.has_waited {
            // The kernel releases the current block when it is old enough.
            self.has_waited = true;
            std::thread::sleep(2 * AGE);
        } else {
            return Ok(SourceStatus::End);
        }
        Ok(SourceStatus::More)
    }

    fn stop(&mut self) {
        self.is_stopped = true;
    }

    fn dropped(&mut self) -> Option<u64> {
        // Reading the counter resets it.
        let dropped = system::dropped(self.socket.as_fd()).ok()?;
        self.dropped += dropped;
        Some(self.dropped)
    }
}

/// Returns a frame as it was on the network, with the outer tag that the kernel removed.
fn with_outer_tag<'a>(frame: &RingFrame<'a>, scratch: &'a mut Vec<u8>) -> CapturedFrame<'a> {
    /// The offset of the tag: after the two addresses.
    const PLACE: usize = 12;
    let (bytes, sent) = match (frame.tag, frame.bytes.split_at_checked(PLACE)) {
        (Some(tag), Some((addresses, rest))) => {
            scratch.clear();
            scratch.extend(addresses);
            scratch.extend(tag);
            scratch.extend(rest);
            (&scratch[..], frame.sent + 4)
        }
        _ => (frame.bytes, frame.sent),
    };
    CapturedFrame {
        at: frame.at,
        interface: 0,
        link: LinkType::Ethernet,
        bytes,
        sent,
        comments: Comments::default(),
    }
}
